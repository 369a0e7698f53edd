//! A run as JSON: the shape that `--output json` promises.

use fluid_core::{Attempt, RunId, TaskRun};
use serde::Serialize;

/// A run, and where asked for its attempts, its children and why it is not running. Secrets don't show.
///
/// What is unknown is `null`; instants are RFC 3339; `children` holds ids.
#[derive(Debug, Serialize)]
pub(crate) struct RunJson<'a> {
    #[serde(flatten)]
    pub(crate) run: &'a TaskRun,
    /// One sentence, for a run that does not run and is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why_waiting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<Vec<Attempt>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) children: Option<Vec<RunId>>,
}

impl<'a> RunJson<'a> {
    /// Only the run itself.
    pub(crate) fn of(run: &'a TaskRun) -> Self {
        Self {
            run,
            why_waiting: None,
            attempts: None,
            children: None,
        }
    }
}
