//! How much one request may take: bytes of its body, and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;

use super::{Guard, refusal};

/// How much of a body that is too large is read nevertheless: many clients read no answer before they have sent all.
const WASTE: u64 = 16 * 1024 * 1024;
/// And how long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refuses bodies that say they are too large, and answers in time.
pub(super) async fn keep(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let limits = &guard.site.options.limits;
    let length = length(request.headers());
    if length.is_some_and(|length| length > limits.body as u64) {
        let waits = request.headers().contains_key(EXPECT);
        if !waits && length.is_some_and(|length| length <= WASTE) {
            let _ = tokio::time::timeout(PATIENCE, waste(request.into_body())).await;
        }
        return refusal::too_large(limits.body);
    }
    let Ok(response) = tokio::time::timeout(limits.time, next.run(request)).await else {
        return refusal::too_slow(limits.time);
    };
    // Said by an extractor that read more than a body may have, in words of its own.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !is_problem(&response) {
        return refusal::too_large(limits.body);
    }
    response
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn waste(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn is_problem(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}
