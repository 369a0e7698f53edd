//! What stands as a number in the tables.

use fluid_core::{AttemptOutcome, LogStream, Priority, RunState, Trigger};

/// The number of an enum's value, and back.
pub(crate) trait Coded: Sized + Copy + PartialEq + 'static {
    /// Every value; the number of each is its place.
    const VALUES: &'static [Self];

    fn code(self) -> i16 {
        let place = Self::VALUES.iter().position(|value| *value == self);
        place
            .and_then(|place| i16::try_from(place).ok())
            .unwrap_or(-1)
    }

    fn from_code(code: i16) -> Option<Self> {
        let place = usize::try_from(code).ok()?;
        Self::VALUES.get(place).copied()
    }
}

impl Coded for RunState {
    /// A queued run has two numbers: the second one where its attempt waits to be adopted.
    const VALUES: &'static [Self] = &[
        Self::Scheduled,
        Self::Queued,
        Self::Queued,
        Self::Running,
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Interrupted,
        Self::RateLimited,
    ];
}

/// The number of a queued run whose attempt waits to be adopted.
pub(crate) const ADOPTABLE: i16 = 2;

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
        for state in RunState::ALL {
            assert_eq!(RunState::from_code(state.code()), Some(state));
        }
        assert_eq!(RunState::from_code(ADOPTABLE), Some(RunState::Queued));
        assert_eq!(RunState::from_code(9), None);
        for outcome in AttemptOutcome::ALL {
            assert_eq!(AttemptOutcome::from_code(outcome.code()), Some(outcome));
        }
        assert_eq!(Priority::from_code(-1), None);
    }
}
