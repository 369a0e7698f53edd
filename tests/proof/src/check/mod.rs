//! Holds the broker's history against what the processes know.

mod attempts;
mod counts;
mod ends;
mod limits;
mod lost;
mod refused;
mod seen;
mod switches;
mod ticks;

use std::fmt;

use crate::history::History;

pub use counts::Counts;
use seen::Seen;

/// What must never be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// A run that was acknowledged exists and ends, and what it acknowledged was done.
    NothingLost,
    /// No run succeeds twice, and its end is written once.
    OneEnd,
    /// What was acknowledged of an attempt stands in the history of that attempt, and nobody else wrote it.
    EndsStand,
    /// Attempts are numbered without gaps and follow one another.
    AttemptsInOrder,
    /// No more runs of a task are running than it allows, and none beside another of its unique key.
    LimitsKept,
    /// Nothing is claimed from a paused queue, and no run of a disabled task.
    OffIsOff,
    /// Each due instant of a schedule gives one run.
    TicksOnce,
    /// A write that was refused left no trace.
    RefusedIsRefused,
    /// What nobody disturbed goes on: processes live until they are ended, and all work gets done in time.
    GoesOn,
}

impl Promise {
    /// Every promise.
    pub const ALL: [Self; 9] = [
        Self::NothingLost,
        Self::OneEnd,
        Self::EndsStand,
        Self::AttemptsInOrder,
        Self::LimitsKept,
        Self::OffIsOff,
        Self::TicksOnce,
        Self::RefusedIsRefused,
        Self::GoesOn,
    ];
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NothingLost => "nothing is lost",
            Self::OneEnd => "one success, one end",
            Self::EndsStand => "acknowledged ends stand",
            Self::AttemptsInOrder => "attempts in order",
            Self::LimitsKept => "limits and keys are kept",
            Self::OffIsOff => "what is off is not claimed",
            Self::TicksOnce => "each tick once",
            Self::RefusedIsRefused => "refused writes leave no trace",
            Self::GoesOn => "work goes on",
        })
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// How, with the run that it was broken to.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.how)
    }
}

/// What a checker found.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Every broken promise.
    pub violations: Vec<Violation>,
    /// How much there was to check.
    pub counts: Counts,
}

impl Verdict {
    /// Whether this promise was broken.
    pub fn breaks(&self, promise: Promise) -> bool {
        self.violations
            .iter()
            .any(|violation| violation.promise == promise)
    }

    /// Adds a broken promise.
    pub fn add(&mut self, promise: Promise, how: impl Into<String>) {
        self.violations.push(Violation {
            promise,
            how: how.into(),
        });
    }
}

/// Checks every promise.
pub fn check(history: &History) -> Verdict {
    let seen = Seen::new(history);
    let mut verdict = Verdict {
        violations: Vec::new(),
        counts: Counts::of(history),
    };
    for check in [
        lost::check,
        ends::check,
        attempts::check,
        limits::check,
        switches::check,
        ticks::check,
        refused::check,
    ] {
        check(&seen, &mut verdict);
    }
    verdict
}
