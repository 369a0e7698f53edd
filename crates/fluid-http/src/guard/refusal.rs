//! What those are told who are not let through.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

use crate::api::Problem;

/// More connections than [`Limits::connections`](crate::Limits::connections).
pub(crate) fn too_many_connections() -> Response {
    closing(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "urn:fluid:problem:too-many-connections",
        "Too many connections",
        "this server has as many connections as it takes; try again soon",
    ))
}

pub(super) fn too_many_requests(wait: Duration) -> Response {
    let problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "urn:fluid:problem:too-many-requests",
        "Too many requests",
        "this address asks too often; Retry-After says in how many seconds to ask again",
    );
    later(problem.into_response(), wait)
}

/// Says when to ask again.
pub(super) fn later(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

pub(super) fn too_large(limit: usize) -> Response {
    closing(Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "urn:fluid:problem:too-large",
        "The body is too large",
        format!("a body has at most {limit} bytes; give a task the place of its data instead"),
    ))
}

pub(super) fn too_slow(limit: Duration) -> Response {
    closing(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "urn:fluid:problem:too-slow",
        "It took too long",
        format!(
            "the request did not arrive, or could not be answered, within {} s",
            limit.as_secs()
        ),
    ))
}

/// The process stops before the request is done.
pub(super) fn stopping() -> Response {
    closing(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "urn:fluid:problem:stopping",
        "The process is stopping",
        "this process stops and waits no longer; ask again, another one or the next may answer",
    ))
}

/// The answer after which the connection ends.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(super) fn not_signed_in() -> Response {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "urn:fluid:problem:not-signed-in",
        "It is not known who asks",
        "show a token: `Authorization: Bearer TOKEN`, or sign in at /login",
    );
    challenge(problem, "Bearer realm=\"fluid\"")
}

pub(super) fn wrong_token() -> Response {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "urn:fluid:problem:wrong-token",
        "The token is not known",
        "nobody has this token; it may have been taken from the file of tokens",
    );
    challenge(problem, "Bearer realm=\"fluid\", error=\"invalid_token\"")
}

fn challenge(problem: Problem, how: &'static str) -> Response {
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(how));
    response
}

/// This server changes nothing for anybody.
pub(super) fn read_only() -> Problem {
    forbidden(
        "urn:fluid:problem:read-only",
        "Nothing is changed here",
        "this server only shows: it was started with --http-read-only; another one, or the command line, may change it",
    )
}

/// Who asks may look.
pub(super) fn may_only_read() -> Problem {
    forbidden(
        "urn:fluid:problem:may-only-read",
        "You may only read",
        "changing something takes a token with the right `full`",
    )
}

pub(super) fn cross_site() -> Problem {
    forbidden(
        "urn:fluid:problem:cross-site",
        "Asked by a page of another site",
        "only pages of this server may change something; behind a proxy, let it hand down the header Host, or give the name with --http-hosts",
    )
}

pub(super) fn no_origin() -> Problem {
    forbidden(
        "urn:fluid:problem:cross-site",
        "It is not said which page asks",
        "a request with a cookie must have the header Sec-Fetch-Site or Origin, as browsers send it; programs show a token instead: `Authorization: Bearer TOKEN`",
    )
}

pub(super) fn foreign_host(name: &str) -> Problem {
    forbidden(
        "urn:fluid:problem:foreign-host",
        "Asked for by another name",
        format!(
            "{name:?} is no name of this server; ask for it by one that is, or give the name with --http-hosts"
        ),
    )
}

pub(super) fn not_local() -> Problem {
    forbidden(
        "urn:fluid:problem:not-local",
        "Only for this machine",
        "without tokens only requests from the same machine are answered; give a file of tokens with --http-tokens",
    )
}

/// For those who mount the router.
pub(super) fn nobody_tells() -> Problem {
    forbidden(
        "urn:fluid:problem:not-local",
        "It is not known who asks",
        "without tokens only requests from the same machine are answered, and this server does not say whence they come: \
         serve with `into_make_service_with_connect_info::<SocketAddr>()`, or set HttpOptions::access to tokens, or to \
         Access::Open behind guards of your own",
    )
}

fn forbidden(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, kind, title, detail)
}
