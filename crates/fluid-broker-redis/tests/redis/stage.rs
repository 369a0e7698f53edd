//! Servers, and short words for what is done to a broker.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fluid_broker_redis::RedisOptions;
use fluid_core::TaskName;
use fluid_test_servers::redis::{self, RedisServer};

/// The one server of those tests that do nothing to it, each with its own prefix.
pub(crate) fn shared() -> &'static RedisServer {
    static SERVER: LazyLock<&RedisServer> =
        LazyLock::new(|| RedisServer::start(&redis::RedisOptions::new()).unwrap().keep().unwrap());
    *SERVER
}

/// A prefix that no other test of this program uses.
pub(crate) fn fresh_prefix() -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", USED.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn options(url: &str, prefix: &str) -> RedisOptions {
    RedisOptions::from_url(url).unwrap().prefix(prefix).unwrap()
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}
