//! `/status`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use fluid_core::{QueueName, RunState, TaskName};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;
use crate::site::Site;

/// How it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusView {
    /// The application.
    name: String,
    /// Its version.
    version: String,
    /// The broker, without secrets.
    broker: String,
    /// The broker's clock.
    now: Timestamp,
    /// How many runs are in each state.
    states: BTreeMap<RunState, u64>,
    /// By queue, the runs that are not finished.
    queues: BTreeMap<QueueName, BTreeMap<RunState, u64>>,
    /// Since when the longest-waiting run is due.
    oldest_queued: Option<Timestamp>,
    /// How many consumers there are.
    consumers: usize,
    /// How many runs they may execute at once, together.
    slots: usize,
    /// The next tick of each scheduled task.
    next: BTreeMap<TaskName, Timestamp>,
    /// Tasks whose runs don't start.
    disabled_tasks: Vec<TaskName>,
    /// Queues that nothing is claimed from.
    paused_queues: Vec<QueueName>,
}

/// How it stands: runs by state, queues, consumers.
#[utoipa::path(
    get, path = "/status", tag = "status",
    responses((status = 200, description = "The status", body = ref("#/components/schemas/StatusView"))),
)]
pub(super) async fn get(State(site): State<Site>) -> Result<Json<StatusView>, Problem> {
    let broker = site.manager.broker();
    let stats = broker.stats().await?;
    let settings = broker.settings().await?;
    let consumers = broker.consumers().await?;
    let now = broker.now().await?;
    Ok(Json(StatusView {
        name: site.options.name.clone(),
        version: site.options.version.clone(),
        broker: broker.describe(),
        now,
        states: RunState::ALL
            .map(|state| (state, stats.count(state)))
            .into(),
        queues: stats.queues,
        oldest_queued: stats.oldest_queued,
        consumers: consumers.len(),
        slots: consumers
            .iter()
            .map(|consumer| consumer.max_concurrent_tasks)
            .sum(),
        next: site.manager.next_ticks(now),
        disabled_tasks: settings.disabled_tasks,
        paused_queues: settings.paused_queues,
    }))
}
