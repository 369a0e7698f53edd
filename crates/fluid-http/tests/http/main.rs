//! The routes, asked as a client asks them: over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod aio;
mod api;
mod health;
mod metrics;
mod mount;
mod python;
mod schemathesis;
mod security;
mod served;
mod ui;
mod watching;
