//! What went wrong, as RFC 9457 writes it down.

use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use fluid_core::{BrokerError, RunId};
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
        }
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
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
