//! What the broker promises, on real servers.

#![expect(clippy::unwrap_used, reason = "a test that finds a fault panics")]

mod conformance;
mod faults;
mod layout;
mod model;
mod outage;
mod places;
mod repeats;
mod stage;
