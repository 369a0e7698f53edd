//! Conformance suites for brokers and executors of fluid, and helpers for tests.
//!
//! A crate that brings a broker of its own runs the whole suite with one line; see [`broker`].

pub mod broker;
mod clock;

pub use clock::ManualClock;
