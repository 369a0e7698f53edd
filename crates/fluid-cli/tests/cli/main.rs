//! The stock binary from outside: what a person and a script see of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod faults;
mod place;
