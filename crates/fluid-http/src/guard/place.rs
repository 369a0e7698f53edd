//! Whence a request comes, and by which name it is asked for: against pages of others that a browser shows.

use axum::http::header::{COOKIE, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, Uri};

use super::client::{self, Client};
use crate::access::Access;
use crate::api::Problem;
use crate::options::HttpOptions;

use super::refusal;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request only looks.
pub(super) fn only_looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses names that are not ours: a page of somebody else can make its own name lead here, and would then be of the
/// same origin. And, where nobody is asked who they are, whoever is not on this machine.
pub(super) fn check_host(
    parts: &Parts,
    client: &Client,
    options: &HttpOptions,
) -> Result<(), Problem> {
    let local = matches!(options.access, Access::Local);
    if local {
        let Some(address) = client.address else {
            return Err(refusal::nobody_tells());
        };
        if !address.is_loopback() && options.hosts.is_empty() {
            return Err(refusal::not_local());
        }
    } else if options.hosts.is_empty() || is_probe(&parts.uri) {
        return Ok(());
    }
    let host = client::host(parts);
    let name = host.as_ref().map_or("", Authority::host);
    if named(name, options) || local && client::is_local(name) {
        Ok(())
    } else {
        Err(refusal::foreign_host(name))
    }
}

/// Probes ask for the address of a pod, and are told nothing.
fn is_probe(uri: &Uri) -> bool {
    ["/healthz", "/readyz"].contains(&uri.path())
}

fn named(name: &str, options: &HttpOptions) -> bool {
    let mut hosts = options.hosts.iter();
    hosts.any(|host| host.eq_ignore_ascii_case(name))
}

/// Refuses what a page of somebody else makes a browser ask. `by_token` is whether the request shows a token, which
/// no such page can make it do.
pub(super) fn check_site(
    parts: &Parts,
    options: &HttpOptions,
    by_token: bool,
) -> Result<(), Problem> {
    if let Some(site) = parts.headers.get(SEC_FETCH_SITE) {
        let ours = ["same-origin", "none"].map(HeaderValue::from_static);
        return if ours.contains(site) {
            Ok(())
        } else {
            Err(refusal::cross_site())
        };
    }
    // Browsers don't say it to names without TLS but localhost, and old ones not at all.
    let Some(origin) = parts.headers.get(ORIGIN) else {
        let ambient = parts.headers.contains_key(COOKIE) && !by_token;
        return if ambient {
            Err(refusal::no_origin())
        } else {
            Ok(())
        };
    };
    let origin = Uri::try_from(origin.as_bytes()).ok();
    let origin = origin.as_ref().and_then(Uri::authority);
    let same = |origin: &Authority| {
        client::host(parts).is_some_and(|host| host == *origin) || named(origin.host(), options)
    };
    if origin.is_some_and(same) {
        Ok(())
    } else {
        Err(refusal::cross_site())
    }
}

/// Whether a browser was led here by a page of somebody else, which keeps it from showing its cookie.
pub(super) fn is_led_here(parts: &Parts) -> bool {
    let site = parts.headers.get(SEC_FETCH_SITE);
    site.is_some_and(|site| site == "cross-site" || site == "same-site")
}
