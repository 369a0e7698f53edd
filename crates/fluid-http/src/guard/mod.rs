//! Who may do what, and what browsers are told: everything goes through here.

mod caller;
mod drain;
mod headers;
pub(crate) mod refusal;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};

use crate::site::Site;

#[allow(unused_imports, reason = "the pages ask next")]
pub(crate) use caller::Caller;

/// Puts the guards around all routes.
pub(crate) fn around(routes: Router, site: &Site) -> Router {
    routes
        .layer(from_fn_with_state(site.clone(), drain::end))
        .layer(map_response(headers::add))
}
