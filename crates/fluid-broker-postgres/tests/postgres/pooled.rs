//! The same through `PgBouncer` in transaction mode.

use std::sync::LazyLock;

use fluid_test_servers::postgres::PgBouncer;

use crate::conformance::PostgresHarness;
use crate::stage::server;

async fn pooled() -> PostgresHarness {
    static POOLER: LazyLock<PgBouncer> = LazyLock::new(|| PgBouncer::start(server()).unwrap());
    PostgresHarness::new(POOLER.url("postgres"))
}

fluid_testing::broker_conformance!(pooled);
