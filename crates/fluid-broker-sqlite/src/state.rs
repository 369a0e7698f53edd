//! A run's state as a number in the file.

use fluid_core::{AttemptOutcome, LogStream, Priority, RunState, Trigger};

/// The states of a run in the file, where a queued run whose attempt waits to be adopted is apart from one that
/// waits to start. The numbers are of one byte each in SQLite's record format, which has none for 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stored {
    Scheduled = 2,
    Queued = 3,
    Adoptable = 4,
    Running = 5,
    Success = 6,
    Failure = 7,
    Aborted = 8,
    Interrupted = 9,
    RateLimited = 10,
}

impl Stored {
    pub(crate) const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Queued,
        Self::Adoptable,
        Self::Running,
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Interrupted,
        Self::RateLimited,
    ];

    /// The states that never change again.
    pub(crate) const FINISHED: [Self; 5] = [
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Interrupted,
        Self::RateLimited,
    ];

    pub(crate) fn code(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// What everybody else calls it.
    pub(crate) fn public(self) -> RunState {
        match self {
            Self::Scheduled => RunState::Scheduled,
            Self::Queued | Self::Adoptable => RunState::Queued,
            Self::Running => RunState::Running,
            Self::Success => RunState::Success,
            Self::Failure => RunState::Failure,
            Self::Aborted => RunState::Aborted,
            Self::Interrupted => RunState::Interrupted,
            Self::RateLimited => RunState::RateLimited,
        }
    }
}

/// The number of an enum's value, and back.
pub(crate) trait Coded: Sized + Copy + PartialEq + 'static {
    /// Every value; the number of each is its place.
    const VALUES: &'static [Self];

    fn code(self) -> i64 {
        Self::VALUES
            .iter()
            .position(|value| *value == self)
            .and_then(|place| i64::try_from(place).ok())
            .unwrap_or(-1)
    }

    fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code)
            .ok()
            .and_then(|place| Self::VALUES.get(place))
            .copied()
    }
}

impl Coded for Priority {
    const VALUES: &'static [Self] = &Priority::ALL;
}

impl Coded for Trigger {
    const VALUES: &'static [Self] = &[Self::Request, Self::Schedule, Self::Parent, Self::Retry];
}

impl Coded for AttemptOutcome {
    const VALUES: &'static [Self] = &AttemptOutcome::ALL;
}

impl Coded for LogStream {
    const VALUES: &'static [Self] = &[Self::Stdout, Self::Stderr, Self::System];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for state in Stored::ALL {
            assert_eq!(Stored::from_code(state.code()), Some(state));
            assert_eq!(
                Stored::FINISHED.contains(&state),
                state.public().is_terminal()
            );
        }
        assert_eq!(Stored::from_code(11), None);
        for trigger in Trigger::VALUES {
            assert_eq!(Trigger::from_code(trigger.code()), Some(*trigger));
        }
        assert_eq!(Priority::from_code(-1), None);
    }
}
