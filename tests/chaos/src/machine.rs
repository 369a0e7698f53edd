//! The one clock that all processes of a machine share and nobody turns.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine started.
pub(crate) fn micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(now.tv_nsec / 1000).unwrap_or(0)
}
