//! How runs come in: as lists, one for each column, so that a batch is one statement.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use fluid_core::{Due, Enqueued, Event, NewRun, Params, Priority, QueueName, RunId, Trigger};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::code::Coded;
use crate::error::{Fault, Outcome};
use crate::instant::micros;
use crate::link::Param;
use crate::record::{run_id, uuid};
use crate::text::to_kept;

/// How many interruptions a run may have where nothing else is said; what the functions fill in for `NULL`.
const MAX_INTERRUPTIONS: u32 = 3;

/// New runs as the function `enqueue` takes them. What is the same default for all of them is `None`.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    least: Uuid,
    ids: Vec<Uuid>,
    task: Option<&'a str>,
    tasks: Option<Vec<&'a str>>,
    queues: Option<Vec<&'a str>>,
    priorities: Option<Vec<i16>>,
    params: Option<Vec<Cow<'a, str>>>,
    secrets: Option<Vec<Option<String>>>,
    due: Option<Vec<Option<i64>>>,
    after: Option<Vec<Option<i64>>>,
    triggers: Option<Vec<i16>>,
    parents: Option<Vec<Option<Uuid>>>,
    roots: Option<Vec<Option<Uuid>>>,
    retry_of: Option<Vec<Option<Uuid>>>,
    keys: Option<Vec<Option<Cow<'a, str>>>>,
    windows: Option<Vec<Option<i64>>>,
    ckeys: Option<Vec<Cow<'a, str>>>,
    max_interruptions: Option<Vec<i64>>,
}

/// A list of what these runs have, unless all of them have the default.
fn unless_default<'a, T>(
    runs: &[&'a NewRun],
    default: impl Fn(&'a NewRun) -> bool,
    value: impl Fn(&'a NewRun) -> T,
) -> Option<Vec<T>> {
    let differs = runs.iter().any(|run| !default(run));
    differs.then(|| runs.iter().map(|run| value(run)).collect())
}

fn some<'a, T>(
    runs: &[&'a NewRun],
    value: impl Fn(&'a NewRun) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    unless_default(runs, |run| value(run).is_none(), &value)
}

impl<'a> Lists<'a> {
    /// The runs in their order, each id once.
    pub(crate) fn of(runs: impl IntoIterator<Item = &'a NewRun>) -> Outcome<Self> {
        let mut seen = HashSet::new();
        let runs: Vec<&NewRun> = runs.into_iter().filter(|run| seen.insert(run.id)).collect();
        Self::of_all(&runs)
    }

    /// The runs in their order, all of them.
    pub(crate) fn of_all(runs: &[&'a NewRun]) -> Outcome<Self> {
        let secrets = secrets(runs)?;
        let first = runs.first().map(|run| run.task.as_str());
        let alike = runs.iter().all(|run| Some(run.task.as_str()) == first);
        let default_queue = QueueName::default();
        let due = |run: &NewRun| match run.due {
            Due::At(instant) => Some(instant.as_microsecond()),
            _ => None,
        };
        let after = |run: &NewRun| match run.due {
            Due::After(delay) => Some(micros(delay)),
            _ => None,
        };
        let window = |run: &NewRun| run.unique.as_ref()?.window.map(micros);
        Ok(Self {
            least: runs
                .iter()
                .map(|run| uuid(run.id))
                .min()
                .unwrap_or_default(),
            ids: runs.iter().map(|run| uuid(run.id)).collect(),
            task: first.filter(|_| alike),
            tasks: (!alike).then(|| runs.iter().map(|run| run.task.as_str()).collect()),
            queues: unless_default(
                runs,
                |run| run.queue == default_queue,
                |run| run.queue.as_str(),
            ),
            priorities: unless_default(
                runs,
                |run| run.priority == Priority::Medium,
                |run| run.priority.code(),
            ),
            params: unless_default(
                runs,
                |run| run.params.expose().as_str() == "{}",
                |run| to_kept(run.params.expose().as_str()),
            ),
            secrets,
            due: some(runs, due),
            after: some(runs, after),
            triggers: unless_default(
                runs,
                |run| run.trigger == Trigger::Request,
                |run| run.trigger.code(),
            ),
            parents: some(runs, |run| run.parent.map(uuid)),
            roots: some(runs, |run| run.root.map(uuid)),
            retry_of: some(runs, |run| run.retry_of.map(uuid)),
            keys: some(runs, |run| {
                run.unique.as_ref().map(|unique| to_kept(&unique.key))
            }),
            windows: some(runs, window),
            ckeys: unless_default(
                runs,
                |run| run.concurrency_key.is_empty(),
                |run| to_kept(&run.concurrency_key),
            ),
            max_interruptions: unless_default(
                runs,
                |run| run.max_interruptions == MAX_INTERRUPTIONS,
                |run| i64::from(run.max_interruptions),
            ),
        })
    }

    /// The ids and what is behind them, in the order of the functions' parameters, for `enqueue`.
    pub(crate) fn params(&self) -> Vec<Param<'_>> {
        let mut params: Vec<Param<'_>> = vec![
            (&self.least, Type::UUID),
            (&self.ids, Type::UUID_ARRAY),
            (&self.task, Type::TEXT),
            (&self.tasks, Type::TEXT_ARRAY),
        ];
        params.extend(self.further());
        params
    }

    /// The same for `tick`, which takes one task for each run.
    pub(crate) fn tick_params<'b>(&'b self, tasks: &'b Vec<&'a str>) -> Vec<Param<'b>> {
        let mut params: Vec<Param<'b>> =
            vec![(&self.ids, Type::UUID_ARRAY), (tasks, Type::TEXT_ARRAY)];
        params.extend(self.further());
        params
    }

    fn further(&self) -> [Param<'_>; 14] {
        fn param<T: ToSql + Sync>(value: &T, of: Type) -> Param<'_> {
            (value, of)
        }
        [
            param(&self.queues, Type::TEXT_ARRAY),
            param(&self.priorities, Type::INT2_ARRAY),
            param(&self.params, Type::TEXT_ARRAY),
            param(&self.secrets, Type::TEXT_ARRAY),
            param(&self.due, Type::INT8_ARRAY),
            param(&self.after, Type::INT8_ARRAY),
            param(&self.triggers, Type::INT2_ARRAY),
            param(&self.parents, Type::UUID_ARRAY),
            param(&self.roots, Type::UUID_ARRAY),
            param(&self.retry_of, Type::UUID_ARRAY),
            param(&self.keys, Type::TEXT_ARRAY),
            param(&self.windows, Type::INT8_ARRAY),
            param(&self.ckeys, Type::TEXT_ARRAY),
            param(&self.max_interruptions, Type::INT8_ARRAY),
        ]
    }
}

/// The places of the secrets in each run's parameters.
pub(crate) fn secrets(runs: &[&NewRun]) -> Outcome<Option<Vec<Option<String>>>> {
    if runs.iter().all(|run| run.params.secret_paths().is_empty()) {
        return Ok(None);
    }
    let written = runs.iter().map(|run| secret_paths(&run.params));
    written.collect::<Outcome<_>>().map(Some)
}

pub(crate) fn secret_paths(params: &Params) -> Outcome<Option<String>> {
    match params.secret_paths() {
        [] => Ok(None),
        paths => serde_json::to_string(paths).map(Some).map_err(|error| {
            Fault::Unfit(format!("the places of secrets can't be written: {error}"))
        }),
    }
}

/// What became of each run, from the rows that name those that were not inserted.
pub(crate) fn answers(runs: &[NewRun], rows: &[Row], again: bool) -> Outcome<Vec<Enqueued>> {
    let mut duplicates = HashMap::with_capacity(rows.len());
    for row in rows {
        duplicates.insert(run_id(row.try_get(0)?), run_id(row.try_get(1)?));
    }
    Ok(outcomes(runs, &duplicates, again))
}

fn outcomes(runs: &[NewRun], duplicates: &HashMap<RunId, RunId>, again: bool) -> Vec<Enqueued> {
    let mut seen = HashSet::with_capacity(runs.len());
    let outcome = |run: &NewRun| {
        let first = seen.insert(run.id);
        match duplicates.get(&run.id) {
            // The first try, whose answer was lost, inserted it.
            Some(holder) if again && first && *holder == run.id => Enqueued::Inserted(run.id),
            Some(holder) => Enqueued::Duplicate(*holder),
            None if first => Enqueued::Inserted(run.id),
            None => Enqueued::Duplicate(run.id),
        }
    };
    runs.iter().map(outcome).collect()
}

/// What is told of new runs: one of each task.
pub(crate) fn events(runs: &[NewRun], answers: &[Enqueued]) -> Vec<Event> {
    let mut told = HashSet::new();
    let inserted = runs
        .iter()
        .zip(answers)
        .filter(|(run, answer)| matches!(answer, Enqueued::Inserted(_)) && told.insert(&run.task));
    inserted
        .map(|(run, _)| Event::Enqueued {
            run: run.id,
            task: run.task.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use fluid_core::{Params, TaskName};

    use super::*;

    fn new_run(task: &str) -> NewRun {
        NewRun::new(TaskName::parse(task).unwrap(), Params::default())
    }

    #[test]
    fn runs_that_are_alike_are_little_more_than_their_ids() {
        let runs = [new_run("a"), new_run("a")];
        let lists = Lists::of(&runs).unwrap();
        assert_eq!(
            (lists.ids.len(), lists.task, lists.least),
            (2, Some("a"), uuid(runs[0].id))
        );
        assert!(lists.tasks.is_none() && lists.params.is_none() && lists.queues.is_none());
        let mut other = new_run("b");
        other.concurrency_key = "x".into();
        let runs = [new_run("a"), other.clone(), other];
        let lists = Lists::of(&runs).unwrap();
        assert_eq!((lists.ids.len(), lists.task), (2, None));
        assert_eq!(lists.tasks, Some(vec!["a", "b"]));
        assert_eq!(lists.ckeys.unwrap(), ["", "x"]);
    }

    #[test]
    fn what_the_first_try_inserted_is_inserted_and_what_others_did_is_not() {
        let (a, b) = (new_run("a"), new_run("a"));
        let runs = [a.clone(), b.clone(), a.clone()];
        let duplicates = [(a.id, a.id), (b.id, a.id)].into();
        let told = outcomes(&runs, &duplicates, true);
        assert_eq!(
            told,
            [
                Enqueued::Inserted(a.id),
                Enqueued::Duplicate(a.id),
                Enqueued::Duplicate(a.id)
            ]
        );
        let told = outcomes(&runs, &duplicates, false);
        assert_eq!(told[0], Enqueued::Duplicate(a.id));
        let told = outcomes(&runs, &HashMap::new(), false);
        assert_eq!(
            told,
            [
                Enqueued::Inserted(a.id),
                Enqueued::Inserted(b.id),
                Enqueued::Duplicate(a.id)
            ]
        );
    }
}
