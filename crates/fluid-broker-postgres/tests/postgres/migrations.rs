//! The schema: made once, whoever comes first, and refused when it is of a newer version.

use std::sync::Arc;

use fluid_broker_postgres::PostgresBroker;
use fluid_core::{Broker, BrokerError, RunState};
use tokio::task::JoinSet;

use crate::stage::{new_run, options, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_open_at_once_make_one_schema() {
    let options = options();
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let options = options.clone();
        opening.spawn(async move {
            let broker = PostgresBroker::open(options).await.unwrap();
            broker.enqueue(vec![new_run("a")]).await.unwrap();
            Arc::new(broker)
        });
    }
    let brokers = opening.join_all().await;
    let stats = brokers[0].stats().await.unwrap();
    assert_eq!(stats.count(RunState::Queued), 8);
    assert_eq!(PostgresBroker::migrate(&options).await.unwrap(), (1, 1));
}

#[tokio::test]
async fn a_migration_says_from_where_it_came() {
    let options = options();
    assert_eq!(PostgresBroker::migrate(&options).await.unwrap(), (0, 1));
    assert_eq!(PostgresBroker::migrate(&options).await.unwrap(), (1, 1));
    PostgresBroker::open(options).await.unwrap();
}

#[tokio::test]
async fn a_schema_of_a_newer_fluid_is_left_alone() {
    let options = options();
    PostgresBroker::migrate(&options).await.unwrap();
    let schema = schema(&options.describe());
    server()
        .psql(
            "postgres",
            &format!("UPDATE {schema}.meta SET version = 99"),
        )
        .unwrap();
    for error in [
        PostgresBroker::open(options.clone()).await.unwrap_err(),
        PostgresBroker::migrate(&options).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                BrokerError::SchemaTooNew {
                    found: 99,
                    supported: 1,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let options = options();
    let schema = schema(&options.describe());
    // Somebody else's table has a name that is needed.
    let sql = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.ticks (x int)");
    server().psql("postgres", &sql).unwrap();
    let error = PostgresBroker::open(options.clone())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"ticks\" already exists"), "{error}");
    let tables = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'");
    assert_eq!(server().psql("postgres", &tables).unwrap(), "1");
    server()
        .psql("postgres", &format!("DROP TABLE {schema}.ticks"))
        .unwrap();
    PostgresBroker::open(options).await.unwrap();
}

pub(crate) fn schema(url: &str) -> String {
    url.split("schema=").nth(1).unwrap().to_owned()
}
