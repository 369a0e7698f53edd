//! A clock that stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fluid_core::Clock;
use jiff::{SignedDuration, Timestamp};

/// Where every manual clock begins: 2026-01-05T06:00:00Z, a Monday.
const START_SECOND: i64 = 1_767_592_800;

/// A clock that only moves when it is told to. Clones show the same time, each with its own offset.
///
/// ```
/// use fluid_core::Clock;
/// use fluid_testing::ManualClock;
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let fast = clock.with_offset(jiff::SignedDuration::from_secs(90));
/// let start = clock.now();
/// clock.advance(Duration::from_secs(10));
/// assert_eq!(clock.now().duration_since(start).as_secs(), 10);
/// assert_eq!(fast.now().duration_since(start).as_secs(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    elapsed_nanos: Arc<AtomicI64>,
    offset: SignedDuration,
}

impl ManualClock {
    /// A clock that shows 2026-01-05T06:00:00Z.
    pub fn new() -> Self {
        Self {
            elapsed_nanos: Arc::new(AtomicI64::new(0)),
            offset: SignedDuration::ZERO,
        }
    }

    /// Moves this clock and all its clones forward; at most about 290 years in all.
    pub fn advance(&self, by: Duration) {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let _ = self
            .elapsed_nanos
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |elapsed| {
                Some(elapsed.saturating_add(nanos))
            });
    }

    /// A clock that goes with this one and is off by `offset`.
    #[must_use]
    pub fn with_offset(&self, offset: SignedDuration) -> Self {
        Self {
            elapsed_nanos: Arc::clone(&self.elapsed_nanos),
            offset: self.offset.saturating_add(offset),
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(START_SECOND).unwrap_or(Timestamp::UNIX_EPOCH);
        let elapsed = SignedDuration::from_nanos(self.elapsed_nanos.load(Ordering::SeqCst));
        start
            .saturating_add(elapsed.saturating_add(self.offset))
            .unwrap_or(Timestamp::MAX)
    }
}
