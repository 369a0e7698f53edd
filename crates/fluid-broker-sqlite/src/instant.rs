//! Instants as microseconds since 1970, which is how the file keeps them.

use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Fault, Outcome};

/// The instant `by` later, or the last one that there is.
pub(crate) fn later(at: i64, by: Duration) -> i64 {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    at.saturating_add(by).min(Timestamp::MAX.as_microsecond())
}

pub(crate) fn timestamp(micros: i64) -> Outcome<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| Fault::Corrupt(format!("{micros} is no instant")))
}

pub(crate) fn optional(micros: Option<i64>) -> Outcome<Option<Timestamp>> {
    micros.map(timestamp).transpose()
}
