//! Claims and other calls of many at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{Broker, DEFAULT_LEASE, Finished, LeaseStatus, RunFilter, RunState, TaskLimits};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::stage::{
    fresh_schema, lease, new_run, new_runs, open, server, success, task, wish, wish_for,
};

#[tokio::test]
async fn parallel_claims_do_not_wait_for_each_other() {
    let broker = open().await;
    broker.enqueue(new_runs("a", 6)).await.unwrap();
    let schema = broker.describe();
    let schema = schema.split("schema=").nth(1).unwrap();
    let (mut client, connection) = tokio_postgres::connect(&server().url("postgres"), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let other = client.transaction().await.unwrap();
    let claim = format!(
        "SELECT id FROM {schema}.claim(NULL, 1000, false, 'other', 2, 30000000, '{{default}}', '{{a}}', \
         NULL, NULL, NULL, NULL, NULL) WHERE id IS NOT NULL"
    );
    assert_eq!(other.query(&claim, &[]).await.unwrap().len(), 2);
    // The other claim is not over, and holds the most urgent two.
    let mine = tokio::time::timeout(Duration::from_secs(20), broker.claim(wish_for("a", 5)));
    assert_eq!(mine.await.unwrap().unwrap().runs.len(), 4);
    other.rollback().await.unwrap();
    assert_eq!(broker.claim(wish_for("a", 5)).await.unwrap().runs.len(), 2);
}

#[tokio::test]
async fn a_run_starts_after_the_end_that_made_room_for_it_though_its_claim_began_before() {
    let broker = Arc::new(open().await);
    broker.enqueue(new_runs("a", 2)).await.unwrap();
    let mut one_at_once = TaskLimits::none(task("a"));
    one_at_once.max_concurrency = 1;
    let request = wish(vec![one_at_once], 5);
    let first = broker.claim(request.clone()).await.unwrap().runs;
    let schema = broker.describe();
    let schema = schema.split("schema=").nth(1).unwrap();
    let key = format!("hashtextextended('fluid limit {schema} a', 0)");
    let (mut client, connection) = tokio_postgres::connect(&server().url("postgres"), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let other = client.transaction().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock({key})");
    other.execute(&lock, &[]).await.unwrap();

    let claim = tokio::spawn({
        let broker = Arc::clone(&broker);
        async move { broker.claim(request).await.unwrap().runs }
    });
    let waits = format!(
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' \
         AND (classid::bigint << 32) | objid::bigint = {key}"
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while other.query(&waits, &[]).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the claim waits for the lock");
    }
    let ends = vec![(lease(&first[0]), success())];
    broker.finish(ends).await.unwrap();
    let ended = broker.get(first[0].0.id).await.unwrap().unwrap().ended_at;
    other.rollback().await.unwrap();

    let second = claim.await.unwrap();
    assert_eq!(second.len(), 1);
    assert!(second[0].0.started_at >= ended, "{second:?} {ended:?}");
}

#[tokio::test]
async fn batches_of_the_same_runs_in_any_order_don_t_block_each_other() {
    let broker = Arc::new(open().await);
    for _ in 0..10 {
        broker.enqueue(new_runs("a", 60)).await.unwrap();
        let claimed = broker.claim(wish_for("a", 60)).await.unwrap().runs;
        let mut leases: Vec<_> = claimed.iter().map(lease).collect();
        let mut calls: JoinSet<Vec<Finished>> = JoinSet::new();
        for turn in 0..4 {
            leases.reverse();
            leases.rotate_left(turn * 7);
            let (broker, leases) = (Arc::clone(&broker), leases.clone());
            calls.spawn(async move {
                if turn % 2 == 0 {
                    broker.extend(leases, DEFAULT_LEASE).await.unwrap();
                    return Vec::new();
                }
                let ends = leases.into_iter().map(|lease| (lease, success()));
                broker.finish(ends.collect()).await.unwrap()
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(30), calls.join_all()).await;
        let written = all.unwrap().into_iter().flatten();
        assert_eq!(written.filter(|end| *end != Finished::Lost).count(), 60);
    }
    let log = server().log().unwrap();
    let schema = broker.describe();
    let schema = schema.split("schema=").nth(1).unwrap();
    let deadlocks = log
        .lines()
        .filter(|line| line.contains("deadlock") && line.contains(schema));
    assert_eq!(deadlocks.count(), 0);
}

#[tokio::test]
async fn a_token_of_the_same_batch_does_not_fit_another_run() {
    let broker = open().await;
    broker.enqueue(new_runs("a", 3)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 3)).await.unwrap().runs;
    let mut crossed: Vec<_> = claimed.iter().map(lease).collect();
    let first = crossed[0].token;
    crossed[0].token = crossed[1].token;
    crossed[1].token = first;
    let extended = broker.extend(crossed.clone(), DEFAULT_LEASE).await.unwrap();
    assert_eq!(
        extended,
        [LeaseStatus::Lost, LeaseStatus::Lost, LeaseStatus::Held]
    );
    let ends = crossed
        .into_iter()
        .map(|lease| (lease, success()))
        .collect();
    let finished = broker.finish(ends).await.unwrap();
    assert_eq!(
        finished,
        [
            Finished::Lost,
            Finished::Lost,
            Finished::Written(RunState::Success)
        ]
    );
    // A lost token and a good one of one run in one batch.
    let good = lease(&claimed[0]);
    let mut lost = good;
    lost.token = lease(&claimed[1]).token;
    let finished = broker
        .finish(vec![(lost, success()), (good, success())])
        .await
        .unwrap();
    assert_eq!(
        finished,
        [Finished::Lost, Finished::Written(RunState::Success)]
    );
}

#[tokio::test]
async fn no_call_reads_a_whole_table_of_runs() {
    let schema = fresh_schema();
    let url = format!("{}?application_name={schema}", server().url("postgres"));
    let options = PostgresOptions::from_url(&url)
        .unwrap()
        .schema(&schema)
        .unwrap();
    let psql = |sql: String| server().psql("postgres", &sql).unwrap();
    // What a session counted can be seen when it is over.
    let wait_for_the_end_of_sessions = async || {
        let since = Instant::now();
        let sessions =
            format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'");
        while psql(sessions.clone()) != "0" {
            assert!(since.elapsed() < Duration::from_secs(20), "sessions go on");
            tokio::task::yield_now().await;
        }
    };
    let scans = |what: &str| {
        psql(format!(
            "SELECT relname, {what} FROM pg_stat_user_tables WHERE schemaname = '{schema}' \
             AND relname NOT IN ('counts', 'meta') ORDER BY relname"
        ))
    };
    PostgresBroker::migrate(&options).await.unwrap();
    wait_for_the_end_of_sessions().await;
    // Everything is planned while the tables are empty, and known to be.
    psql(format!("VACUUM ANALYZE {schema}.runs, {schema}.finished"));
    // An index that is built counts as a scan of its table.
    let (tables, indexes) = (scans("seq_scan"), scans("idx_scan"));

    let broker = PostgresBroker::open(options).await.unwrap();
    for count in [1, 3, 2000] {
        for _ in 0..8 {
            let mut runs = new_runs("a", count);
            runs.push(new_run("b"));
            broker.enqueue(runs).await.unwrap();
            let claimed = broker.claim(wish_for("a", count)).await.unwrap().runs;
            assert_eq!(claimed.len(), count);
            let leases: Vec<_> = claimed.iter().map(lease).collect();
            broker.extend(leases.clone(), DEFAULT_LEASE).await.unwrap();
            let ends = leases.into_iter().map(|lease| (lease, success()));
            broker.finish(ends.collect()).await.unwrap();
        }
    }
    broker.stats().await.unwrap();
    let purged = broker.purge(RunFilter::default(), 100).await.unwrap();
    assert_eq!(purged, 100);
    drop(broker);
    wait_for_the_end_of_sessions().await;
    assert_ne!(scans("idx_scan"), indexes, "nothing was counted");
    assert_eq!(scans("seq_scan"), tables);
}
