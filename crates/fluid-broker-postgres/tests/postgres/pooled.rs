//! The same through `PgBouncer` in transaction mode, and what is different there.

use std::sync::LazyLock;
use std::time::Duration;

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{Broker, Event};
use fluid_test_servers::postgres::PgBouncer;

use crate::conformance::PostgresHarness;
use crate::stage::{fresh_schema, new_run, server};

fn pooler() -> &'static PgBouncer {
    static POOLER: LazyLock<PgBouncer> = LazyLock::new(|| PgBouncer::start(server()).unwrap());
    &POOLER
}

async fn pooled() -> PostgresHarness {
    PostgresHarness::new(pooler().url("postgres"))
}

fluid_testing::broker_conformance!(pooled);

#[tokio::test]
async fn what_others_do_is_seen_without_notifications() {
    let schema = fresh_schema();
    let open = async |url: String| {
        let options = PostgresOptions::from_url(&url).unwrap();
        PostgresBroker::open(options.schema(&schema).unwrap())
            .await
            .unwrap()
    };
    let broker = open(pooler().url("postgres")).await;
    let other = open(server().url("postgres")).await;
    let mut events = broker.subscribe();
    let mut hear = async || {
        let heard = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        heard.unwrap().unwrap()
    };
    // Once for what was before, once more for what was not over then.
    assert_eq!(
        (hear().await, hear().await),
        (Event::Changed, Event::Changed)
    );
    other.enqueue(vec![new_run("a")]).await.unwrap();
    assert_eq!(hear().await, Event::Changed);
}
