//! How runs come in: by request, by tick, once more.

use std::collections::BTreeMap;

use fluid_core::{BrokerResult, Enqueued, NewRun, RunFilter, RunId, TaskName, Tick, Ticked};
use jiff::Timestamp;
use redis::Value;

use crate::answer;
use crate::broker::RedisBroker;
use crate::fault::Outcome;
use crate::link::Lasts;
use crate::record::{instant, run_id};
use crate::request::{Section, sections};
use crate::script;

/// How many runs one script takes: some 20 ms of the server's time. A larger batch goes in piece by piece.
const AT_ONCE: usize = 5000;

impl RedisBroker {
    pub(crate) async fn enqueue_all(&self, runs: &[NewRun]) -> BrokerResult<Vec<Enqueued>> {
        let mut enqueued = Vec::with_capacity(runs.len());
        for some in runs.chunks(AT_ONCE) {
            let sections = sections(some);
            let answer = self
                .link
                .run(&script::ENQUEUE, Lasts::Yes, |command| {
                    command.arg(sections.len());
                    for section in &sections {
                        section.write_size(command);
                        section.write(command);
                    }
                })
                .await?;
            let read = self.read(|| read_enqueued(answer, some))?;
            self.tell(&read.1);
            enqueued.extend(read.0);
        }
        Ok(enqueued)
    }

    pub(crate) async fn fire(&self, ticks: &[Tick]) -> BrokerResult<Vec<Ticked>> {
        let mut fired = Vec::with_capacity(ticks.len());
        for some in ticks.chunks(AT_ONCE) {
            let sections: Vec<Section> = some
                .iter()
                .enumerate()
                .filter_map(|(place, tick)| Section::new(std::slice::from_ref(&tick.run), place))
                .collect();
            let answer = self
                .link
                .run(&script::TICK, Lasts::Yes, |command| {
                    command.arg(some.len());
                    for (tick, section) in some.iter().zip(&sections) {
                        command
                            .arg(tick.task.as_str())
                            .arg(tick.instant.as_microsecond());
                        section.write(command);
                    }
                })
                .await?;
            let read = self.read(|| {
                let [answers, said] = answer::parts(answer)?;
                let answers = answer::texts(answers)?
                    .iter()
                    .map(|text| ticked(text))
                    .collect::<Outcome<Vec<_>>>()?;
                Ok((answers, answer::text(said)?))
            })?;
            self.tell(&read.1);
            fired.extend(read.0);
        }
        Ok(fired)
    }

    pub(crate) async fn latest_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        let answer = self.link.run(&script::TICKED, Lasts::No, |_| {}).await?;
        self.read(|| {
            let texts = answer::texts(answer)?;
            let pairs = texts.chunks_exact(2);
            pairs
                .map(|pair| {
                    let task = TaskName::parse(&pair[0])
                        .map_err(|_| crate::record::corrupt("a task", pair[0].as_bytes()))?;
                    Ok((task, instant(&pair[1])?))
                })
                .collect()
        })
    }

    /// What has ended stays as it ended, so it may be read first and enqueued then.
    pub(crate) async fn once_more(
        &self,
        filter: &RunFilter,
        limit: usize,
    ) -> BrokerResult<Vec<RunId>> {
        let (old, _) = self.find_ended(filter, limit).await?;
        let again: Vec<NewRun> = old.iter().map(NewRun::once_more).collect();
        self.enqueue_all(&again).await?;
        Ok(again.iter().map(|run| run.id).collect())
    }
}

fn read_enqueued(answer: Value, runs: &[NewRun]) -> Outcome<(Vec<Enqueued>, String)> {
    let [answers, said] = answer::parts(answer)?;
    let said = answer::text(said)?;
    if answers == Value::Nil {
        return Ok((
            runs.iter().map(|run| Enqueued::Inserted(run.id)).collect(),
            said,
        ));
    }
    let answers = answer::texts(answers)?;
    let enqueued = runs.iter().zip(&answers).map(|(run, answer)| {
        Ok(match answer.as_str() {
            "" => Enqueued::Inserted(run.id),
            holder => Enqueued::Duplicate(run_id(holder)?),
        })
    });
    Ok((enqueued.collect::<Outcome<_>>()?, said))
}

fn ticked(answer: &str) -> Outcome<Ticked> {
    Ok(match answer {
        "" => Ticked::AlreadyFired,
        "x" => Ticked::Disabled,
        run => Ticked::Fired(run_id(run)?),
    })
}
