//! Conformance suites for brokers and executors of fluid, and helpers for tests.
//!
//! A crate that brings a broker or an executor of its own runs the whole suite with one line; see [`broker`] and
//! [`executor`].

pub mod broker;
mod clock;
pub mod executor;

pub use clock::ManualClock;
