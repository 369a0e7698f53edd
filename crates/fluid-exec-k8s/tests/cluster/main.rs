//! What the executor promises, on a real cluster: that of `KUBECONFIG`. `FLUID_SUITE_IMAGE` names an image that its
//! nodes have, with `examples/suite.rs` as `/suite` and a shell. `cargo test -- --ignored` runs these tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod attempt;
mod faults;
mod outage;
mod place;
mod suite;
