//! All that is known of a run.

use fluid_core::{Attempt, BrokerResult, RunFilter, RunId, TaskRun};
use schemars::JsonSchema;
use serde::Serialize;

use crate::manager::TaskManager;

/// How many children are named.
const CHILDREN: usize = 50;

/// A run with its attempts, its children and why it is not running: what `runs show --output json` and the API answer.
/// Secrets don't show, what is unknown is `null`, and instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RunDetails {
    /// The run itself.
    #[serde(flatten)]
    pub run: TaskRun,
    /// One sentence, for a run that does not run and is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_waiting: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The ids of its children, newest first, at most 50; the list of runs has them all by `parent`.
    pub children: Vec<RunId>,
}

impl TaskManager {
    /// All that is known of a run.
    ///
    /// # Errors
    /// The broker's.
    pub async fn details(&self, run: TaskRun) -> BrokerResult<RunDetails> {
        let children = RunFilter {
            parent: Some(run.id),
            ..RunFilter::default()
        };
        let children = self.broker().list(children, None, CHILDREN).await?.runs;
        Ok(RunDetails {
            why_waiting: self.why_waiting(&run).await?,
            attempts: self.broker().attempts(run.id).await?,
            children: children.iter().map(|child| child.id).collect(),
            run,
        })
    }
}
