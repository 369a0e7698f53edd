//! Helpers of the whole-system tests: the stock binary started as a user would, and folders to do it in.

mod process;
mod workplace;

pub use process::Process;
pub use workplace::Workplace;

use std::time::Duration;

/// Longer than any single step of a test takes, on a slow and busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
