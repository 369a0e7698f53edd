//! The stylesheet and the scripts: embedded, packed once, and cached by browsers for good, since their addresses change
//! with what they hold.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::pack::{accepts_gzip, gzip};
use crate::api::Problem;

/// One file.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
    packed: Vec<u8>,
    print: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, body: &'static [u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let print = format!("{:016x}", hasher.finish());
        Self {
            name,
            kind,
            body,
            packed: gzip(body),
            print,
        }
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        Asset::new(
            "style.css",
            "text/css; charset=utf-8",
            include_bytes!("../../assets/style.css"),
        ),
        Asset::new("app.js", SCRIPT, include_bytes!("../../assets/app.js")),
        Asset::new("htmx.js", SCRIPT, include_bytes!("../../assets/htmx.js")),
        Asset::new(
            "idiomorph.js",
            SCRIPT,
            include_bytes!("../../assets/idiomorph.js"),
        ),
        Asset::new(
            "icon.svg",
            "image/svg+xml",
            include_bytes!("../../assets/icon.svg"),
        ),
    ]
});

/// Where a file is, from the dashboard's first page.
pub(super) fn path(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let print = found.map_or("none", |asset| &asset.print);
    format!("assets/{print}/{name}")
}

/// An address with another hash is that of another version: it gets this one, not to be kept.
pub(super) async fn get(
    Path((print, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "urn:fluid:problem:no-such-route",
            "No such route",
            format!("there is no file {name:?}"),
        ));
    };
    let keep = if print == asset.print {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let tag = format!("\"{}\"", asset.print);
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str());
    let shared = [(CACHE_CONTROL, keep.to_owned()), (ETAG, tag)];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, shared).into_response());
    }
    let about = [(CONTENT_TYPE, asset.kind), (VARY, "accept-encoding")];
    Ok(if accepts_gzip(&headers) {
        let packed = asset.packed.clone();
        (shared, about, [(CONTENT_ENCODING, "gzip")], packed).into_response()
    } else {
        (shared, about, asset.body).into_response()
    })
}
