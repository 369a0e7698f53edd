//! How much there was to check.

use std::collections::BTreeMap;

use fluid_core::{RunId, RunState, Trigger};

use crate::entry::What;
use crate::history::History;

/// What a history holds, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs that the broker has, by state.
    pub runs: BTreeMap<&'static str, usize>,
    /// Attempts, by outcome.
    pub attempts: BTreeMap<&'static str, usize>,
    /// Requests for runs that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that a unique key made one with another.
    pub duplicates: usize,
    /// Runs that ticks made.
    pub ticks: usize,
    /// Leases that turned out to be lost when they were to be extended.
    pub leases_lost: usize,
    /// Ends that were refused.
    pub refused: usize,
    /// Those of them whose process was paused after it had claimed the run.
    pub refused_after_pause: usize,
    /// Calls that failed, by name.
    pub failed: BTreeMap<String, usize>,
}

impl Counts {
    pub(super) fn of(history: &History) -> Self {
        let mut counts = Self::default();
        for run in history.runs.values() {
            *counts.runs.entry(run.run.state.as_str()).or_default() += 1;
            counts.ticks += usize::from(run.run.trigger == Trigger::Schedule);
            for attempt in &run.attempts {
                let count = counts.attempts.entry(attempt.outcome.as_str()).or_default();
                *count += 1;
            }
        }
        let mut pauses: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let mut claims: BTreeMap<(RunId, u32), u64> = BTreeMap::new();
        for entry in &history.ledger {
            match &entry.what {
                What::Paused { process, from } => pauses.entry(process).or_default().push(*from),
                What::Claimed { run, attempt, .. } => {
                    claims.insert((*run, *attempt), entry.at);
                }
                What::Enqueued { inserted, .. } => {
                    counts.acknowledged += 1;
                    counts.duplicates += usize::from(!inserted);
                }
                What::LeaseLost { .. } => counts.leases_lost += 1,
                What::Refused { run, attempt, .. } => {
                    counts.refused += 1;
                    let claimed = claims.get(&(*run, *attempt));
                    let paused = pauses.get(&*entry.by).is_some_and(|pauses| {
                        let meanwhile =
                            |from| claimed.is_some_and(|at| at <= from) && *from < entry.at;
                        pauses.iter().any(meanwhile)
                    });
                    counts.refused_after_pause += usize::from(paused);
                }
                What::Failed { call, .. } => {
                    *counts.failed.entry(call.to_string()).or_default() += 1;
                }
                _ => {}
            }
        }
        counts
    }

    /// All runs.
    pub fn total(&self) -> usize {
        self.runs.values().sum()
    }

    /// Runs in this state.
    pub fn in_state(&self, state: RunState) -> usize {
        self.runs.get(state.as_str()).copied().unwrap_or(0)
    }
}
