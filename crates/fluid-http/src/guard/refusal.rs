//! What those are told who are not let through.

use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::api::Problem;

/// More connections than [`Limits::connections`](crate::Limits::connections).
pub(crate) fn too_many_connections() -> Response {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "urn:fluid:problem:too-many-connections",
        "Too many connections",
        "this server has as many connections as it takes; try again soon",
    );
    closing(problem)
}

/// The process stops before the request is done.
pub(super) fn stopping() -> Response {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "urn:fluid:problem:stopping",
        "The process is stopping",
        "this process stops and waits no longer; ask again, another one or the next may answer",
    );
    closing(problem)
}

/// The answer after which the connection ends.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
