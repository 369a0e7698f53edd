//! What the broker promises, on real servers.

#![expect(clippy::unwrap_used, reason = "a test that finds a fault panics")]

mod claims;
mod conformance;
mod faults;
mod lost_answers;
mod migrations;
mod outages;
mod pooled;
mod proxy;
mod stage;
mod statements;
mod transactions;
