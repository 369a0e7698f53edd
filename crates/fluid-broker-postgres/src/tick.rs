//! Ticks.

use std::collections::{BTreeMap, HashSet};

use fluid_core::{Event, NewRun, Tick, Ticked};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::enqueue::Lists;
use crate::error::Outcome;
use crate::record::run_id;

/// Ticks as the function takes them: each once, in the order of task and instant, whoever asks.
#[derive(Debug)]
pub(crate) struct Ticks<'a> {
    /// For each its place in the request.
    places: Vec<usize>,
    runs: Vec<&'a NewRun>,
    pub(crate) tasks: Vec<&'a str>,
    pub(crate) instants: Vec<i64>,
    pub(crate) run_tasks: Vec<&'a str>,
}

impl<'a> Ticks<'a> {
    pub(crate) fn of(ticks: &'a [Tick]) -> Self {
        let mut first = BTreeMap::new();
        for (place, tick) in ticks.iter().enumerate() {
            let identity = (tick.task.as_str(), tick.instant.as_microsecond());
            first.entry(identity).or_insert(place);
        }
        let places: Vec<usize> = first.values().copied().collect();
        let runs: Vec<&NewRun> = places.iter().map(|place| &ticks[*place].run).collect();
        Self {
            run_tasks: runs.iter().map(|run| run.task.as_str()).collect(),
            runs,
            tasks: first.keys().map(|(task, _)| *task).collect(),
            instants: first.keys().map(|(_, instant)| *instant).collect(),
            places,
        }
    }

    /// The runs, one for each tick.
    pub(crate) fn lists(&self) -> Outcome<Lists<'a>> {
        Lists::of_all(&self.runs)
    }

    /// What became of each tick of the request, and what there is to tell.
    pub(crate) fn read(&self, ticks: &[Tick], row: &Row) -> Outcome<(Vec<Ticked>, Vec<Event>)> {
        let whats: Vec<i16> = row.try_get(0)?;
        let holders: Vec<Uuid> = row.try_get(1)?;
        let mut answers = vec![Ticked::AlreadyFired; ticks.len()];
        let mut events = Vec::new();
        let mut told = HashSet::new();
        for ((place, what), holder) in self.places.iter().zip(whats).zip(holders) {
            let holder = run_id(holder);
            answers[*place] = match what {
                0 => continue,
                1 => Ticked::Fired(holder),
                _ => Ticked::Disabled,
            };
            let run = &ticks[*place].run;
            if what == 1 && holder == run.id && told.insert(run.id) {
                events.push(Event::Enqueued {
                    run: run.id,
                    task: run.task.clone(),
                });
            }
        }
        Ok((answers, events))
    }
}
