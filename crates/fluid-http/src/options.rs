//! What the routes are given beside the tasks.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// What the routes are given beside the tasks and their broker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The application's name, as people know it; `fluid` unless set.
    pub name: String,
    /// Its version; that of this crate unless set.
    pub version: String,
    /// Who is let in.
    pub access: Access,
    /// Nobody changes anything, whoever they are.
    pub read_only: bool,
    /// The names by which it is asked for, such as `fluid.example.org`, without a port. With [`Access::Local`] they
    /// are taken beside those of this machine, also from elsewhere: a proxy stands before it. With any other, no
    /// other name is taken if there is one here.
    pub hosts: Vec<String>,
    /// The proxies that are believed when they say who asks, from where, and whether over TLS; those on this machine
    /// by default.
    pub proxies: Vec<IpNet>,
    /// How much is taken from those who ask.
    pub limits: Limits,
    /// Cancel it when the process begins to stop: streams and waits then end, and `/readyz` says that it is not ready.
    pub draining: CancellationToken,
    /// What this process measures, if its recorder is [ours](Metrics::install): told at `/metrics`, beside what the
    /// broker says at the moment.
    pub metrics: Option<Metrics>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let local = [
            Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
        ];
        Self {
            name: "fluid".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            access: Access::default(),
            read_only: false,
            hosts: Vec::new(),
            proxies: local.into(),
            limits: Limits::default(),
            draining: CancellationToken::new(),
            metrics: None,
        }
    }
}
