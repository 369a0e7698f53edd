//! What the executors promise, on real processes.

#![expect(clippy::unwrap_used, reason = "a test that finds a fault panics")]

mod children;
#[cfg(target_os = "linux")]
mod consumer;
mod inline;
#[cfg(target_os = "linux")]
mod lives;
mod subprocess;
