//! `/tasks` and `/tasks/{name}`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum_extra::extract::Query;
use fluid_core::{JsonText, QueueRequest, RunFilter, Task, TaskName};
use serde_json::{Value, json};

use super::query::truth;
use super::refusal::{Refusal, fault};
use super::shapes::{QueuedRun, TaskInfo};
use crate::site::Site;

pub(super) async fn list(
    State(site): State<Site>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<TaskInfo>>, Refusal> {
    let tags = pairs.iter().filter(|(name, _)| name == "tags");
    let tags: Vec<&String> = tags.map(|(_, tag)| tag).collect();
    let wanted = |task: &Task| tags.is_empty() || tags.iter().any(|tag| task.tags.contains(*tag));
    let disabled = site.manager.broker().settings().await?.disabled_tasks;
    let mut found = Vec::new();
    for task in site.manager.tasks().filter(|task| wanted(task)) {
        found.push(info(&site, task, &disabled).await?);
    }
    Ok(Json(found))
}

pub(super) async fn get(
    State(site): State<Site>,
    Path(task): Path<String>,
) -> Result<Json<TaskInfo>, Refusal> {
    let task = declared(&site, &task).ok_or_else(Refusal::no_task)?;
    one(&site, task).await
}

pub(super) async fn switch(
    State(site): State<Site>,
    Path(task): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<TaskInfo>, Refusal> {
    let body = object(&headers, &body)?;
    let place = json!(["body", "enabled"]);
    let enabled = match body.get("enabled") {
        None => return Err(refused("missing", &place, "Field required")),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
            return Err(refused(
                "bool_type",
                &place,
                "Input should be a valid boolean",
            ));
        }
        Some(value) => truth(value).ok_or_else(|| {
            refused(
                "bool_parsing",
                &place,
                "Input should be a valid boolean, unable to interpret input",
            )
        })?,
    };
    let task = declared(&site, &task).ok_or_else(Refusal::no_task)?;
    let broker = site.manager.broker();
    broker.set_task_enabled(task.name.clone(), enabled).await?;
    one(&site, task).await
}

pub(super) async fn enqueue(
    State(site): State<Site>,
    Path(task): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<QueuedRun>, Refusal> {
    // There, each task has a route of its own for this.
    let task = declared(&site, &task).ok_or_else(Refusal::method)?;
    let named = task.params.as_value()["properties"].as_object();
    let takes_none = named.is_none_or(serde_json::Map::is_empty);
    let closed = task.params.as_value()["additionalProperties"] == false;
    let params = if takes_none && (closed || body.is_empty()) {
        JsonText::empty_object()
    } else {
        JsonText::from(Value::Object(object(&headers, &body)?))
    };
    let request = QueueRequest::new(task.name.clone(), params);
    let run = site.manager.queue_request(request).await?.run();
    let run = site.manager.broker().get(run).await?;
    Ok(Json(run.ok_or_else(Refusal::no_run)?.into()))
}

/// The body as `FastAPI` takes it: it must say that it is JSON, and be an object.
fn object(headers: &HeaderMap, body: &[u8]) -> Result<serde_json::Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Err(refused("missing", &json!(["body"]), "Field required"));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json"))
    {
        return Err(Refusal::no_object());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::no_object()),
        Err(error) => Err(Refusal::not_json(&error)),
    }
}

fn refused(kind: &str, place: &Value, told: &str) -> Refusal {
    Refusal::faults(vec![fault(kind, place, told)])
}

fn declared<'a>(site: &'a Site, name: &str) -> Option<&'a Task> {
    let name = TaskName::parse(name).ok()?;
    site.manager.task(&name).map(AsRef::as_ref)
}

/// A task and its last run.
async fn one(site: &Site, task: &Task) -> Result<Json<TaskInfo>, Refusal> {
    let disabled = site.manager.broker().settings().await?.disabled_tasks;
    info(site, task, &disabled).await.map(Json)
}

async fn info(site: &Site, task: &Task, disabled: &[TaskName]) -> Result<TaskInfo, Refusal> {
    let of_task = RunFilter {
        tasks: vec![task.name.clone()],
        ..RunFilter::default()
    };
    let last = match of_task.finished() {
        Some(finished) => site.manager.broker().list(finished, None, 1).await?.runs,
        None => Vec::new(),
    };
    let enabled = !disabled.contains(&task.name);
    Ok(TaskInfo::of(task, enabled, last.first()))
}
