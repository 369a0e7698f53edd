//! What the broker promises, on real files.

#![expect(clippy::unwrap_used, reason = "a test that finds a fault panics")]

mod claims;
mod conformance;
mod durability;
mod faults;
mod migration;
mod named_runs;
mod processes;
mod stage;
