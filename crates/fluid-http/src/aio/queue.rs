//! `/tasks-status` and `/tasks-queue`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use fluid_core::{Cancelled, Priority, RunFilter, RunId, RunState, TaskRun};
use serde::Serialize;
use serde_json::{Value, json};

use super::refusal::{Refusal, fault_by};
use crate::site::Site;

/// How many waiting runs are looked at: brokers don't count them by priority.
const LOOKED_AT: usize = 10_000;
/// How many of them in one call of the broker.
const PAGE: usize = 500;

/// `TaskManagersStatus`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    workers: Vec<Value>,
    queues: BTreeMap<Priority, usize>,
}

pub(super) async fn status(State(site): State<Site>) -> Result<Json<Status>, Refusal> {
    let consumers = site.manager.broker().consumers().await?;
    let worker = |consumer| json!({ "kind": "task_consumer", "status": consumer });
    let waiting = waiting(&site).await?;
    let count = |priority| {
        let of_it = waiting.iter().filter(|run| run.priority == priority);
        (priority, of_it.count())
    };
    Ok(Json(Status {
        workers: consumers.into_iter().map(worker).collect(),
        queues: Priority::ALL.map(count).into(),
    }))
}

pub(super) async fn clear(
    State(site): State<Site>,
) -> Result<Json<BTreeMap<Priority, usize>>, Refusal> {
    remove(&site, &Priority::ALL).await.map(Json)
}

pub(super) async fn clear_priority(
    State(site): State<Site>,
    Path(priority): Path<String>,
) -> Result<Json<BTreeMap<Priority, usize>>, Refusal> {
    let Ok(priority) = priority.parse::<Priority>() else {
        let names = "'high', 'medium' or 'low'";
        return Err(Refusal::faults(vec![fault_by(
            "enum",
            &json!(["path", "priority"]),
            &format!("Input should be {names}"),
            json!({ "expected": names }),
        )]));
    };
    remove(&site, &[priority]).await.map(Json)
}

/// Cancels the runs of these priorities that wait; how many of each.
async fn remove(
    site: &Site,
    priorities: &[Priority],
) -> Result<BTreeMap<Priority, usize>, Refusal> {
    let mut removed: BTreeMap<Priority, usize> = priorities.iter().map(|one| (*one, 0)).collect();
    for run in waiting(site).await? {
        if let Some(count) = removed.get_mut(&run.priority)
            && site.manager.cancel(run.id).await? == Cancelled::Aborted
        {
            *count += 1;
        }
    }
    Ok(removed)
}

/// The newest runs that wait, due or not.
async fn waiting(site: &Site) -> Result<Vec<TaskRun>, Refusal> {
    let filter = RunFilter {
        states: vec![RunState::Queued, RunState::Scheduled],
        ..RunFilter::default()
    };
    let mut found = Vec::new();
    let mut before: Option<RunId> = None;
    loop {
        let broker = site.manager.broker();
        let page = broker.list(filter.clone(), before, PAGE).await?;
        found.extend(page.runs);
        before = page.next;
        if before.is_none() || found.len() >= LOOKED_AT {
            return Ok(found);
        }
    }
}
