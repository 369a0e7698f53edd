//! The end of the process: streams and waits are not waited for.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;

use super::refusal;
use crate::site::Site;

/// How long a request may take that is under way when the process begins to stop.
const LAST: Duration = Duration::from_secs(2);

/// Ends event streams when the process begins to stop, and soon after also whatever still waits for its answer.
pub(super) async fn end(State(site): State<Site>, request: Request, next: Next) -> Response {
    let draining = &site.options.draining;
    let late = async {
        draining.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    let response = tokio::select! {
        response = next.run(request) => response,
        () = late => return refusal::stopping(),
    };
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let over = draining.clone().cancelled_owned();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(over)))
}
