//! The versioned API. Its types are those of fluid-core, as `--output json` of the command line shows them.

mod consumers;
mod events;
mod extract;
mod fields;
mod openapi;
mod problem;
mod queues;
mod runs;
mod schedules;
mod status;
mod tasks;
mod words;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::site::Site;
use runs::{change, enqueue, list, logs, many, one};

pub(crate) use change::once_more;
pub(crate) use one::found;
pub(crate) use problem::Problem;
pub(crate) use queues::QueueView;

pub(crate) fn routes() -> Router<Site> {
    let (routes, described) = OpenApiRouter::with_openapi(openapi::about())
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::get, tasks::patch))
        .routes(routes!(list::list, enqueue::enqueue))
        .routes(routes!(list::count))
        .routes(routes!(many::cancel))
        .routes(routes!(many::retry))
        .routes(routes!(many::purge))
        .routes(routes!(one::get))
        .routes(routes!(change::cancel))
        .routes(routes!(change::retry))
        .routes(routes!(logs::get))
        .routes(routes!(queues::list))
        .routes(routes!(queues::patch))
        .routes(routes!(schedules::list))
        .routes(routes!(consumers::list))
        .routes(routes!(status::get))
        .routes(routes!(events::stream))
        .split_for_parts();
    routes
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(problem::no_such_method)
        .fallback(problem::no_such_route)
        .layer(axum::Extension(openapi::Described::new(described)))
}
