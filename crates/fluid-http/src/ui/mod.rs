//! The dashboard: pages made at the server, with relative links alone.

mod overview;
mod page;

use axum::Router;
use axum::routing::get;

use crate::site::Site;

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/", get(overview::show))
}
