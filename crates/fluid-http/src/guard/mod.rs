//! Who may do what, and what browsers are told: everything goes through here.

mod admit;
mod buckets;
mod caller;
mod client;
mod drain;
mod headers;
mod limits;
mod login;
mod place;
pub(crate) mod refusal;
mod session;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};

use self::buckets::Buckets;
use self::session::Sessions;
use crate::site::Site;

pub(crate) use caller::Caller;

/// How many wrong tokens one address may show at once, and how long until it may show one more.
const GUESSES: (u32, Duration) = (10, Duration::from_secs(6));

/// What the guards know. Cloning is cheap.
#[derive(Debug, Clone)]
struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    site: Site,
    sessions: Sessions,
    requests: Buckets,
    guesses: Buckets,
}

impl Deref for Guard {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Puts the guards around all routes. What is added to the router afterwards has none: there is nothing such.
pub(crate) fn around(routes: Router, site: &Site) -> Router {
    let limits = &site.options.limits;
    let rate = limits.rate.max(1);
    let guard = Guard(Arc::new(Inner {
        site: site.clone(),
        sessions: Sessions::default(),
        requests: Buckets::new(rate.saturating_mul(2), Duration::from_secs(1) / rate),
        guesses: Buckets::new(GUESSES.0, GUESSES.1),
    }));
    // The last is the first that a request meets.
    routes
        .merge(login::routes().with_state(guard.clone()))
        .layer(DefaultBodyLimit::max(limits.body))
        .layer(from_fn_with_state(site.clone(), drain::end))
        .layer(from_fn_with_state(guard.clone(), limits::keep))
        .layer(from_fn_with_state(guard, admit::admit))
        .layer(map_response(headers::add))
}
