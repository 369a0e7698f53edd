//! One run as it is kept, and how an attempt of it begins and ends.

use std::sync::Arc;

use fluid_core::{
    Attempt, AttemptOutcome, BrokerError, BrokerResult, ConsumerId, LeaseToken, RunError, RunState,
    TaskRun, Transition,
};
use jiff::Timestamp;

use super::NAME;
use super::log::RunLog;

/// Whose the current attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// There is no current attempt.
    None,
    /// A consumer's.
    Leased {
        token: LeaseToken,
        until: Timestamp,
        survives: bool,
    },
    /// Its consumer is gone, and it waits to be adopted.
    Orphaned,
}

/// One run and what belongs to it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) run: TaskRun,
    /// Its place in the order of arrival.
    pub(super) arrival: u64,
    pub(super) hold: Hold,
    /// The attempts that ended.
    pub(super) history: Vec<Attempt>,
    /// Its unique key, and until when it is held at least.
    pub(super) unique: Option<(Arc<str>, Option<Timestamp>)>,
    pub(super) log: RunLog,
}

impl Entry {
    /// Whether this token is the one that may write now.
    pub(super) fn is_held_by(&self, with: LeaseToken) -> bool {
        matches!(self.hold, Hold::Leased { token, .. } if token == with)
    }

    pub(super) fn survives_consumer(&self) -> bool {
        matches!(self.hold, Hold::Leased { survives: true, .. })
    }

    /// The current attempt, as it stands in the history.
    pub(super) fn current(&self) -> Option<Attempt> {
        if self.hold == Hold::None {
            return None;
        }
        let consumer = self.run.consumer.clone()?;
        let mut attempt = Attempt::running(self.run.attempt, consumer, self.run.started_at?);
        attempt.execution.clone_from(&self.run.execution);
        Some(attempt)
    }

    /// Moves the run to its next state.
    pub(super) fn step(&mut self, transition: Transition) -> BrokerResult<()> {
        let Some(next) = self.run.state.after(transition) else {
            return Err(BrokerError::Corrupt {
                broker: NAME.to_owned(),
                reason: format!(
                    "run {} is {} and can't make the transition {transition:?}",
                    self.run.id, self.run.state
                ),
            });
        };
        self.run.state = next;
        Ok(())
    }

    /// A consumer takes the run: its next attempt, or the one that waits to be adopted.
    pub(super) fn start(
        &mut self,
        consumer: ConsumerId,
        now: Timestamp,
        until: Timestamp,
        survives: bool,
    ) -> BrokerResult<LeaseToken> {
        self.step(Transition::Claim)?;
        if self.hold == Hold::None {
            self.run.attempt += 1;
            self.run.started_at = Some(now);
            self.run.execution = None;
        }
        self.run.consumer = Some(consumer);
        let token = LeaseToken::random();
        self.hold = Hold::Leased {
            token,
            until,
            survives,
        };
        Ok(token)
    }

    /// The consumer is gone and the attempt goes on.
    pub(super) fn orphan(&mut self) -> BrokerResult<()> {
        self.step(Transition::Release)?;
        self.hold = Hold::Orphaned;
        self.forget_news();
        Ok(())
    }

    /// The current attempt ends and the run goes on.
    pub(super) fn next_attempt(
        &mut self,
        transition: Transition,
        outcome: AttemptOutcome,
        error: Option<RunError>,
        now: Timestamp,
    ) -> BrokerResult<()> {
        self.step(transition)?;
        self.close(outcome, error.as_ref(), now);
        if error.is_some() {
            self.run.error = error;
        }
        Ok(())
    }

    /// The run ends, and with it the current attempt if there is one.
    pub(super) fn end(
        &mut self,
        transition: Transition,
        outcome: AttemptOutcome,
        error: Option<RunError>,
        now: Timestamp,
    ) -> BrokerResult<RunState> {
        self.step(transition)?;
        self.close(outcome, error.as_ref(), now);
        self.run.error = error;
        self.run.ended_at = Some(now);
        self.run.cancel_requested = false;
        Ok(self.run.state)
    }

    fn close(&mut self, outcome: AttemptOutcome, error: Option<&RunError>, now: Timestamp) {
        if let Some(mut attempt) = self.current() {
            attempt.ended_at = Some(now);
            attempt.outcome = outcome;
            attempt.error = error.cloned();
            self.history.push(attempt);
        }
        self.hold = Hold::None;
        self.forget_news();
    }

    fn forget_news(&mut self) {
        self.run.progress = None;
        self.run.waiting = None;
    }
}
