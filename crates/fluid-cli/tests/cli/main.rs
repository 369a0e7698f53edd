//! The stock binary from outside: what a person and a script see of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod app;
mod completion;
mod docs;
mod exits;
mod faults;
mod help;
mod http;
mod init;
mod moving;
mod params;
mod place;
mod precedence;
mod screen;
mod servers;
mod serving;
mod tables;
mod terminal;
