//! How much is taken from those who ask.

use std::time::Duration;

/// How much is taken from those who ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body, in bytes; 1 MiB by default.
    pub body: usize,
    /// How many requests a second from one address, in the long run; 500 by default, and twice as many at once. All that comes
    /// through a proxy that names nobody is one address.
    pub rate: u32,
    /// How long an answer may be in the making, the arrival of the body included; streams have no end. 90 s by default.
    pub time: Duration,
    /// How long a request's head may take to arrive, from the moment the connection is free for it: also how long an
    /// idle connection is kept. 10 s by default. Kept by [`Server`](crate::Server) alone.
    pub head_time: Duration,
    /// The longest head of a request, in bytes; 16 KiB by default, and at least 8 KiB. Kept by [`Server`](crate::Server) alone.
    pub head: usize,
    /// How many connections at once; 1024 by default. Kept by [`Server`](crate::Server) alone.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            rate: 500,
            time: Duration::from_secs(90),
            head_time: Duration::from_secs(10),
            head: 16 * 1024,
            connections: 1024,
        }
    }
}
