//! What all pages share: a frame, a part that changes while one looks at it, and who asks.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fluid_core::RunId;

use super::pack::{accepts_gzip, gzip};
use super::shared::Shared;
use super::{Answer, assets};
use crate::api::Problem;
use crate::guard::Caller;
use crate::site::Site;

/// The print of the changing part that a tab has already.
const SEEN: HeaderName = HeaderName::from_static("fluid-seen");
/// What htmx says of itself.
const HTMX: HeaderName = HeaderName::from_static("hx-request");

/// A request for a page.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) site: Site,
    pub(super) caller: Caller,
    /// The way to the dashboard's first page.
    pub(super) base: &'static str,
    address: String,
    headers: HeaderMap,
}

impl FromRequestParts<Site> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let Ok(caller) = Caller::from_request_parts(parts, site).await;
        // Below its mount the path is that of the dashboard alone.
        let base = match parts.uri.path().matches('/').count() {
            0 | 1 => "./",
            2 => "../",
            _ => "../../",
        };
        Ok(Self {
            site: site.clone(),
            caller,
            base,
            address: parts.uri.to_string(),
            headers: parts.headers.clone(),
        })
    }
}

/// The changing part of a page.
#[derive(Debug)]
pub(super) struct Live {
    html: String,
    packed: Vec<u8>,
    print: String,
}

impl Live {
    fn of(inner: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        inner.hash(&mut hasher);
        let print = format!("{:016x}", hasher.finish());
        let html = format!("<div id=\"live\" data-print=\"{print}\">{inner}</div>");
        let packed = gzip(html.as_bytes());
        Self {
            html,
            packed,
            print,
        }
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Tasks,
    Schedules,
    Runs,
    Consumers,
}

/// A page but for its frame.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    place: Place,
    before: String,
    live: Option<Arc<Live>>,
    after: String,
    news: Option<String>,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, place: Place) -> Self {
        Self {
            title: title.into(),
            place,
            before: String::new(),
            live: None,
            after: String::new(),
            news: None,
        }
    }

    /// What stands above the changing part and stays.
    pub(super) fn before(mut self, part: &impl Template) -> Result<Self, Problem> {
        self.before = render(part)?;
        Ok(self)
    }

    /// The changing part, which any news may change.
    pub(super) fn live(mut self, live: Arc<Live>) -> Self {
        self.live = Some(live);
        self.news = Some("live".to_owned());
        self
    }

    /// Only news of this run change it.
    pub(super) fn of_run(mut self, run: RunId) -> Self {
        self.news = Some(format!("live?run={run}"));
        self
    }

    /// What stands below the changing part and stays.
    pub(super) fn after(mut self, part: &impl Template) -> Result<Self, Problem> {
        self.after = render(part)?;
        Ok(self)
    }
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Frame<'a> {
    title: &'a str,
    name: &'a str,
    version: &'a str,
    base: &'a str,
    style: String,
    scripts: [String; 3],
    icon: String,
    nav: [(&'static str, &'static str, bool); 5],
    news: Option<&'a str>,
    caller: &'a Caller,
    before: &'a str,
    live: &'a str,
    after: &'a str,
}

/// A template as text.
pub(super) fn render(part: &impl Template) -> Result<String, Problem> {
    part.render().map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:fluid:problem:page-failed",
            "The page could not be written",
            error.to_string(),
        )
    })
}

impl Asked {
    pub(super) fn shared(&self) -> &Shared {
        &self.site.shared
    }

    /// Whether only the changing part is wanted.
    pub(super) fn wants_part(&self) -> bool {
        self.headers.contains_key(HTMX)
    }

    /// The changing part of the page, made by `make` unless somebody just looked at the same.
    pub(super) async fn live<T: Template>(
        &self,
        make: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Arc<Live>, Problem> {
        let key = (self.address.clone(), self.caller.may_change);
        let make = async { Ok(Arc::new(Live::of(&render(&make.await?)?))) };
        self.shared().rendering(key, make).await
    }

    /// The whole page, or its changing part when only that is wanted and has changed.
    pub(super) fn answer(&self, page: &Page) -> Answer {
        self.answer_with(StatusCode::OK, page)
    }

    pub(super) fn answer_with(&self, status: StatusCode, page: &Page) -> Answer {
        if let Some(live) = page.live.as_ref().filter(|_| self.wants_part()) {
            let seen = self.headers.get(SEEN);
            if seen.is_some_and(|seen| seen == live.print.as_str()) {
                return Ok(StatusCode::NO_CONTENT.into_response());
            }
            return Ok(if accepts_gzip(&self.headers) {
                packed(status, live.packed.clone())
            } else {
                html(status, live.html.clone())
            });
        }
        let at = |place, path, word| (path, word, page.place == place);
        let frame = Frame {
            title: &page.title,
            name: &self.site.options.name,
            version: &self.site.options.version,
            base: self.base,
            style: assets::path("style.css"),
            scripts: ["app.js", "htmx.js", "idiomorph.js"].map(assets::path),
            icon: assets::path("icon.svg"),
            nav: [
                at(Place::Overview, "", "Overview"),
                at(Place::Tasks, "tasks", "Tasks"),
                at(Place::Schedules, "schedules", "Schedules"),
                at(Place::Runs, "runs", "Runs"),
                at(Place::Consumers, "consumers", "Consumers"),
            ],
            news: page.news.as_deref(),
            caller: &self.caller,
            before: &page.before,
            live: page.live.as_ref().map_or("", |live| &live.html),
            after: &page.after,
        };
        Ok(self.send(status, render(&frame)?))
    }

    /// HTML that is sent as it is.
    pub(super) fn send(&self, status: StatusCode, text: String) -> Response {
        if accepts_gzip(&self.headers) {
            packed(status, gzip(text.as_bytes()))
        } else {
            html(status, text)
        }
    }

    /// Something was changed: the browser goes on by asking for `place`, relative to the address that was posted to, and
    /// nobody is shown what was before.
    pub(super) async fn changed(&self, place: &str) -> Answer {
        self.shared().forget().await;
        let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("./"));
        Ok((StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response())
    }

    /// Refuses whoever may only look.
    pub(super) fn may_change(&self) -> Result<(), Problem> {
        if self.caller.may_change {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "urn:fluid:problem:read-only",
            "Only looking is allowed",
            "you may look but not change anything: ask for a token that is \"full\"",
        ))
    }
}

const HTML: &str = "text/html; charset=utf-8";

fn html(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, HTML), (VARY, "accept-encoding")];
    (status, headers, text).into_response()
}

fn packed(status: StatusCode, bytes: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HTML),
        (VARY, "accept-encoding"),
        (CONTENT_ENCODING, "gzip"),
    ];
    (status, headers, bytes).into_response()
}
