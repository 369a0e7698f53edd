//! The memory broker keeps every promise of a broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{Broker, Clock};
use fluid_scheduler::MemoryBroker;
use fluid_testing::ManualClock;
use fluid_testing::broker::BrokerHarness;
use jiff::{SignedDuration, Timestamp};

struct MemoryHarness {
    clock: ManualClock,
    broker: MemoryBroker,
}

async fn memory() -> MemoryHarness {
    let clock = ManualClock::new();
    MemoryHarness {
        broker: MemoryBroker::with_clock(Arc::new(clock.clone())),
        clock,
    }
}

#[async_trait]
impl BrokerHarness for MemoryHarness {
    async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker> {
        let clock = Arc::new(self.clock.with_offset(offset));
        Arc::new(self.broker.handle_with_clock(clock).log_cap(self.log_cap()))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fluid_testing::broker_conformance!(memory);
