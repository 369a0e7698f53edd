//! The versioned API. Its types are those of fluid-core, as `--output json` of the command line shows them.

mod openapi;
mod problem;
mod runs;
mod tasks;

use axum::Router;
use axum::routing::get;

use crate::site::Site;

pub(crate) use problem::Problem;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/tasks", get(tasks::list))
        .route("/runs/{run}", get(runs::get))
        .fallback(problem::no_such_route)
}
