//! `/tasks`.

use axum::Json;
use axum::extract::State;
use fluid_core::{Priority, QueueName, Task, TaskName, duration};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::extract::{Asked, Body, InPath};
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
    /// Whether it runs outside the consumer: as a process, or as a Kubernetes Job.
    cpu_bound: bool,
    /// How many of its runs may be running at once; 0 means no limit.
    max_concurrency: u32,
    /// How long an attempt may take, such as `1m 30s`; `null` means no limit.
    timeout: Option<String>,
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
            cpu_bound: task.cpu_bound,
            max_concurrency: task.max_concurrency,
            timeout: task.timeout.map(duration::format),
            schedule: task.schedule.as_ref().map(ToString::to_string),
            next: next.and_then(|schedule| schedule.next_after(now)),
            params: task.params.as_value().clone(),
        }
    }
}

/// Which tasks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct TagsQuery {
    /// Tasks with this tag; with each of them when it is said several times.
    tag: Vec<String>,
}

/// All declared tasks, by name.
#[utoipa::path(
    get, path = "/tasks", tag = "tasks", extensions(("x-query" = json!(["TagsQuery"]))),
    responses((status = 200, description = "The tasks", body = ref("#/components/schemas/TaskViewList"))),
)]
pub(super) async fn list(
    State(site): State<Site>,
    Asked(query, _): Asked<TagsQuery>,
) -> Result<Json<Vec<TaskView>>, Problem> {
    let broker = site.manager.broker();
    let disabled = broker.settings().await?.disabled_tasks;
    let now = broker.now().await?;
    let tagged = |task: &&std::sync::Arc<Task>| query.tag.iter().all(|tag| task.tags.contains(tag));
    let tasks = site.manager.tasks().filter(tagged);
    let views = tasks.map(|task| TaskView::of(task, !disabled.contains(&task.name), now));
    Ok(Json(views.collect()))
}

/// One task.
#[utoipa::path(
    get, path = "/tasks/{task}", tag = "tasks",
    params(("task" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "The task", body = ref("#/components/schemas/TaskView")),
        (status = 404, description = "There is no such task", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(site): State<Site>,
    InPath(task): InPath<String>,
) -> Result<Json<TaskView>, Problem> {
    let task = declared(&site, &task)?;
    view(&site, task).await
}

/// What is to be different about a task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({"enabled": false}))]
pub(super) struct TaskPatch {
    /// Whether its runs start and its schedule ticks. What runs goes on.
    enabled: bool,
}

/// Enables or disables a task.
#[utoipa::path(
    patch, path = "/tasks/{task}", tag = "tasks",
    params(("task" = String, Path, description = "The task's name")),
    request_body(content = ref("#/components/schemas/TaskPatch"), content_type = "application/json"),
    responses(
        (status = 200, description = "The task as it is now", body = ref("#/components/schemas/TaskView")),
        (status = 404, description = "There is no such task", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(super) async fn patch(
    State(site): State<Site>,
    InPath(task): InPath<String>,
    Body(patch): Body<TaskPatch>,
) -> Result<Json<TaskView>, Problem> {
    let task = declared(&site, &task)?;
    let broker = site.manager.broker();
    broker
        .set_task_enabled(task.name.clone(), patch.enabled)
        .await?;
    view(&site, task).await
}

async fn view(site: &Site, task: &Task) -> Result<Json<TaskView>, Problem> {
    let broker = site.manager.broker();
    let enabled = !broker.settings().await?.disabled_tasks.contains(&task.name);
    Ok(Json(TaskView::of(task, enabled, broker.now().await?)))
}

fn declared<'a>(site: &'a Site, name: &str) -> Result<&'a Task, Problem> {
    let task = TaskName::parse(name)
        .ok()
        .and_then(|name| site.manager.task(&name));
    task.map(AsRef::as_ref)
        .ok_or_else(|| Problem::no_task(name))
}
