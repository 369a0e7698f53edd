//! How often the tasks have started.

use std::collections::HashMap;

use fluid_core::RateLimit;
use jiff::Timestamp;

use super::index::Slot;

/// Below this number nothing is swept.
const FEW: usize = 1024;

/// The theoretical arrival time of each task and concurrency key, in microseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Rates {
    arrivals: HashMap<Slot, i64>,
    sweep_at: usize,
}

impl Rates {
    /// Counts a start, or says from when on it is allowed.
    pub(super) fn admit(
        &mut self,
        slot: Slot,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let now = now.as_microsecond();
        let arrival = self.arrivals.get(&slot).copied().unwrap_or(0);
        match limit.admit(arrival, now) {
            Ok(arrival) => {
                self.arrivals.insert(slot, arrival);
                self.sweep(now);
                Ok(())
            }
            Err(from) => Err(Timestamp::from_microsecond(from).unwrap_or(Timestamp::MAX)),
        }
    }

    /// Forgets what is as good as new, once there is much to forget.
    fn sweep(&mut self, now: i64) {
        if self.arrivals.len() > self.sweep_at.max(FEW) {
            self.arrivals.retain(|_, arrival| *arrival > now);
            self.sweep_at = self.arrivals.len() * 2;
        }
    }
}
