//! Who may do what, and what browsers are told: everything goes through here.

mod caller;
mod headers;

use axum::Router;
use axum::middleware::map_response;

use crate::site::Site;

#[allow(unused_imports, reason = "the pages ask next")]
pub(crate) use caller::Caller;

/// Puts the guards around all routes.
pub(crate) fn around(routes: Router, _site: &Site) -> Router {
    routes.layer(map_response(headers::add))
}
