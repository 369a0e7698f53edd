//! A history, ordered by what is asked of it.

use std::collections::BTreeMap;

use fluid_core::{Attempt, AttemptOutcome, ConsumerId, RunId, RunState};
use jiff::{SignedDuration, Timestamp};

use crate::entry::{Entry, Tried, What};
use crate::history::{Clocks, History, RunHistory};

/// What the processes know of one attempt.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// From when on its lease was held for sure: when the claim was answered.
    pub(super) claimed: Option<u64>,
    /// Until when at least: when the last call that its lease let through was begun.
    pub(super) held: u64,
    /// Its function told that it was done.
    pub(super) done: bool,
    /// What was to be written of its end, in any call.
    pub(super) tried: Vec<Tried>,
    /// What was written, and the state of the run after it.
    pub(super) ended: Vec<(Tried, RunState)>,
    /// How often it was refused.
    pub(super) refused: usize,
    /// A call that was to write its end failed.
    pub(super) unanswered: bool,
}

impl Noted {
    /// When its lease was held for sure. The answer to a claim may come long after the lease is lost: without a later
    /// call that the lease let through nothing is sure.
    pub(super) fn certain(&self) -> Option<(u64, u64)> {
        let claimed = self.claimed?;
        (claimed < self.held).then_some((claimed, self.held))
    }
}

/// A history, ordered by run and attempt.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) history: &'a History,
    pub(super) noted: BTreeMap<(RunId, u32), Noted>,
    /// How far the clock of each consumer was ahead.
    ahead: BTreeMap<ConsumerId, SignedDuration>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut seen = Self {
            history,
            noted: BTreeMap::new(),
            ahead: BTreeMap::new(),
        };
        for entry in &history.ledger {
            seen.take(entry);
        }
        seen
    }

    fn take(&mut self, entry: &Entry) {
        match &entry.what {
            What::Began { consumer, ahead } => {
                let ahead = SignedDuration::from_micros(*ahead);
                self.ahead.insert(consumer.clone(), ahead);
            }
            What::Claimed { run, attempt, .. } => self.of(*run, *attempt).claimed = Some(entry.at),
            What::Held {
                run,
                attempt,
                asked,
            } => self.holds(*run, *attempt, *asked),
            What::Done { run, attempt } => self.of(*run, *attempt).done = true,
            What::Ending {
                run,
                attempt,
                tried,
            } => self.of(*run, *attempt).tried.push(*tried),
            What::Ended {
                run,
                attempt,
                tried,
                state,
                asked,
            } => {
                self.of(*run, *attempt).ended.push((*tried, *state));
                self.holds(*run, *attempt, *asked);
            }
            What::Refused { run, attempt, .. } => self.of(*run, *attempt).refused += 1,
            What::Unanswered { run, attempt } => self.of(*run, *attempt).unanswered = true,
            _ => {}
        }
    }

    fn of(&mut self, run: RunId, attempt: u32) -> &mut Noted {
        self.noted.entry((run, attempt)).or_default()
    }

    fn holds(&mut self, run: RunId, attempt: u32, asked: u64) {
        let noted = self.of(run, attempt);
        noted.held = noted.held.max(asked);
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &'a RunHistory> {
        self.history.runs.values()
    }

    pub(super) fn run(&self, run: RunId) -> Option<&'a RunHistory> {
        self.history.runs.get(&run)
    }

    pub(super) fn attempt(&self, run: RunId, number: u32) -> Option<&'a Attempt> {
        let attempts = &self.run(run)?.attempts;
        attempts.iter().find(|attempt| attempt.number == number)
    }

    pub(super) fn noted(&self, run: RunId, attempt: u32) -> Option<&Noted> {
        self.noted.get(&(run, attempt))
    }

    /// When an attempt started, on the one clock.
    pub(super) fn started(&self, attempt: &Attempt) -> Option<Timestamp> {
        self.on_one_clock(attempt.started_at, &attempt.consumer)
    }

    /// When an attempt ended, on the one clock; `None` when it can't be told whose clock its end was written by.
    pub(super) fn ended(&self, run: RunId, attempt: &Attempt) -> Option<Timestamp> {
        let by_itself = match attempt.outcome {
            AttemptOutcome::Success | AttemptOutcome::Failure | AttemptOutcome::Released => true,
            AttemptOutcome::Aborted => self
                .noted(run, attempt.number)
                .is_some_and(|noted| !noted.ended.is_empty()),
            AttemptOutcome::Interrupted | AttemptOutcome::Running => false,
        };
        if !by_itself && self.history.clocks == Clocks::Processes {
            return None;
        }
        self.on_one_clock(attempt.ended_at?, &attempt.consumer)
    }

    fn on_one_clock(&self, at: Timestamp, by: &ConsumerId) -> Option<Timestamp> {
        match self.history.clocks {
            Clocks::Server => Some(at),
            Clocks::Processes => at.checked_sub(*self.ahead.get(by)?).ok(),
        }
    }
}
