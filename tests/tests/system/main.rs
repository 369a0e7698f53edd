//! What fluid promises, seen from outside: real processes, real files, kill -9.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod faults;
mod kill;
mod limits;
mod outages;
mod pipeline;
mod schedulers;
mod secrets;
mod seen;
mod stopping;
