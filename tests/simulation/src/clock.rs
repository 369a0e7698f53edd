//! Virtual time as a broker's clock.

use fluid_core::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where virtual time begins: 2026-01-05T06:00:00Z.
const START_SECOND: i64 = 1_767_592_800;

/// The runtime's time, off by so much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VirtualClock {
    begin: Instant,
    ahead: SignedDuration,
}

impl VirtualClock {
    /// A clock that is right. Virtual time begins now.
    pub(crate) fn new() -> Self {
        Self {
            begin: Instant::now(),
            ahead: SignedDuration::ZERO,
        }
    }

    /// The same time, off by so much.
    pub(crate) fn ahead(self, ahead: SignedDuration) -> Self {
        Self { ahead, ..self }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(START_SECOND).unwrap_or(Timestamp::UNIX_EPOCH);
        let elapsed = SignedDuration::try_from(self.begin.elapsed()).unwrap_or_default();
        start
            .saturating_add(elapsed.saturating_add(self.ahead))
            .unwrap_or(start)
    }
}
