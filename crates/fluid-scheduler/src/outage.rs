//! What a process knows of its broker's failures: an outage is told once, and not by each kind of work that waits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::BrokerError;
use tokio::time::Instant;

/// How many reasons are told of one outage: it may begin as a lost connection and turn out as a wrong password.
const REASONS: usize = 4;

/// What is asked of a broker again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chore {
    Claims,
    Ends,
    Leases,
    Output,
    Progress,
    Ticks,
    Retention,
}

impl fmt::Display for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "claiming runs",
            Self::Ends => "writing results",
            Self::Leases => "renewing leases",
            Self::Output => "storing output",
            Self::Progress => "storing progress",
            Self::Ticks => "firing schedules",
            Self::Retention => "deleting old runs",
        })
    }
}

/// The outage of a manager's broker, if there is one now.
#[derive(Debug, Default)]
pub(crate) struct Outage(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Who waits, and how many of them.
    waiting: BTreeMap<Chore, usize>,
    since: Option<Instant>,
    told: Vec<String>,
}

impl State {
    /// One waits no more. When the outage began, if nobody else waits.
    fn leave(&mut self, chore: Chore) -> Option<Instant> {
        if let Some(count) = self.waiting.get_mut(&chore) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&chore);
            }
        }
        if !self.waiting.is_empty() {
            return None;
        }
        self.told.clear();
        self.since.take()
    }
}

impl Outage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A try failed, the first one of this worker if it `began` to wait. The reason is told if it is a new one.
    pub(crate) fn goes_on(&self, chore: Chore, began: bool, error: &BrokerError) {
        let mut state = self.state();
        if began {
            *state.waiting.entry(chore).or_default() += 1;
            state.since.get_or_insert_with(Instant::now);
        }
        let reason = error.to_string();
        if state.told.len() < REASONS && !state.told.contains(&reason) {
            tracing::warn!(work = %chore, error = reason, "waiting for the broker");
            state.told.push(reason);
        }
    }

    /// A worker got through. When nobody waits any more the outage is over.
    pub(crate) fn ends(&self, chore: Chore) {
        if let Some(since) = self.state().leave(chore) {
            let after = Duration::from_secs(since.elapsed().as_secs());
            let after = fluid_core::duration::format(after);
            tracing::info!(%after, "the broker works again");
        }
    }

    /// A worker waits no more, for what reason ever.
    pub(crate) fn is_left(&self, chore: Chore) {
        self.state().leave(chore);
    }

    /// Whether runs can be neither claimed nor ended, as far as is known.
    pub(crate) fn holds_up_runs(&self) -> bool {
        let state = self.state();
        [Chore::Claims, Chore::Ends]
            .iter()
            .any(|chore| state.waiting.contains_key(chore))
    }
}
