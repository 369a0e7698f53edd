//! `/login` and `/logout`, for browsers.

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::client::Client;
use super::{Guard, place, refusal, session};
use crate::access::{Access, Tokens};

/// Where those go who don't say where they came from.
const FIRST: &str = "ui/";

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    name: &'a str,
    next: &'a str,
    fault: Option<&'a str>,
}

/// A page that leads on by itself. A browser that another page led here shows no cookie; led by a page of ours it does.
#[derive(Template)]
#[template(path = "onward.html")]
struct Onward<'a> {
    to: &'a str,
}

#[derive(Debug, Default, Deserialize)]
struct Wish {
    /// Where to go then, relative to `login`.
    #[serde(default)]
    next: String,
}

#[derive(Debug, Deserialize)]
struct Shown {
    token: String,
    #[serde(default)]
    next: String,
}

pub(super) fn routes() -> Router<Guard> {
    Router::new()
        .route("/login", get(ask).post(sign_in))
        .route("/logout", post(sign_out))
}

/// Sends a browser to `login`, and from there back to where it is.
pub(super) fn lead_there(parts: &Parts) -> Response {
    let to = way_there(parts);
    if place::is_led_here(parts) {
        return page(StatusCode::OK, &Onward { to: &to });
    }
    Redirect::to(&to).into_response()
}

/// The same for what htmx asks: the whole page goes there.
pub(super) fn lead_part_there(parts: &Parts) -> Response {
    // What is asked for is a part of a page; the page itself is where the person wants to be.
    let to = format!("{}login", up(parts.uri.path()));
    (StatusCode::UNAUTHORIZED, [("hx-redirect", to)]).into_response()
}

fn way_there(parts: &Parts) -> String {
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let next = path.trim_start_matches('/');
    let next = utf8_percent_encode(next, NON_ALPHANUMERIC);
    format!("{}login?next={next}", up(parts.uri.path()))
}

/// From a path to the folder that `login` is in.
fn up(path: &str) -> String {
    "../".repeat(path.matches('/').count().saturating_sub(1))
}

/// Only to pages of the dashboard: what stands here comes from a link that anybody may have written.
fn allowed(next: &str) -> &str {
    let plain = |c: char| c.is_ascii_graphic() && !"\\:<>\"'".contains(c);
    let fits = next.starts_with(FIRST) && next.chars().all(plain) && !next.contains("//");
    let climbs = next.split(['/', '?', '&']).any(|part| part == "..");
    if fits && !climbs { next } else { FIRST }
}

async fn ask(
    State(guard): State<Guard>,
    wish: Result<Query<Wish>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Query(wish) = wish.unwrap_or_default();
    let next = allowed(&wish.next);
    let Some(tokens) = guard.tokens() else {
        return Redirect::to(FIRST).into_response();
    };
    if guard.sessions.find(&headers, tokens).is_some() {
        return Redirect::to(next).into_response();
    }
    guard.login_page(StatusCode::OK, next, None)
}

async fn sign_in(
    State(guard): State<Guard>,
    Extension(client): Extension<Client>,
    shown: Result<Form<Shown>, FormRejection>,
) -> Response {
    let Some(tokens) = guard.tokens() else {
        return Redirect::to(FIRST).into_response();
    };
    let Ok(Form(shown)) = shown else {
        return guard.login_page(StatusCode::BAD_REQUEST, FIRST, Some("Give a token."));
    };
    let next = allowed(&shown.next);
    let attempt = client.address.map(|address| guard.guesses.take(address));
    if let Some(Err(wait)) = attempt {
        let fault = "Too many attempts. Wait a moment and try again.";
        let page = guard.login_page(StatusCode::TOO_MANY_REQUESTS, next, Some(fault));
        return refusal::later(page, wait);
    }
    match session::begin(tokens, shown.token.trim(), client.secure) {
        Some(cookie) => see_other(next, cookie),
        None => guard.login_page(
            StatusCode::UNAUTHORIZED,
            next,
            Some("Nobody has this token."),
        ),
    }
}

async fn sign_out(State(guard): State<Guard>, headers: HeaderMap) -> Response {
    let session = guard
        .tokens()
        .and_then(|tokens| guard.sessions.find(&headers, tokens));
    if let Some(session) = session {
        guard.sessions.end(&session);
    }
    see_other("login", session::forget())
}

fn see_other(to: &str, cookie: String) -> Response {
    let headers = [(LOCATION, to.to_owned()), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl Guard {
    fn tokens(&self) -> Option<&Tokens> {
        match &self.site.options.access {
            Access::Known { tokens, .. } => tokens.as_ref(),
            Access::Local | Access::Open => None,
        }
    }

    fn login_page(&self, status: StatusCode, next: &str, fault: Option<&str>) -> Response {
        let name = &self.site.options.name;
        page(status, &Page { name, next, fault })
    }
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, [(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_in_is_led_to_pages_of_ours_alone() {
        for next in [
            "ui/",
            "ui/runs?state=failure&task=a",
            "ui/runs/0194",
            "ui/tasks/a%2Fb",
        ] {
            assert_eq!(allowed(next), next);
        }
        for next in [
            "",
            "//evil.example",
            "https://evil.example",
            "ui/../../x",
            "ui/..",
            "/ui/",
            "ui//evil.example",
            "ui/\\evil",
            "javascript:alert(1)",
            "ui/\r\nX: y",
            "login",
        ] {
            assert_eq!(allowed(next), "ui/", "{next:?}");
        }
    }

    #[test]
    fn the_way_to_the_login_is_relative() {
        assert_eq!(up("/"), "");
        assert_eq!(up("/ui/"), "../");
        assert_eq!(up("/ui/runs/0194"), "../../");
    }
}
