//! Runs that go to another broker, and runs that come from one.

use std::collections::BTreeMap;

use fluid_core::{
    Attempt, AttemptOutcome, BrokerResult, ExportedRun, HeldKey, RunId, TaskName, TaskRun,
};
use jiff::Timestamp;
use redis::{Cmd, Value};

use crate::answer;
use crate::broker::RedisBroker;
use crate::course;
use crate::end::error_text;
use crate::fault::Outcome;
use crate::link::Lasts;
use crate::record::{self, Names, instant};
use crate::request;
use crate::script;
use crate::text::{escape, unescape};

/// How many runs one script takes.
const AT_ONCE: usize = 500;

impl RedisBroker {
    pub(crate) async fn give(
        &self,
        after: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Vec<ExportedRun>> {
        let mut given: Vec<ExportedRun> = Vec::new();
        while given.len() < limit {
            let after = given.last().map(|one| one.run.id).or(after);
            let most = AT_ONCE.min(limit - given.len());
            let answer = self
                .link
                .run(&script::EXPORT, Lasts::No, |command| {
                    command
                        .arg(after.map_or_else(String::new, |id| id.to_string()))
                        .arg(most);
                })
                .await?;
            let mut names = Names::default();
            let some = self.read(|| {
                let runs = answer::list(answer)?.into_iter();
                runs.map(|run| exported(run, &mut names))
                    .collect::<Outcome<Vec<_>>>()
            })?;
            let is_last = some.len() < most;
            given.extend(some);
            if is_last {
                break;
            }
        }
        Ok(given)
    }

    pub(crate) async fn take_over(
        &self,
        runs: &[ExportedRun],
        ticks: &BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        ExportedRun::check_none_runs(runs, self.link.url())?;
        let records = self.read(|| runs.iter().map(Record::of).collect::<Outcome<Vec<_>>>())?;
        let none = BTreeMap::new();
        let mut new = 0;
        // The ticks go first, with no run if there is none.
        let mut some = ticks;
        for records in records
            .chunks(AT_ONCE)
            .chain(records.is_empty().then_some(&[][..]))
        {
            let answer = self
                .link
                .run(&script::IMPORT, Lasts::Yes, |command| {
                    command.arg(some.len());
                    for (task, at) in some {
                        command.arg(task.as_str()).arg(at.as_microsecond());
                    }
                    command.arg(records.len());
                    for record in records {
                        record.write(command);
                    }
                })
                .await?;
            some = &none;
            let (count, said) = self.read(|| {
                let [count, said] = answer::parts(answer)?;
                let count = answer::text(count)?;
                let count: usize = count
                    .parse()
                    .map_err(|_| record::corrupt("a count", count.as_bytes()))?;
                Ok((count, answer::text(said)?))
            })?;
            self.tell(&said);
            new += count;
        }
        Ok(new)
    }
}

fn exported(run: Value, names: &mut Names) -> Outcome<ExportedRun> {
    let [id, fixed, att, past, held] = answer::parts(run)?;
    let id = record::run_id(&answer::text(id)?)?;
    let (run, course) = course::run(id, &answer::bytes(fixed)?, &answer::bytes(att)?, names)?;
    let past = answer::list(past)?.into_iter();
    let past = past.map(|past| course::past_attempt(&answer::bytes(past)?, names));
    let mut attempts = past.collect::<Outcome<Vec<_>>>()?;
    attempts.extend(course.and_then(|course| course::last_attempt(&run, &course)));
    let held = answer::text(held)?;
    let key = match held
        .strip_prefix('=')
        .and_then(|held| held.split_once('\t'))
    {
        None => None,
        Some((key, until)) => Some(HeldKey {
            key: unescape(key).into(),
            until: if until.is_empty() {
                None
            } else {
                Some(instant(until)?)
            },
        }),
    };
    Ok(ExportedRun::new(run, key, attempts))
}

/// A run as the script takes it over.
struct Record<'a> {
    run: &'a TaskRun,
    key: Option<&'a HeldKey>,
    state: &'static str,
    /// It ended, and no attempt with it.
    ended_waiting: bool,
    /// What happened since it was enqueued; empty for a run that never started.
    course: String,
    past: Vec<String>,
}

impl<'a> Record<'a> {
    fn of(exported: &'a ExportedRun) -> Outcome<Self> {
        let run = &exported.run;
        let state = if exported.is_adoptable() {
            "o"
        } else {
            record::letter(run.state)
        };
        let (past, current) = exported.past();
        let ended_waiting = run.state.is_terminal() && !current;
        let started = run.attempt > 0 || run.state.is_terminal();
        Ok(Self {
            run,
            key: exported.unique.as_ref(),
            state,
            ended_waiting,
            course: if started { course(run)? } else { String::new() },
            past: past.iter().map(past_text).collect::<Outcome<_>>()?,
        })
    }

    fn write(&self, command: &mut Cmd) {
        let run = self.run;
        let micros = |at: Timestamp| at.as_microsecond();
        command
            .arg(run.id.to_string())
            .arg(request::lane_of(run))
            .arg(self.state);
        command.arg(micros(run.created_at)).arg(micros(run.due_at));
        command.arg(
            run.ended_at
                .map_or_else(String::new, |at| micros(at).to_string()),
        );
        let mut head = String::new();
        let others = [run.parent, run.root, run.retry_of];
        request::write_head(
            &mut head,
            run.trigger,
            others,
            run.max_interruptions,
            &run.params,
        );
        command.arg(head);
        match self.key {
            Some(held) => {
                command.arg(format!("={}", escape(&held.key)));
                command.arg(
                    held.until
                        .map_or_else(String::new, |at| micros(at).to_string()),
                );
            }
            None => {
                command.arg("").arg("");
            }
        }
        command.arg(run.params.expose().as_str());
        command.arg(u8::from(run.cancel_requested) + 8 * u8::from(self.ended_waiting));
        command
            .arg(&self.course)
            .arg(self.past.len())
            .arg(&self.past);
    }
}

/// The second record of a run behind its due time.
fn course(run: &TaskRun) -> Outcome<String> {
    let consumer = run
        .consumer
        .as_ref()
        .map_or("", |consumer| consumer.as_str());
    let started = run
        .started_at
        .map_or_else(String::new, |at| at.as_microsecond().to_string());
    let mut course = format!(
        "{started}\t{}\t{}\t{}\t{consumer}\n",
        run.attempt, run.failures, run.interruptions
    );
    let mut line = |tag: char, text: &str| course.push_str(&format!("{tag}{text}\n"));
    if let Some(at) = run.ended_at {
        line('z', &at.as_microsecond().to_string());
    }
    if let Some(execution) = &run.execution {
        line('e', &escape(execution));
    }
    if let Some(error) = &run.error {
        line('x', &error_text(error)?);
    }
    if let Some(result) = &run.result {
        course.push('y');
        course.push_str(result.as_str());
    }
    Ok(course)
}

fn past_text(attempt: &Attempt) -> Outcome<String> {
    let outcome = match attempt.outcome {
        AttemptOutcome::Released => 'r',
        AttemptOutcome::Interrupted => 'i',
        _ => 'f',
    };
    let ended = attempt.ended_at.unwrap_or(attempt.started_at);
    let execution = attempt
        .execution
        .as_deref()
        .map_or_else(String::new, |place| format!("={}", escape(place)));
    let error = attempt
        .error
        .as_ref()
        .map(error_text)
        .transpose()?
        .unwrap_or_default();
    Ok(format!(
        "{}\t{outcome}\t{}\t{}\t{}\t{execution}\n{error}",
        attempt.number,
        attempt.started_at.as_microsecond(),
        ended.as_microsecond(),
        attempt.consumer,
    ))
}
