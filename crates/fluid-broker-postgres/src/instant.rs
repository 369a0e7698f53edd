//! Instants and durations as numbers of microseconds.

use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Fault, Outcome};

/// Longer than any time from an instant to the last one there is, and short enough to be added to any instant.
const LONGEST: i64 = 1 << 60;

pub(crate) fn timestamp(micros: i64) -> Outcome<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| Fault::Corrupt(format!("{micros} is no instant: {error}")))
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST))
}
