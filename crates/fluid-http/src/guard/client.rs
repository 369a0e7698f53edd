//! Who is at the other end of a request, as far as the network tells.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;

use crate::options::HttpOptions;

/// The other end of a request.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Whence it comes, through trusted proxies; `None` where the server that our router is mounted in does not tell.
    pub(super) address: Option<IpAddr>,
    /// Whether a trusted proxy hands it down.
    pub(super) proxied: bool,
    /// Whether the browser speaks TLS, as far as that is known.
    pub(super) secure: bool,
}

impl Client {
    pub(super) fn of(parts: &Parts, options: &HttpOptions) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|peer| peer.0.ip().to_canonical());
        let trusted = |address: &IpAddr| {
            options
                .proxies
                .iter()
                .any(|network| network.contains(address))
        };
        let proxied = peer.as_ref().is_some_and(trusted);
        let address = if proxied {
            // Each proxy adds whom it saw at the end: the last that is no proxy of ours is who asks.
            let named = forwarded(&parts.headers);
            named
                .into_iter()
                .rev()
                .find(|address| !trusted(address))
                .or(peer)
        } else {
            peer
        };
        let says = |name: &str, value: &str| {
            let found = parts.headers.get(name);
            found.is_some_and(|found| found.as_bytes().starts_with(value.as_bytes()))
        };
        Self {
            address,
            proxied,
            secure: says(ORIGIN.as_str(), "https:")
                || proxied && says("x-forwarded-proto", "https"),
        }
    }
}

fn forwarded(headers: &HeaderMap) -> Vec<IpAddr> {
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .filter_map(|address| address.trim().parse::<IpAddr>().ok())
        .map(|address| address.to_canonical())
        .collect()
}

/// By what name and port it is asked for; `None` where that is not said, or said twice.
pub(super) fn host(parts: &Parts) -> Option<Authority> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    }
}

/// Whether a name is one of this machine.
pub(super) fn is_local(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse::<IpAddr>()
        .is_ok_and(|address| address.to_canonical().is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn client(peer: &str, forwarded: &str) -> Client {
        let request = Request::builder().header("x-forwarded-for", forwarded);
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let peer: SocketAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        Client::of(&parts, &HttpOptions::default())
    }

    #[test]
    fn who_asks_is_the_last_that_is_no_proxy_of_ours() {
        let address = |peer, forwarded| client(peer, forwarded).address.unwrap().to_string();
        assert_eq!(
            address("127.0.0.1:1", "6.6.6.6, 192.0.2.7, 127.0.0.1"),
            "192.0.2.7"
        );
        assert_eq!(address("[::ffff:127.0.0.1]:1", "192.0.2.7"), "192.0.2.7");
        assert_eq!(address("127.0.0.1:1", "nonsense"), "127.0.0.1");
        assert_eq!(
            address("192.0.2.1:1", "127.0.0.1"),
            "192.0.2.1",
            "it is no proxy of ours"
        );
    }

    #[test]
    fn names_of_this_machine_are_those_of_loopback() {
        for name in ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_local(name), "{name}");
        }
        for name in [
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "",
            "[::2]",
        ] {
            assert!(!is_local(name), "{name}");
        }
    }
}
