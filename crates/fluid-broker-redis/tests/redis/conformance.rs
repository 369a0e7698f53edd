//! The broker keeps every promise of a broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_broker_redis::RedisBroker;
use fluid_core::{Broker, Clock};
use fluid_testing::ManualClock;
use fluid_testing::broker::BrokerHarness;
use jiff::{SignedDuration, Timestamp};

use crate::stage::{fresh_prefix, options, shared};

struct RedisHarness {
    clock: ManualClock,
    prefix: String,
}

async fn redis() -> RedisHarness {
    RedisHarness {
        clock: ManualClock::new(),
        prefix: fresh_prefix(),
    }
}

#[async_trait]
impl BrokerHarness for RedisHarness {
    async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker> {
        let options = options(&shared().url(), &self.prefix)
            .clock(Arc::new(self.clock.with_offset(offset)))
            .log_cap(self.log_cap());
        Arc::new(RedisBroker::open(options).await.unwrap())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fluid_testing::broker_conformance!(redis);
