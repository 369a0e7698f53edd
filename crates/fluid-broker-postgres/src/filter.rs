//! A filter as conditions of a statement.

use fluid_core::{RunFilter, RunState};
use jiff::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::code::{ADOPTABLE, Coded};
use crate::link::Param;
use crate::record::uuid;

/// The values that a filter compares with.
#[derive(Debug)]
pub(crate) struct Filter {
    ids: Vec<Uuid>,
    tasks: Vec<String>,
    queues: Vec<String>,
    states: Vec<i16>,
    parent: Option<Uuid>,
    root: Option<Uuid>,
    created_from: Option<i64>,
    created_before: Option<i64>,
    ended_before: Option<i64>,
    finished: bool,
    unfinished: bool,
}

impl Filter {
    pub(crate) fn of(filter: &RunFilter) -> Self {
        let micros = |instant: Option<Timestamp>| instant.map(Timestamp::as_microsecond);
        let wanted = |terminal: bool| {
            let states = &filter.states;
            states.is_empty() || states.iter().any(|state| state.is_terminal() == terminal)
        };
        let mut states: Vec<i16> = filter.states.iter().map(|state| state.code()).collect();
        if filter.states.contains(&RunState::Queued) {
            states.push(ADOPTABLE);
        }
        Self {
            ids: filter.ids.iter().map(|id| uuid(*id)).collect(),
            tasks: filter
                .tasks
                .iter()
                .map(|task| task.as_str().to_owned())
                .collect(),
            queues: filter
                .queues
                .iter()
                .map(|queue| queue.as_str().to_owned())
                .collect(),
            states,
            parent: filter.parent.map(uuid),
            root: filter.root.map(uuid),
            created_from: micros(filter.created_from),
            created_before: micros(filter.created_before),
            ended_before: micros(filter.ended_before),
            finished: wanted(true),
            unfinished: wanted(false) && filter.ended_before.is_none(),
        }
    }

    /// Whether a finished run may pass.
    pub(crate) fn wants_finished(&self) -> bool {
        self.finished
    }

    /// Whether a run that is not finished may pass.
    pub(crate) fn wants_unfinished(&self) -> bool {
        self.unfinished
    }

    /// The conditions on a row of finished runs, or of those that are not; what they compare with is appended to
    /// `params`. Only what is asked for stands there, so that the server sees which index finds it.
    pub(crate) fn conditions<'a>(&'a self, finished: bool, params: &mut Vec<Param<'a>>) -> String {
        let mut all = vec!["true".to_owned()];
        let mut add = |condition: &str, param: Param<'a>| {
            params.push(param);
            all.push(condition.replace('?', &format!("${}", params.len())));
        };
        if !self.ids.is_empty() {
            add("id = ANY (?)", (&self.ids, Type::UUID_ARRAY));
        }
        match self.tasks.as_slice() {
            [] => {}
            [task] => add("task = ?", (task, Type::TEXT)),
            _ => add("task = ANY (?)", (&self.tasks, Type::TEXT_ARRAY)),
        }
        if !self.queues.is_empty() {
            add("queue = ANY (?)", (&self.queues, Type::TEXT_ARRAY));
        }
        if !self.states.is_empty() {
            // The predicate of the index of those that did not succeed.
            let otherwise = finished && !self.states.contains(&RunState::Success.code());
            let condition = if otherwise {
                "state = ANY (?) AND state <> 4"
            } else {
                "state = ANY (?)"
            };
            add(condition, (&self.states, Type::INT2_ARRAY));
        }
        if let Some(parent) = &self.parent {
            add("parent = ?", (parent, Type::UUID));
        }
        if let Some(root) = &self.root {
            add("(root = ? OR id = ?)", (root, Type::UUID));
        }
        if let Some(from) = &self.created_from {
            add("created_at >= ?", (from, Type::INT8));
        }
        if let Some(before) = &self.created_before {
            add("created_at < ?", (before, Type::INT8));
        }
        if let Some(before) = self.ended_before.as_ref().filter(|_| finished) {
            add("ended_at < ?", (before, Type::INT8));
        }
        all.join(" AND ")
    }
}
