//! What a consumer, a scheduler and a manager promise, seen through the memory broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod bulk;
mod consumer;
mod instant;
mod lost;
mod scheduler;
mod stage;
mod surviving;
mod why;
