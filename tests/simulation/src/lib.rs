//! Consumers, schedulers and the memory broker in one thread and in virtual time.
//!
//! A seed chooses everything that chance would: how long each call of the broker takes and whether it fails, before or
//! after it took effect; which process is killed, held up or told to stop, and when; what is enqueued. The runtime is
//! tokio's own with its clock paused, so a minute of disturbances takes milliseconds, and the same seed gives the same
//! history, to the last call.

mod client;
mod clock;
mod disturbance;
mod outcome;
mod seeds;
mod simulation;
mod slot;
mod weather;

pub use outcome::Outcome;
pub use seeds::{Failure, Summary, run_all};
pub use simulation::simulate;
