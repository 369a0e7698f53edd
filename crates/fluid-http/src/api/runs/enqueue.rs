//! `POST /runs`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fluid_core::{
    Due, Enqueued, JsonText, Priority, QueueName, QueueRequest, TaskName, TaskRun, duration,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::idempotency;
use super::one::{WaitQuery, found, waited};
use crate::api::Problem;
use crate::api::extract::{Asked, Body};
use crate::site::Site;

/// The longest unique key, in characters.
const LONGEST_KEY: usize = 255;
/// The longest delay: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What is to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewRun {
    /// The task.
    task: TaskName,
    /// Its parameters, as the task's JSON Schema has them; `{}` unless given.
    #[serde(default = "JsonText::empty_object")]
    params: JsonText,
    /// The queue to wait in; the task's own unless given.
    #[serde(default)]
    queue: Option<QueueName>,
    /// The urgency within the queue; the task's own unless given.
    #[serde(default)]
    priority: Option<Priority>,
    /// Not before this instant.
    #[serde(default)]
    due_at: Option<Timestamp>,
    /// Not before so long from now: `30s`, `1h 30m`, or a number of seconds; at most 100 years. Not with `due_at`.
    #[serde(default, with = "duration::optional")]
    #[schemars(schema_with = "delay")]
    delay: Option<Duration>,
    /// Makes the request one with an earlier one of the same task and key: while that is not finished, and for the window
    /// that the task declares.
    #[serde(default)]
    #[schemars(length(min = 1, max = LONGEST_KEY))]
    unique_key: Option<String>,
}

fn delay(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "anyOf": [
            { "type": "string", "pattern": "^[0-9]{1,6}(ms|s|m)$" },
            { "type": "number", "minimum": 0, "maximum": LONGEST.as_secs() },
            { "type": "null" },
        ],
    })
}

impl NewRun {
    fn due(&self) -> Result<Due, Problem> {
        match (self.due_at, self.delay) {
            (Some(_), Some(_)) => Err(Problem::body("give due_at or delay, not both")),
            (None, Some(delay)) if delay > LONGEST => {
                Err(Problem::body("delay is longer than 100 years"))
            }
            (Some(instant), None) => Ok(Due::At(instant)),
            (None, Some(delay)) => Ok(Due::After(delay)),
            (None, None) => Ok(Due::Now),
        }
    }
}

/// The run that now stands for a request.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct EnqueuedRun {
    /// The run.
    #[serde(flatten)]
    run: TaskRun,
    /// Whether it was there before: an earlier request had the same unique key.
    duplicate: bool,
}

/// Enqueues a run.
///
/// A request with an `Idempotency-Key` may be sent again within 24 hours: it makes one run, and the later answers tell of
/// that one. The key belongs to its task. A task that declares when two requests are the same (`unique`), and a request with
/// a `unique_key`, decide by that alone, and the header counts for nothing.
///
/// With `wait`, the answer comes when the run is finished or the time is over, whichever is first.
#[utoipa::path(
    post, path = "/runs", tag = "runs", operation_id = "enqueue_run",
    extensions(("x-query" = json!(["WaitQuery"]))),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$", description = "Makes the request safe to send again")),
    request_body(content = ref("#/components/schemas/NewRun"), content_type = "application/json"),
    responses(
        (status = 201, description = "A new run was made; with `wait`, it is finished", body = ref("#/components/schemas/EnqueuedRun"), headers(("Location" = String, description = "Where the run is"))),
        (status = 200, description = "An earlier request had the same key: this is its run; with `wait`, it is finished", body = ref("#/components/schemas/EnqueuedRun"), headers(("Location" = String, description = "Where the run is"))),
        (status = 202, description = "`wait` was over before the run was finished", body = ref("#/components/schemas/EnqueuedRun"), headers(("Location" = String, description = "Where the run is"))),
        (status = 422, description = "The task is unknown, its parameters don't fit, a member is wrong, or the key came with another body before", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn enqueue(
    State(site): State<Site>,
    headers: HeaderMap,
    Asked(query, _): Asked<WaitQuery>,
    Body(body): Body<NewRun>,
) -> Result<Response, Problem> {
    let due = body.due()?;
    let lengths = 1..=LONGEST_KEY;
    let key_length = body.unique_key.as_ref().map(|key| key.chars().count());
    if key_length.is_some_and(|length| !lengths.contains(&length)) {
        return Err(Problem::body(format!(
            "unique_key has 1 to {LONGEST_KEY} characters"
        )));
    }
    let key = idempotency::key_of(&headers)?;
    let mut request = QueueRequest::new(body.task, body.params).due(due);
    request.queue = body.queue;
    request.priority = body.priority;
    request.unique_key = body.unique_key;
    let mut new = site.manager.new_run(request)?;
    let keyed = key.filter(|_| new.unique.is_none());
    if let Some(key) = &keyed {
        new.unique = Some(idempotency::unique(key));
    }
    let broker = site.manager.broker();
    let answers = broker.enqueue(vec![new.clone()]).await?;
    let duplicate = match answers.first() {
        Some(Enqueued::Duplicate(run)) => Some(*run),
        _ => None,
    };
    let mut run = found(&site, duplicate.unwrap_or(new.id)).await?;
    if keyed.is_some() && duplicate.is_some() {
        idempotency::check_same(&new, &run)?;
    }
    if let Some(wait) = query.wait {
        run = waited(&site, run.id, wait).await?;
    }
    let status = if query.wait.is_some() && !run.state.is_terminal() {
        StatusCode::ACCEPTED
    } else if duplicate.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let location = format!("runs/{}", run.id);
    let duplicate = duplicate.is_some();
    let answer = Json(EnqueuedRun { run, duplicate });
    Ok((status, [(LOCATION, location)], answer).into_response())
}
