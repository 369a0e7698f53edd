//! The ids that a process makes whose clock is off.

use fluid_core::{Broker, BrokerResult, Enqueued, NewRun, RunId, Tick, Ticked};

use crate::around::Around;

/// Gives runs the ids that they would have if this process's clock were off: a run's id begins with the time.
#[derive(Debug)]
pub struct SkewedIds {
    ahead_millis: i64,
}

impl SkewedIds {
    /// Ids of a process whose clock is ahead by so many milliseconds.
    pub fn new(ahead_millis: i64) -> Self {
        Self { ahead_millis }
    }

    fn skew(&self, id: RunId) -> RunId {
        // The first 48 bits of a UUID of version 7 are milliseconds since the epoch (RFC 9562 § 5.7).
        let mut bytes = *id.as_bytes();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[..6]);
        let skewed = u64::from_be_bytes(millis).saturating_add_signed(self.ahead_millis);
        bytes[..6].copy_from_slice(&skewed.to_be_bytes()[2..]);
        RunId::from_bytes(bytes)
    }
}

impl Around for SkewedIds {
    async fn enqueue(
        &self,
        broker: &dyn Broker,
        mut runs: Vec<NewRun>,
    ) -> BrokerResult<Vec<Enqueued>> {
        for run in &mut runs {
            run.id = self.skew(run.id);
        }
        broker.enqueue(runs).await
    }

    async fn tick(&self, broker: &dyn Broker, mut ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        for tick in &mut ticks {
            tick.run.id = self.skew(tick.run.id);
        }
        broker.tick(ticks).await
    }
}

#[cfg(test)]
mod tests {
    use fluid_core::RunId;

    use super::SkewedIds;

    #[test]
    fn a_slow_clock_makes_smaller_ids_and_the_same_one_each_time() {
        let id: RunId = "0192f0c1-7d9a-7c3e-8a51-2f6f0e1b9d42".parse().unwrap();
        let slow = SkewedIds::new(-120_000).skew(id);
        assert_eq!(slow.to_string(), "0192f0bf-a8da-7c3e-8a51-2f6f0e1b9d42");
        assert_eq!(SkewedIds::new(120_000).skew(slow), id);
    }
}
