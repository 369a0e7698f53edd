//! The dashboard: pages made at the server, with relative links alone. All of it works without a script; with one, pages
//! stay up to date by themselves.

mod assets;
mod bulk;
mod chart;
mod consumers;
mod failure;
mod form;
mod live;
mod log;
mod mark;
mod overview;
mod pack;
mod page;
mod row;
mod run;
mod runs;
mod schedules;
mod shared;
mod switch;
mod task;
mod tasks;
mod words;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, get, post};

use crate::api::Problem;
use crate::site::Site;

pub(crate) use shared::Shared;

/// What a page's handler gives: the page, or why there is none, which becomes a page too.
type Answer = Result<Response, Problem>;

pub(crate) fn routes(site: &Site) -> Router<Site> {
    Router::new()
        .route("/", get(overview::show))
        .route("/tasks", get(tasks::show))
        .route("/tasks/{task}", get(task::show).post(task::run))
        .route("/tasks/{task}/switch", post(switch::task))
        .route("/queues/{queue}/switch", post(switch::queue))
        .route("/schedules", get(schedules::show))
        .route("/runs", get(runs::show))
        .route("/runs/cancel", get(bulk::ask_cancel).post(bulk::cancel))
        .route("/runs/retry", get(bulk::ask_retry).post(bulk::retry))
        .route("/runs/{run}", get(run::show))
        .route("/runs/{run}/cancel", post(run::cancel))
        .route("/runs/{run}/retry", post(run::retry))
        .route("/runs/{run}/log", get(log::show))
        .route("/runs/{run}/lines", get(log::lines))
        .route("/runs/{run}/log.txt", get(log::download))
        .route("/consumers", get(consumers::show))
        .route("/live", get(live::stream))
        .route("/assets/{print}/{name}", get(assets::get))
        // A fallback would be lost where somebody nests these routes once more.
        .route("/{*rest}", any(failure::no_such_page))
        .layer(from_fn_with_state(site.clone(), failure::as_page))
}
