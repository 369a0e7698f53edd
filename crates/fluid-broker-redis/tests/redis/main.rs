//! What the broker promises, on real servers.

#![expect(clippy::unwrap_used, reason = "a test that finds a fault panics")]

mod conformance;
mod model;
mod stage;
