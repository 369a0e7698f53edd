//! `/tasks`.

use axum::Json;
use axum::extract::State;
use fluid_core::{Priority, QueueName, Task, TaskName};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;
use crate::site::Site;

/// A declared task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskView {
    /// Its name.
    name: TaskName,
    /// What it does, in the words of whoever declared it.
    description: String,
    /// The queue its runs wait in.
    queue: QueueName,
    /// The priority of its runs.
    priority: Priority,
    /// Words to find it by.
    tags: Vec<String>,
    /// Whether its runs start and its schedule ticks.
    enabled: bool,
    /// Its schedule in words.
    schedule: Option<String>,
    /// The next tick.
    next: Option<Timestamp>,
    /// The JSON Schema of its parameters.
    params: serde_json::Value,
}

impl TaskView {
    fn of(task: &Task, enabled: bool, now: Timestamp) -> Self {
        let next = task.schedule.as_ref().filter(|_| enabled);
        Self {
            name: task.name.clone(),
            description: task.description.clone(),
            queue: task.queue.clone(),
            priority: task.priority,
            tags: task.tags.iter().cloned().collect(),
            enabled,
            schedule: task.schedule.as_ref().map(ToString::to_string),
            next: next.and_then(|schedule| schedule.next_after(now)),
            params: task.params.as_value().clone(),
        }
    }
}

/// All declared tasks, by name.
#[utoipa::path(
    get, path = "/tasks", tag = "tasks",
    responses(
        (status = 200, description = "The tasks", body = ref("#/components/schemas/TaskList")),
    ),
)]
pub(super) async fn list(State(site): State<Site>) -> Result<Json<Vec<TaskView>>, Problem> {
    let broker = site.manager.broker();
    let disabled = broker.settings().await?.disabled_tasks;
    let now = broker.now().await?;
    let views = site.manager.tasks();
    let views = views.map(|task| TaskView::of(task, !disabled.contains(&task.name), now));
    Ok(Json(views.collect()))
}
