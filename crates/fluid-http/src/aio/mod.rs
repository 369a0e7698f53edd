//! The routes of aio-fluid, as it answers them: `/tasks`, `/tasks-status`, `/tasks-queue` and `/tasks-history`.
//!
//! What is answered otherwise stands in `docs/from-aio-fluid.md`, and a test holds the two side by side.

mod history;
mod query;
mod queue;
mod refusal;
mod shapes;
mod tasks;

use axum::Router;
use axum::http::{StatusCode, Uri, header::LOCATION};
use axum::response::IntoResponse;
use axum::routing::{any, delete, get};

use crate::site::Site;
use refusal::Refusal;

pub(crate) fn routes() -> Router<Site> {
    let one = get(tasks::get).patch(tasks::switch).post(tasks::enqueue);
    Router::new()
        .route("/tasks", get(tasks::list))
        .route("/tasks/{task}", one)
        .route("/tasks-status", get(queue::status))
        .route("/tasks-queue", delete(queue::clear))
        .route("/tasks-queue/{priority}", delete(queue::clear_priority))
        .route("/tasks-history", get(history::list))
        .route("/tasks-history/{run}", get(history::get))
        .method_not_allowed_fallback(async || Refusal::method())
        .route("/tasks/", any(without_slash))
        .route("/tasks/{task}/", any(without_slash))
        .route("/tasks-history/", any(without_slash))
        .route("/tasks-history/{run}/", any(without_slash))
}

/// Leads from an address with a slash at its end to the one without, relative to wherever this is mounted.
async fn without_slash(uri: Uri) -> impl IntoResponse {
    let path = uri.path().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}"));
    let place = format!("../{last}{}", query.unwrap_or_default());
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, place)])
}
