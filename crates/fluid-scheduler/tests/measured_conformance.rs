//! A broker whose calls are measured keeps every promise of a broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{Broker, Clock};
use fluid_scheduler::{MeasuredBroker, MemoryBroker};
use fluid_testing::ManualClock;
use fluid_testing::broker::BrokerHarness;
use jiff::{SignedDuration, Timestamp};

struct MeasuredHarness {
    clock: ManualClock,
    broker: MemoryBroker,
}

async fn measured() -> MeasuredHarness {
    let clock = ManualClock::new();
    MeasuredHarness {
        broker: MemoryBroker::with_clock(Arc::new(clock.clone())),
        clock,
    }
}

#[async_trait]
impl BrokerHarness for MeasuredHarness {
    async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker> {
        let clock = Arc::new(self.clock.with_offset(offset));
        let broker = self.broker.handle_with_clock(clock);
        let broker = Arc::new(broker.log_cap(self.log_cap()));
        Arc::new(MeasuredBroker::new(broker))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fluid_testing::broker_conformance!(measured);
