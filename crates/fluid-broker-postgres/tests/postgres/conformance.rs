//! The broker keeps every promise of a broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{Broker, Clock};
use fluid_testing::ManualClock;
use fluid_testing::broker::BrokerHarness;
use jiff::{SignedDuration, Timestamp};

use crate::stage::{fresh_schema, server};

/// A schema of its own, and the clock of all who work on it.
pub(crate) struct PostgresHarness {
    clock: ManualClock,
    url: String,
    schema: String,
}

impl PostgresHarness {
    pub(crate) fn new(url: String) -> Self {
        Self {
            clock: ManualClock::new(),
            url,
            schema: fresh_schema(),
        }
    }
}

async fn postgres() -> PostgresHarness {
    PostgresHarness::new(server().url("postgres"))
}

#[async_trait]
impl BrokerHarness for PostgresHarness {
    async fn open_skewed(&self, _: SignedDuration) -> Arc<dyn Broker> {
        let options = PostgresOptions::from_url(&self.url).unwrap();
        let options = options
            .schema(&self.schema)
            .unwrap()
            // Its time is the server's, whatever the clocks of processes show.
            .clock(Arc::new(self.clock.clone()))
            .log_cap(self.log_cap());
        Arc::new(PostgresBroker::open(options).await.unwrap())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fluid_testing::broker_conformance!(postgres);
