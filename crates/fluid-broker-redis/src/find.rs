//! Questions about runs, and the end of those nobody asks about any more.

use std::collections::BTreeMap;

use fluid_core::{
    Attempt, BrokerResult, Page, QueueName, RunFilter, RunId, Stats, TaskName, TaskRun,
};
use redis::Cmd;

use crate::answer;
use crate::broker::RedisBroker;
use crate::course;
use crate::fault::{Fault, Outcome};
use crate::link::Lasts;
use crate::record::{self, Names, instant, letter, run_id};
use crate::script;

/// How many runs a script looks at: a few milliseconds of the server's time.
const SLICE: usize = 1000;
/// How many runs a script deletes.
const PURGE_AT_ONCE: usize = 500;

/// Where a search looks, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// All runs, the newest first.
    Newest,
    /// Those that have ended, in the order in which they did.
    Ended,
}

/// What is to be found.
struct Search<'a> {
    filter: &'a RunFilter,
    from: From,
    finished: bool,
    ids_only: bool,
    limit: usize,
}

#[derive(Default)]
struct Found {
    ids: Vec<RunId>,
    runs: Vec<TaskRun>,
    /// What stands for them in the order of ends.
    members: Vec<String>,
}

fn optional<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(String::new, text)
}

impl Search<'_> {
    fn write(&self, command: &mut Cmd, from: &str, cursor: &str, most: usize, ids: &[RunId]) {
        let filter = self.filter;
        let micros = |at: jiff::Timestamp| at.as_microsecond().to_string();
        command
            .arg(from)
            .arg(cursor)
            .arg(SLICE)
            .arg(most)
            .arg(if self.finished { "f" } else { "" })
            .arg(if self.ids_only { "i" } else { "" })
            .arg(optional(filter.parent, |id| id.to_string()))
            .arg(optional(filter.root, |id| id.to_string()))
            .arg(optional(filter.created_from, micros))
            .arg(optional(filter.created_before, micros))
            .arg(optional(filter.ended_before, micros));
        command.arg(filter.tasks.len());
        for task in &filter.tasks {
            command.arg(task.as_str());
        }
        command.arg(filter.states.len());
        for state in &filter.states {
            command.arg(letter(*state));
        }
        command.arg(filter.queues.len());
        for queue in &filter.queues {
            command.arg(queue.as_str());
        }
        command.arg(ids.len());
        for id in ids {
            command.arg(id.to_string());
        }
    }
}

impl RedisBroker {
    /// Goes through all slices until enough was found.
    async fn search(&self, search: &Search<'_>, before: Option<RunId>) -> BrokerResult<Found> {
        let mut found = Found::default();
        if search.limit == 0 {
            return Ok(found);
        }
        if !search.filter.ids.is_empty() {
            let mut ids = search.filter.ids.clone();
            ids.sort_unstable();
            ids.dedup();
            ids.retain(|id| before.is_none_or(|before| *id < before));
            if search.from == From::Newest {
                ids.reverse();
            }
            for some in ids.chunks(SLICE) {
                if found.ids.len() < search.limit {
                    self.slice(search, "given", "", some, &mut found).await?;
                }
            }
            return Ok(found);
        }
        let (from, mut cursor) = match search.from {
            From::Newest => ("ids", optional(before, |id| id.to_string())),
            From::Ended => ("ended", "-inf 0".to_owned()),
        };
        loop {
            cursor = self.slice(search, from, &cursor, &[], &mut found).await?;
            if cursor.is_empty() || found.ids.len() >= search.limit {
                return Ok(found);
            }
        }
    }

    /// Looks at one slice; where the next one begins.
    async fn slice(
        &self,
        search: &Search<'_>,
        from: &str,
        cursor: &str,
        ids: &[RunId],
        found: &mut Found,
    ) -> BrokerResult<String> {
        let most = search.limit - found.ids.len();
        let answer = self
            .link
            .run(&script::FIND, Lasts::No, |command| {
                search.write(command, from, cursor, most, ids);
            })
            .await?;
        self.read(|| {
            let [ids, runs, atts, cursor, members] = answer::parts(answer)?;
            let mut names = Names::default();
            let mut records = answer::list(runs)?.into_iter().zip(answer::list(atts)?);
            for id in answer::texts(ids)? {
                let id = run_id(&id)?;
                found.ids.push(id);
                if let Some((fixed, att)) = records.next() {
                    let (fixed, att) = (answer::bytes(fixed)?, answer::bytes(att)?);
                    found
                        .runs
                        .push(course::run(id, &fixed, &att, &mut names)?.0);
                }
            }
            found.members.extend(answer::texts(members)?);
            answer::text(cursor)
        })
    }

    pub(crate) async fn page(
        &self,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        let search = Search {
            filter,
            from: From::Newest,
            finished: false,
            ids_only: false,
            // One more tells whether there is another page.
            limit: limit.saturating_add(1),
        };
        let mut runs = self.search(&search, before).await?.runs;
        let more = runs.len() > limit;
        runs.truncate(limit);
        let next = runs.last().map(|run| run.id).filter(|_| more);
        Ok(Page { runs, next })
    }

    /// The newest finished runs.
    pub(crate) async fn find_ended(
        &self,
        filter: &RunFilter,
        limit: usize,
    ) -> BrokerResult<(Vec<TaskRun>, Vec<RunId>)> {
        let search = Search {
            filter,
            from: From::Newest,
            finished: true,
            ids_only: false,
            limit,
        };
        let found = self.search(&search, None).await?;
        Ok((found.runs, found.ids))
    }

    /// What ended stays so: it may be found first and deleted then, by its ids, and twice if need be.
    pub(crate) async fn delete(&self, filter: &RunFilter, limit: usize) -> BrokerResult<usize> {
        let mut deleted = 0;
        while deleted < limit {
            let most = (limit - deleted).min(PURGE_AT_ONCE);
            let search = Search {
                filter,
                from: From::Ended,
                finished: true,
                ids_only: true,
                limit: most,
            };
            let Found { ids, members, .. } = self.search(&search, None).await?;
            if ids.is_empty() {
                break;
            }
            let answer = self
                .link
                .run(&script::PURGE, Lasts::Yes, |command| {
                    command.arg(ids.len());
                    for id in &ids {
                        command.arg(id.to_string());
                    }
                    command.arg(members.len()).arg(&members);
                })
                .await?;
            let (gone, said) = self.read(|| {
                let [gone, said] = answer::parts(answer)?;
                Ok((answer::number(&gone)?, answer::text(said)?))
            })?;
            self.tell(&said);
            deleted += gone;
            if ids.len() < most {
                break;
            }
        }
        Ok(deleted)
    }

    pub(crate) async fn look_up(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        Ok(self.history(run, false).await?.map(|(run, _)| run))
    }

    pub(crate) async fn history(
        &self,
        id: RunId,
        past: bool,
    ) -> BrokerResult<Option<(TaskRun, Vec<Attempt>)>> {
        let answer = self
            .link
            .run(&script::GET, Lasts::No, |command| {
                command
                    .arg(id.to_string())
                    .arg(if past { "1" } else { "0" });
            })
            .await?;
        self.read(|| {
            let [fixed, att, earlier] = answer::parts(answer)?;
            let Some(fixed) = answer::optional_bytes(fixed)? else {
                return Ok(None);
            };
            let att = answer::optional_bytes(att)?.unwrap_or_default();
            let mut names = Names::default();
            let (run, course) = course::run(id, &fixed, &att, &mut names)?;
            let mut attempts = Vec::new();
            for earlier in answer::list(earlier)? {
                attempts.push(course::past_attempt(&answer::bytes(earlier)?, &mut names)?);
            }
            attempts.extend(course.and_then(|course| course::last_attempt(&run, &course)));
            Ok(Some((run, attempts)))
        })
    }

    pub(crate) async fn count(&self) -> BrokerResult<Stats> {
        let answer = self.link.run(&script::STATS, Lasts::No, |_| {}).await?;
        self.read(|| {
            let [counts, oldest] = answer::parts(answer)?;
            let oldest = answer::text(oldest)?;
            let mut stats = Stats {
                oldest_queued: if oldest.is_empty() {
                    None
                } else {
                    Some(instant(&oldest)?)
                },
                ..Stats::default()
            };
            for pair in answer::texts(counts)?.chunks_exact(2) {
                add_count(&mut stats, &pair[0], &pair[1])?;
            }
            Ok(stats)
        })
    }
}

fn add_count(stats: &mut Stats, field: &str, count: &str) -> Outcome<()> {
    let fault = || Fault::Corrupt(format!("a count reads {field:?}: {count:?}"));
    let mut parts = field.splitn(3, '/');
    let mut next = || parts.next().ok_or_else(fault);
    let state = record::state(next()?.bytes().next().unwrap_or_default())?;
    let task = TaskName::parse(next()?).map_err(|_| fault())?;
    let queue = QueueName::parse(next()?).map_err(|_| fault())?;
    let count: u64 = count.parse().map_err(|_| fault())?;
    let add = |states: &mut BTreeMap<_, u64>| *states.entry(state).or_default() += count;
    add(stats.tasks.entry(task).or_default());
    if !state.is_terminal() {
        add(stats.queues.entry(queue).or_default());
    }
    Ok(())
}
