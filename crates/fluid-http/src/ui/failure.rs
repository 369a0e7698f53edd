//! What went wrong, as a page.

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::page::{Asked, Page, Place};
use crate::api::Problem;
use crate::site::Site;

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'a> {
    base: &'a str,
    title: &'a str,
    detail: &'a str,
}

/// Turns a problem that a handler answered with into a page, for people.
pub(super) async fn as_page(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(asked) = Asked::from_request_parts(&mut parts, &site).await;
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    let failure = Failure {
        base: asked.base,
        title: problem.title(),
        detail: problem.detail(),
    };
    let page = Page::new(problem.title(), Place::Overview).before(&failure);
    let page = page.and_then(|page| asked.answer_with(response.status(), &page));
    page.unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn no_such_page(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "urn:fluid:problem:no-such-route",
        "No such page",
        format!("there is nothing at {:?}", uri.path()),
    )
}
