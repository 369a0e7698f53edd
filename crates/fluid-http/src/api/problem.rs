//! What went wrong, as RFC 9457 writes it down.

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use fluid_core::{BrokerError, ParamsError, RunId, TaskRun};
use fluid_scheduler::QueueError;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request was not carried out (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Which kind of problem: a URN that never changes.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// The status code of the answer.
    status: u16,
    /// What is wrong with this very request, and what to do.
    detail: String,
    /// Each fault by itself, where there may be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fault {
    /// Where in the body: a JSON Pointer (RFC 6901); empty for the whole.
    pointer: String,
    /// What is wrong there.
    detail: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The kind in words.
    pub(crate) fn title(&self) -> &str {
        self.title
    }

    /// What is wrong, and what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// There is no such run.
    pub(crate) fn no_run(run: RunId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:fluid:problem:no-such-run",
            "No such run",
            format!("there is no run {run}; it may have been deleted when its retention was over"),
        )
    }

    /// A path names a task that is not declared here.
    pub(crate) fn no_task(task: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:fluid:problem:no-such-task",
            "No such task",
            format!("there is no task {task:?} in this application"),
        )
    }

    /// A path names a queue that nobody uses.
    pub(crate) fn no_queue(queue: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:fluid:problem:no-such-queue",
            "No such queue",
            format!("no task, run or consumer uses queue {queue:?}"),
        )
    }

    /// A run that goes on can't be done once more.
    pub(crate) fn not_finished(run: &TaskRun) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "urn:fluid:problem:not-finished",
            "The run is not finished",
            format!(
                "run {} is {}: only a finished run can be done once more",
                run.id, run.state
            ),
        )
    }

    /// What is in the path has not the form that it must have.
    pub(super) fn path(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:invalid-path",
            "The path is wrong",
            detail,
        )
    }

    /// What is in the query string is unknown or wrong.
    pub(super) fn query(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:invalid-query",
            "The query string is wrong",
            detail,
        )
    }

    /// A header has not the form that it must have.
    pub(super) fn header(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:invalid-header",
            "A header is wrong",
            detail,
        )
    }

    /// Something is to be done to all runs, and nobody said so outright.
    pub(super) fn no_filter() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:filter-required",
            "Say which runs",
            "choose by task, state, queue, parent, root, since or until, or say all=true",
        )
    }

    /// A body whose members are not what they must be.
    pub(super) fn body(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:fluid:problem:invalid-body",
            "The body is not what it must be",
            detail,
        )
    }

    /// A key came back with another request.
    pub(super) fn key_reused(run: RunId, differs: &str) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:fluid:problem:idempotency-key-reused",
            "The Idempotency-Key belongs to another request",
            format!("run {run} was made with this key and has another {differs}; take a new key"),
        )
    }

    /// Params that don't fit, each fault with its place below `/params`.
    fn params(error: &QueueError, source: &ParamsError) -> Self {
        let fault = |text: &String| {
            let (place, detail) = ParamsError::place(text);
            Fault {
                pointer: format!("/params{place}"),
                detail: detail.to_owned(),
            }
        };
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "urn:fluid:problem:invalid-params",
            "The parameters don't fit the task",
            error.to_string(),
        );
        let errors = match source {
            ParamsError::Invalid { faults } => faults.iter().map(fault).collect(),
            _ => Vec::new(),
        };
        Self { errors, ..problem }
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        let (status, kind, title) = if error.is_transient() {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "urn:fluid:problem:broker-unavailable",
                "The broker can't be used now",
            )
        } else {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "urn:fluid:problem:broker-failed",
                "The broker failed",
            )
        };
        Self::new(status, kind, title, error.to_string())
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match &error {
            QueueError::Params { source, .. } => Self::params(&error, source),
            QueueError::UnknownTask { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "urn:fluid:problem:unknown-task",
                "The request names no task",
                error.to_string(),
            ),
            QueueError::Broker(_) => match error {
                QueueError::Broker(error) => error.into(),
                other => Self::body(other.to_string()),
            },
            _ => Self::body(error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        // The dashboard makes a page of it.
        (status, kind, Extension(self), body).into_response()
    }
}

pub(super) async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "urn:fluid:problem:no-such-route",
        "No such route",
        format!(
            "there is nothing at {:?}; openapi.json lists what there is",
            uri.path()
        ),
    )
}

/// axum adds the header `Allow`, which is all that `OPTIONS` asks for.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "urn:fluid:problem:method-not-allowed",
        "Not that way",
        format!(
            "{method} means nothing at {:?}; the header Allow lists what does",
            uri.path()
        ),
    );
    problem.into_response()
}
