//! The runs that one claim hands out: leased together by the writer, and read beside it once that is committed.

use fluid_core::{ClaimRequest, ConsumerId, Event, LeaseToken, RunId, RunState, TaskRun};
use foldhash::HashSet;
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::{Fault, Outcome};
use crate::heads::{Head, Heads, Source};
use crate::instant::{later, timestamp};
use crate::names::Names;
use crate::own_leases::OwnLease;
use crate::place::Kind;
use crate::ranges::ranges;
use crate::record::{optional_run_id, params, priority, run_error, run_id, trigger};
use crate::sql;
use crate::state::Stored;
use crate::store::{Reading, Writing};

/// How a run is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    /// Its attempt goes on, and is no new one.
    adoption: bool,
    survives: bool,
}

impl Way {
    const ALL: [Self; 4] = [
        Self::new(false, false),
        Self::new(false, true),
        Self::new(true, false),
        Self::new(true, true),
    ];

    const fn new(adoption: bool, survives: bool) -> Self {
        Self { adoption, survives }
    }
}

/// A run that a claim has chosen.
#[derive(Debug)]
struct Chosen {
    head: Head,
    task: i64,
    queue: i64,
    way: Way,
}

/// What a claim has chosen so far, in order.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    chosen: Vec<Chosen>,
    seqs: HashSet<i64>,
}

impl Starts {
    pub(crate) fn len(&self) -> usize {
        self.chosen.len()
    }

    pub(crate) fn contains(&self, seq: i64) -> bool {
        self.seqs.contains(&seq)
    }

    pub(crate) fn add(&mut self, head: Head, heads: &Heads<'_>) {
        let adoption = heads.source == Source::Every(Kind::Adoptable);
        self.seqs.insert(head.seq);
        self.chosen.push(Chosen {
            head,
            task: heads.task,
            queue: heads.queue,
            way: Way::new(adoption, heads.limits.survives_consumer),
        });
    }

    /// Leases all of them to the consumer.
    pub(crate) fn lease(self, on: &mut Writing, request: &ClaimRequest) -> Outcome<Leased> {
        let tokens = LeaseToken::random().as_i64();
        for way in Way::ALL {
            let of_way = self.chosen.iter().filter(|chosen| chosen.way == way);
            let mut seqs: Vec<i64> = of_way.map(|chosen| chosen.head.seq).collect();
            seqs.sort_unstable();
            for range in ranges(&seqs) {
                lease(on, request, way, tokens, range)?;
            }
        }
        for chosen in &self.chosen {
            let before = if chosen.way.adoption {
                Stored::Adoptable
            } else {
                Stored::Queued
            };
            on.counts
                .move_over(before, Stored::Running, chosen.task, chosen.queue);
        }
        Ok(Leased {
            consumer: request.consumer.clone(),
            tokens,
            chosen: self.chosen,
        })
    }
}

/// Leases runs that are handed out in the same way.
fn lease(
    on: &mut Writing,
    request: &ClaimRequest,
    way: Way,
    tokens: i64,
    (first, last): (i64, i64),
) -> Outcome<()> {
    let Reading { connection, names } = &mut on.base;
    let consumer = names.consumers.number(connection, &request.consumer)?;
    let until = later(on.now, request.lease);
    let survives = way.survives.into();
    let bound = [first, last, until, survives, consumer, tokens, on.now];
    let (sql, bound) = if way.adoption {
        (sql::ADOPT, &bound[..6])
    } else {
        (sql::START, &bound[..])
    };
    let mut update = connection.prepare_cached(sql)?;
    let changed = update.execute(params_from_iter(bound))?;
    if i64::try_from(changed).is_ok_and(|changed| changed == last - first + 1) {
        Ok(())
    } else {
        let what =
            format!("an index knows runs between {first} and {last} that its table does not");
        Err(Fault::Corrupt(what))
    }
}

/// Runs that a claim has leased.
#[derive(Debug)]
pub(crate) struct Leased {
    consumer: ConsumerId,
    /// Each run's token is this and its number.
    tokens: i64,
    chosen: Vec<Chosen>,
}

/// A leased run as it is handed out.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) run: TaskRun,
    pub(crate) token: LeaseToken,
    /// It may not start a second time, so the disk must have it before it does.
    pub(crate) must_last: bool,
    /// What is remembered of the lease, if its end needs no question first.
    pub(crate) own: Option<(RunId, OwnLease)>,
}

impl Start {
    pub(crate) fn event(&self) -> Event {
        Event::Started {
            run: self.run.id,
            task: self.run.task.clone(),
            attempt: self.run.attempt,
        }
    }
}

impl Leased {
    pub(crate) fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Reads the runs, in order; one that was lost again meanwhile is left out.
    pub(crate) fn read(&self, on: &mut Reading) -> Outcome<Vec<Start>> {
        let mut order: Vec<(i64, usize)> = (0..self.chosen.len())
            .map(|place| (self.chosen[place].head.seq, place))
            .collect();
        order.sort_unstable();
        let seqs: Vec<i64> = order.iter().map(|(seq, _)| *seq).collect();
        let mut starts: Vec<Option<Start>> = Vec::new();
        starts.resize_with(self.chosen.len(), || None);
        for range in ranges(&seqs) {
            let mut find = on.connection.prepare_cached(sql::CLAIMED)?;
            let mut rows = find.query(range)?;
            while let Some(row) = rows.next()? {
                let (seq, token): (i64, i64) = (row.get(0)?, row.get(1)?);
                if token == self.tokens + seq
                    && let Ok(found) = seqs.binary_search(&seq)
                {
                    let place = order[found].1;
                    starts[place] = Some(self.start(
                        row,
                        &self.chosen[place],
                        &mut on.names,
                        &on.connection,
                    )?);
                }
            }
        }
        Ok(starts.into_iter().flatten().collect())
    }

    fn start(
        &self,
        row: &Row<'_>,
        chosen: &Chosen,
        names: &mut Names,
        connection: &Connection,
    ) -> Outcome<Start> {
        let task = names.tasks.name(connection, chosen.task)?;
        let queue = names.queues.name(connection, chosen.queue)?;
        let created_at = timestamp(row.get(5)?)?;
        let mut run = TaskRun::new(run_id(row, 2)?, task, queue, params(row, 3, 4)?, created_at);
        run.consumer = Some(self.consumer.clone());
        chosen.fill_in(&mut run, row)?;
        let has_unique_key: bool = row.get(6)?;
        let seq = chosen.head.seq;
        let token = LeaseToken::from_i64(self.tokens + seq);
        let own = OwnLease {
            seq,
            token,
            task: chosen.task,
            queue: chosen.queue,
        };
        Ok(Start {
            token,
            must_last: run.max_interruptions == 0 && !chosen.way.survives,
            own: (!has_unique_key).then_some((run.id, own)),
            run,
        })
    }
}

impl Chosen {
    fn fill_in(&self, run: &mut TaskRun, row: &Row<'_>) -> Outcome<()> {
        run.state = RunState::Running;
        run.priority = priority(self.head.priority)?;
        run.due_at = timestamp(self.head.due_at)?;
        run.concurrency_key = self.head.key.clone();
        run.attempt = row.get(7)?;
        run.failures = row.get(8)?;
        run.interruptions = row.get(9)?;
        run.max_interruptions = row.get(10)?;
        run.cancel_requested = row.get(11)?;
        run.trigger = trigger(row.get(12)?)?;
        run.started_at = Some(timestamp(row.get(13)?)?);
        run.execution = row.get(14)?;
        run.parent = optional_run_id(row, 15)?;
        run.root = optional_run_id(row, 16)?;
        run.retry_of = optional_run_id(row, 17)?;
        run.error = run_error(row.get(18)?)?;
        Ok(())
    }
}
