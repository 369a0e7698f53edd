//! The states of a run and the one function that moves between them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not due yet; also a retry that waits for its delay.
    Scheduled,
    /// Due, and waiting for a consumer.
    Queued,
    /// An attempt holds the lease.
    Running,
    /// An attempt ended with a result.
    Success,
    /// The last attempt that the policy allows ended with an error.
    Failure,
    /// Cancelled, or its task asked to abort.
    Aborted,
    /// Its consumer vanished and the policy forbids another attempt.
    Interrupted,
    /// Refused because its task's rate limit was reached.
    RateLimited,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its due time came.
    Due,
    /// A consumer took it.
    Claim,
    /// The attempt ended with a result.
    Succeed,
    /// The attempt failed and the policy allows another one later.
    RetryLater,
    /// The attempt failed for the last time.
    Fail,
    /// It was cancelled or asked to abort.
    Abort,
    /// The consumer gave it back, or its lease ran out and the policy allows another attempt.
    Release,
    /// Its lease ran out and the policy allows no other attempt.
    Interrupt,
    /// Its rate limit refuses it.
    RateLimit,
}

impl RunState {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Interrupted,
        Self::RateLimited,
    ];

    /// True for a state that never changes again.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Queued | Self::Running)
    }

    /// The word used in commands, files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
            Self::RateLimited => "rate_limited",
        }
    }

    /// The state after a transition, or `None` when a run in this state can't make it.
    pub fn after(self, transition: Transition) -> Option<Self> {
        use RunState as S;
        use Transition as T;
        match (self, transition) {
            (S::Scheduled, T::Due) | (S::Running, T::Release) => Some(S::Queued),
            (S::Queued, T::Claim) => Some(S::Running),
            (S::Running, T::Succeed) => Some(S::Success),
            (S::Running, T::RetryLater) => Some(S::Scheduled),
            (S::Running, T::Fail) => Some(S::Failure),
            (S::Scheduled | S::Queued | S::Running, T::Abort) => Some(S::Aborted),
            (S::Running, T::Interrupt) => Some(S::Interrupted),
            (S::Queued, T::RateLimit) => Some(S::RateLimited),
            _ => None,
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a state: use scheduled, queued, running, success, failure, aborted, interrupted or rate_limited"
)]
pub struct RunStateError(String);

impl FromStr for RunState {
    type Err = RunStateError;
    fn from_str(word: &str) -> Result<Self, RunStateError> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| RunStateError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{RunState as S, Transition as T};

    const TRANSITIONS: [T; 9] = [
        T::Due,
        T::Claim,
        T::Succeed,
        T::RetryLater,
        T::Fail,
        T::Abort,
        T::Release,
        T::Interrupt,
        T::RateLimit,
    ];

    #[test]
    fn the_whole_table_of_transitions() {
        let allowed = [
            (S::Scheduled, T::Due, S::Queued),
            (S::Scheduled, T::Abort, S::Aborted),
            (S::Queued, T::Claim, S::Running),
            (S::Queued, T::Abort, S::Aborted),
            (S::Queued, T::RateLimit, S::RateLimited),
            (S::Running, T::Succeed, S::Success),
            (S::Running, T::RetryLater, S::Scheduled),
            (S::Running, T::Fail, S::Failure),
            (S::Running, T::Abort, S::Aborted),
            (S::Running, T::Release, S::Queued),
            (S::Running, T::Interrupt, S::Interrupted),
        ];
        for state in S::ALL {
            for transition in TRANSITIONS {
                let expected = allowed
                    .iter()
                    .find(|(s, t, _)| (*s, *t) == (state, transition))
                    .map(|(_, _, next)| *next);
                assert_eq!(state.after(transition), expected, "{state} {transition:?}");
            }
        }
    }

    #[test]
    fn terminal_states_never_change() {
        for state in S::ALL.into_iter().filter(|s| s.is_terminal()) {
            assert!(
                TRANSITIONS.into_iter().all(|t| state.after(t).is_none()),
                "{state}"
            );
        }
    }

    #[test]
    fn words_survive_a_round_trip() {
        for state in S::ALL {
            assert_eq!(state.as_str().parse::<S>().unwrap(), state);
        }
        assert!(
            "done"
                .parse::<S>()
                .unwrap_err()
                .to_string()
                .contains("\"done\" is not a state")
        );
    }
}
