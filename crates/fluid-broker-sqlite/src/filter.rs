//! Which index finds the runs that a filter wants.
//!
//! Each index that could be used is followed from its end, and what it finds is checked against the whole filter.
//! Which of them has the least to look at is read from the counts of runs.

use fluid_core::{RunFilter, RunId};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::error::Outcome;
use crate::place::{Kind, Lane, state_place};
use crate::sql;
use crate::state::Stored;
use crate::store::Reading;

/// With so many runs in a state, all of them are looked at and sorted; with more, some that pass are found soon
/// by going through all runs.
const FEW: i64 = 10_000;

/// A filter with the numbers of the file in place of names.
#[derive(Debug)]
pub(crate) struct Filter {
    ids: Vec<RunId>,
    tasks: Option<Vec<i64>>,
    states: Option<Vec<Stored>>,
    queues: Option<Vec<i64>>,
    tasks_json: Option<String>,
    states_json: Option<String>,
    queues_json: Option<String>,
    parent: Option<RunId>,
    root: Option<RunId>,
    created_from: Option<i64>,
    created_before: Option<i64>,
    ended_before: Option<i64>,
}

/// One way to find runs: a statement, and what its index is searched for.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) sql: &'static str,
    keys: [Value; 2],
}

impl Way {
    fn new(sql: &'static str) -> Self {
        Self {
            sql,
            keys: [Value::Null, Value::Null],
        }
    }

    fn number(sql: &'static str, key: i64) -> Self {
        Self {
            sql,
            keys: [Value::Integer(key), Value::Null],
        }
    }

    fn lane(lane: Lane) -> Self {
        Self {
            sql: sql::NEWEST_IN_LANE,
            keys: [Value::Integer(lane.first), Value::Integer(lane.last)],
        }
    }

    fn run(sql: &'static str, key: RunId) -> Self {
        Self {
            sql,
            keys: [Value::Blob(key.as_bytes().to_vec()), Value::Null],
        }
    }
}

/// How many runs there are: state, task, queue, number.
type Count = (Stored, i64, i64, i64);

fn json<T>(values: Option<&[T]>, number: impl Fn(&T) -> i64) -> Option<String> {
    let numbers: Vec<String> = values?
        .iter()
        .map(|value| number(value).to_string())
        .collect();
    Some(format!("[{}]", numbers.join(",")))
}

impl Filter {
    /// `None` when nothing can pass: the file knows none of the tasks or queues.
    pub(crate) fn of(on: &mut Reading, filter: &RunFilter) -> Outcome<Option<Self>> {
        let mut tasks = Vec::new();
        for name in &filter.tasks {
            tasks.extend(on.names.tasks.find(&on.connection, name)?);
        }
        let mut queues = Vec::new();
        for name in &filter.queues {
            queues.extend(on.names.queues.find(&on.connection, name)?);
        }
        if (tasks.is_empty() && !filter.tasks.is_empty())
            || (queues.is_empty() && !filter.queues.is_empty())
        {
            return Ok(None);
        }
        tasks.sort_unstable();
        tasks.dedup();
        let tasks = (!tasks.is_empty()).then_some(tasks);
        let queues = (!queues.is_empty()).then_some(queues);
        let states: Vec<Stored> = Stored::ALL
            .into_iter()
            .filter(|state| filter.states.contains(&state.public()))
            .collect();
        let states = (!states.is_empty()).then_some(states);
        let micros = |instant: jiff::Timestamp| instant.as_microsecond();
        let mut ids = filter.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(Self {
            ids,
            tasks_json: json(tasks.as_deref(), |task| *task),
            states_json: json(states.as_deref(), |state| state.code()),
            queues_json: json(queues.as_deref(), |queue| *queue),
            tasks,
            states,
            queues,
            parent: filter.parent,
            root: filter.root,
            created_from: filter.created_from.map(micros),
            created_before: filter.created_before.map(micros),
            ended_before: filter.ended_before.map(micros),
        }))
    }

    /// The same filter, but of finished runs alone. `None` when it asks for none of them.
    pub(crate) fn finished(mut self) -> Option<Self> {
        let mut states = Stored::FINISHED.to_vec();
        if let Some(wanted) = &self.states {
            states.retain(|state| wanted.contains(state));
        }
        if states.is_empty() {
            return None;
        }
        self.states_json = json(Some(&states), |state| state.code());
        self.states = Some(states);
        Some(self)
    }

    /// How to find the newest runs that pass. Together the ways find all of them, and none of them twice.
    pub(crate) fn newest(&self, on: &Reading) -> Outcome<Vec<Way>> {
        if let Some(ways) = self.family(
            [sql::NEWEST_OF_ROOT, sql::NEWEST_ITSELF],
            sql::NEWEST_OF_PARENT,
        ) {
            return Ok(ways);
        }
        let counts = counts(on)?;
        if !counts.iter().any(|count| self.could_pass(count)) {
            // Otherwise all runs of a task would be looked at to find that none of them failed.
            return Ok(Vec::new());
        }
        if let Some(states) = &self.states {
            let few = counts
                .iter()
                .filter(|(state, ..)| states.contains(state))
                .map(|(.., n)| n)
                .sum::<i64>()
                <= FEW;
            if few {
                return Ok(states
                    .iter()
                    .flat_map(|state| newest_in_state(*state, &counts))
                    .collect());
            }
        }
        Ok(match &self.tasks {
            Some(tasks) => tasks
                .iter()
                .map(|task| Way::number(sql::NEWEST_OF_TASK, *task))
                .collect(),
            None => vec![Way::new(sql::NEWEST)],
        })
    }

    /// Whether the runs that were counted together could pass.
    fn could_pass(&self, (state, task, queue, _): &Count) -> bool {
        let asked = |wanted: &Option<Vec<i64>>, number: &i64| {
            wanted.as_ref().is_none_or(|wanted| wanted.contains(number))
        };
        let states = self.states.as_ref();
        states.is_none_or(|states| states.contains(state))
            && asked(&self.tasks, task)
            && asked(&self.queues, queue)
    }

    /// How to find the finished runs that pass, those that ended first before the others.
    pub(crate) fn oldest(&self, on: &Reading) -> Outcome<Vec<Way>> {
        if let Some(ways) = self.family(
            [sql::OLDEST_OF_ROOT, sql::OLDEST_ITSELF],
            sql::OLDEST_OF_PARENT,
        ) {
            return Ok(ways);
        }
        if let Some(tasks) = &self.tasks {
            let of_tasks: i64 = counts(on)?
                .iter()
                .filter(|(_, task, ..)| tasks.contains(task))
                .map(|(.., n)| n)
                .sum();
            if of_tasks <= FEW {
                return Ok(tasks
                    .iter()
                    .map(|task| Way::number(sql::OLDEST_OF_TASK, *task))
                    .collect());
            }
        }
        Ok(self
            .states
            .iter()
            .flatten()
            .map(|state| Way::number(sql::OLDEST_FINISHED, state_place(*state)))
            .collect())
    }

    /// The ways to the few runs that are named or belong together.
    fn family(&self, root: [&'static str; 2], parent: &'static str) -> Option<Vec<Way>> {
        if !self.ids.is_empty() {
            let [_, itself] = root;
            let ways = self.ids.iter().map(|id| Way::run(itself, *id));
            return Some(ways.collect());
        }
        if let Some(id) = self.parent {
            return Some(vec![Way::run(parent, id)]);
        }
        let id = self.root?;
        Some(root.into_iter().map(|sql| Way::run(sql, id)).collect())
    }

    /// What a statement of a [`Way`] is given.
    pub(crate) fn bind<'a>(
        &'a self,
        way: &'a Way,
        bound: &'a dyn ToSql,
        limit: i64,
    ) -> impl rusqlite::Params + 'a {
        let [first, second] = &way.keys;
        let values: [Bound<'a>; 12] = [
            Bound::Given(bound),
            Bound::Number(Some(limit)),
            Bound::Given(first),
            Bound::Given(second),
            Bound::Given(&self.tasks_json),
            Bound::Given(&self.states_json),
            Bound::Given(&self.queues_json),
            Bound::Run(self.parent.as_ref()),
            Bound::Run(self.root.as_ref()),
            Bound::Number(self.created_from),
            Bound::Number(self.created_before),
            Bound::Number(self.ended_before),
        ];
        rusqlite::params_from_iter(values)
    }
}

/// One value to bind.
enum Bound<'a> {
    Given(&'a dyn ToSql),
    Number(Option<i64>),
    Run(Option<&'a RunId>),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Given(value) => return value.to_sql(),
            Self::Number(number) => ToSqlOutput::Owned(number.map_or(Value::Null, Value::Integer)),
            Self::Run(run) => ToSqlOutput::Borrowed(
                run.map_or(ValueRef::Null, |run| ValueRef::Blob(run.as_bytes())),
            ),
        })
    }
}

fn newest_in_state(state: Stored, counts: &[Count]) -> Vec<Way> {
    let kinds: &[Kind] = match state {
        Stored::Queued => &[Kind::Plain, Kind::Keyed],
        Stored::Adoptable => &[Kind::Adoptable],
        _ => return vec![Way::lane(Lane::of_state(state))],
    };
    counts
        .iter()
        .filter(|(counted, ..)| *counted == state)
        .flat_map(|(_, task, queue, _)| {
            let lane = |kind: &Kind| Way::lane(Lane::new(*kind, *task, *queue));
            kinds.iter().map(lane)
        })
        .collect()
}

/// The counts that are not zero.
pub(crate) fn counts(on: &Reading) -> Outcome<Vec<Count>> {
    let mut get = on.connection.prepare_cached(sql::COUNTS)?;
    let mut rows = get.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push((
            crate::record::state(row.get(0)?)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
        ));
    }
    Ok(counts)
}
