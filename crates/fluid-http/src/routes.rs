//! All routes together.

use axum::Router;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::get;
use fluid_scheduler::TaskManager;

use crate::options::HttpOptions;
use crate::site::Site;
use crate::{aio, api, guard, health, metrics, ui};

/// The API, the dashboard and the rest, to be served by [`Server`](crate::Server) or mounted in another router.
pub fn routes(manager: TaskManager, options: HttpOptions) -> Router {
    let site = Site::new(manager, options);
    let routes = Router::new()
        .route("/", get(async || Redirect::temporary("ui/")))
        .route("/ui", get(async || Redirect::temporary("ui/")))
        // With the slash, which relative links of the first page count from.
        .nest("/ui/", ui::routes(&site))
        .nest("/api/v1", api::routes())
        .merge(aio::routes())
        .merge(health::routes())
        .with_state(site.clone())
        .merge(metrics::routes(&site));
    guard::around(routes, &site).layer(from_fn(metrics::measure))
}
