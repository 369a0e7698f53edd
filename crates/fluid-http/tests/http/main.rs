//! The routes, asked as a client asks them: over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod health;
mod metrics;
mod security;
mod served;
mod thin;
mod watching;
