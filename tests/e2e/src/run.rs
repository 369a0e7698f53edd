//! A run, as the command line tells of it.

use serde::Deserialize;
use serde_json::Value;

/// A run, as `runs show --output json` prints it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) attempt: u32,
    pub(crate) execution: Option<String>,
    /// Why it is not running yet.
    pub(crate) waiting: Option<String>,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<RunError>,
}

/// Why a run failed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RunError {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) exit_code: Option<i32>,
}

impl Run {
    pub(crate) fn finished(&self) -> bool {
        !["scheduled", "queued", "running"].contains(&self.state.as_str())
    }
}
