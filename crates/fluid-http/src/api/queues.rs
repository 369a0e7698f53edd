//! `/queues`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use fluid_core::{ConsumerInfo, QueueName, RunState, Settings, Stats};
use fluid_scheduler::TaskManager;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::extract::{Body, InPath};
use crate::site::Site;

/// A lane that consumers subscribe to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueueView {
    /// Its name.
    pub(crate) name: QueueName,
    /// Whether its runs wait although there are consumers.
    pub(crate) paused: bool,
    /// How many consumers claim from it.
    pub(crate) consumers: usize,
    /// How many runs are not due yet.
    pub(crate) scheduled: u64,
    /// How many runs wait for a consumer.
    pub(crate) queued: u64,
    /// How many run.
    pub(crate) running: u64,
}

/// All queues that a task, a run, a consumer or a setting names.
#[utoipa::path(
    get, path = "/queues", tag = "queues",
    responses((status = 200, description = "The queues, by name", body = ref("#/components/schemas/QueueViewList"))),
)]
pub(super) async fn list(State(site): State<Site>) -> Result<Json<Vec<QueueView>>, Problem> {
    Ok(Json(all(&site).await?))
}

/// What is to be different about a queue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"paused": true}))]
pub(super) struct QueuePatch {
    /// Whether nothing is claimed from it. What runs goes on.
    paused: bool,
}

/// Pauses or resumes a queue.
#[utoipa::path(
    patch, path = "/queues/{queue}", tag = "queues",
    params(("queue" = String, Path, description = "The queue's name")),
    request_body(content = ref("#/components/schemas/QueuePatch"), content_type = "application/json"),
    responses(
        (status = 200, description = "The queue as it is now", body = ref("#/components/schemas/QueueView")),
        (status = 404, description = "Nobody uses such a queue", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(super) async fn patch(
    State(site): State<Site>,
    InPath(queue): InPath<String>,
    Body(patch): Body<QueuePatch>,
) -> Result<Json<QueueView>, Problem> {
    let known = all(&site).await?;
    let found = known.into_iter().find(|view| view.name.as_str() == queue);
    let mut view = found.ok_or_else(|| Problem::no_queue(&queue))?;
    let broker = site.manager.broker();
    broker
        .set_queue_paused(view.name.clone(), patch.paused)
        .await?;
    view.paused = patch.paused;
    Ok(Json(view))
}

async fn all(site: &Site) -> Result<Vec<QueueView>, Problem> {
    let broker = site.manager.broker();
    let stats = broker.stats().await?;
    let settings = broker.settings().await?;
    let consumers = broker.consumers().await?;
    Ok(QueueView::all(&site.manager, &stats, &settings, &consumers))
}

impl QueueView {
    /// Every queue that anybody knows of, by name.
    pub(crate) fn all(
        manager: &TaskManager,
        stats: &Stats,
        settings: &Settings,
        consumers: &[ConsumerInfo],
    ) -> Vec<Self> {
        let declared = manager.tasks().map(|task| &task.queue);
        let names: BTreeSet<&QueueName> = declared
            .chain(stats.queues.keys())
            .chain(&settings.paused_queues)
            .chain(consumers.iter().flat_map(|consumer| &consumer.queues))
            .collect();
        let view = |name: &QueueName| {
            let counts = stats.queues.get(name);
            let count = |state| counts.and_then(|counts| counts.get(&state)).copied();
            let takes = |consumer: &&ConsumerInfo| consumer.queues.contains(name);
            Self {
                name: name.clone(),
                paused: settings.paused_queues.contains(name),
                consumers: consumers.iter().filter(takes).count(),
                scheduled: count(RunState::Scheduled).unwrap_or_default(),
                queued: count(RunState::Queued).unwrap_or_default(),
                running: count(RunState::Running).unwrap_or_default(),
            }
        };
        names.into_iter().map(view).collect()
    }
}
