//! The broker keeps every promise of a broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, Clock};
use fluid_testing::ManualClock;
use fluid_testing::broker::BrokerHarness;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

struct SqliteHarness {
    clock: ManualClock,
    folder: TempDir,
}

async fn sqlite() -> SqliteHarness {
    SqliteHarness {
        clock: ManualClock::new(),
        folder: tempfile::tempdir().unwrap(),
    }
}

#[async_trait]
impl BrokerHarness for SqliteHarness {
    async fn open_skewed(&self, offset: SignedDuration) -> Arc<dyn Broker> {
        let options = SqliteOptions::new(self.folder.path().join("fluid.db"))
            .clock(Arc::new(self.clock.with_offset(offset)))
            .log_cap(self.log_cap());
        Arc::new(SqliteBroker::open(options).await.unwrap())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

fluid_testing::broker_conformance!(sqlite);
