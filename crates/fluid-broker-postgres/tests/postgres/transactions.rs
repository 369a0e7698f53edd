//! Requests in the caller's own transaction.

use std::time::Duration;

use fluid_broker_postgres::PostgresBroker;
use fluid_core::{Broker, Enqueued, Event, NewRun, Priority, RunState, TaskRun, Unique};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::stage::{lease, new_run, open, server, success, task, wish_for};

async fn client() -> Client {
    let (client, connection) = tokio_postgres::connect(&server().url("postgres"), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

fn unique(name: &str, key: &str) -> NewRun {
    let mut run = new_run(name);
    run.unique = Some(Unique {
        key: key.into(),
        window: None,
    });
    run
}

async fn queued(broker: &PostgresBroker) -> u64 {
    broker.stats().await.unwrap().count(RunState::Queued)
}

#[tokio::test]
async fn a_run_exists_if_and_only_if_its_transaction_commits() {
    let broker = open().await;
    let mut client = client().await;
    for commits in [false, true] {
        let transaction = client.transaction().await.unwrap();
        let run = new_run("a");
        let id = run.id;
        let answers = broker.queue_in(&transaction, vec![run]).await.unwrap();
        assert_eq!(answers, [Enqueued::Inserted(id)]);
        assert_eq!(
            broker.get(id).await.unwrap(),
            None,
            "seen before the commit"
        );
        assert_eq!(broker.claim(wish_for("a", 5)).await.unwrap().runs, []);
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(broker.get(id).await.unwrap().is_some(), commits);
        assert_eq!(queued(&broker).await, u64::from(commits));
    }
    assert_eq!(broker.claim(wish_for("a", 5)).await.unwrap().runs.len(), 1);
}

/// Waits until the broker hears what other processes tell.
async fn listening(broker: &PostgresBroker) -> tokio::sync::broadcast::Receiver<Event> {
    let mut events = broker.subscribe();
    let first = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    assert_eq!(first.unwrap().unwrap(), Event::Changed);
    events
}

#[tokio::test]
async fn consumers_are_told_at_the_commit() {
    let broker = open().await;
    let mut client = client().await;
    let mut events = listening(&broker).await;
    let transaction = client.transaction().await.unwrap();
    let run = new_run("a");
    let told = Event::Enqueued {
        run: run.id,
        task: task("a"),
    };
    broker.queue_in(&transaction, vec![run]).await.unwrap();
    assert!(events.try_recv().is_err(), "told before the commit");
    transaction.commit().await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    assert_eq!(heard.unwrap().unwrap(), told);
}

#[tokio::test]
async fn a_statement_of_plain_text_enqueues_all_that_a_run_is() {
    let broker = open().await;
    let mut run = unique("übung", "k'\"\\ 🔑");
    run.queue = fluid_core::QueueName::parse("fast").unwrap();
    run.priority = Priority::High;
    run.params = fluid_core::Params::stored(
        fluid_core::JsonText::parse("{\"a\":  \"\\u0000 \\\"x\\\" ü\"}").unwrap(),
        ["/a".to_owned()],
    );
    run.concurrency_key = "ключ\0\u{1}".into();
    run.due = fluid_core::Due::After(Duration::from_secs(60));
    run.max_interruptions = 7;
    (run.parent, run.root) = (
        Some(fluid_core::RunId::new()),
        Some(fluid_core::RunId::new()),
    );
    let second = unique("übung", "k'\"\\ 🔑");
    let (sql, parameters) = broker
        .enqueue_statement(&[run.clone(), second.clone(), new_run("a")])
        .unwrap();
    let client = client().await;
    let given: Vec<_> = parameters
        .iter()
        .map(|text| {
            (
                text as &(dyn tokio_postgres::types::ToSql + Sync),
                Type::TEXT,
            )
        })
        .collect();
    let rows = client.query_typed(&sql, &given).await.unwrap();
    assert_eq!(rows.len(), 1, "one is a duplicate");
    let named: (uuid::Uuid, uuid::Uuid) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(named.0.as_bytes(), second.id.as_bytes());
    assert_eq!(named.1.as_bytes(), run.id.as_bytes());
    let stored = broker.get(run.id).await.unwrap().unwrap();
    let due = stored.created_at + Duration::from_secs(60);
    assert_eq!(stored, TaskRun::enqueued(&run, stored.created_at, due));
    assert_eq!(queued(&broker).await, 1);
}

#[tokio::test]
async fn an_open_transaction_holds_up_neither_claims_nor_ends() {
    let broker = open().await;
    let held = unique("a", "k");
    broker
        .enqueue(vec![held.clone(), new_run("b")])
        .await
        .unwrap();
    let claimed = broker.claim(wish_for("a", 5)).await.unwrap().runs;
    let mut client = client().await;
    let transaction = client.transaction().await.unwrap();
    let mut runs = vec![unique("a", "k"), unique("a", "other")];
    runs.extend((0..50).map(|_| new_run("b")));
    let answers = broker.queue_in(&transaction, runs).await.unwrap();
    assert_eq!(answers[0], Enqueued::Duplicate(held.id));
    let others = async {
        let ends = claimed.iter().map(|one| (lease(one), success())).collect();
        broker.finish(ends).await.unwrap();
        broker
            .enqueue(vec![unique("a", "k"), new_run("b")])
            .await
            .unwrap();
        let claimed = broker.claim(wish_for("b", 5)).await.unwrap().runs;
        assert_eq!(claimed.len(), 2);
        for _ in 0..200 {
            // Among them are those that tidy up.
            broker.enqueue(vec![new_run("c")]).await.unwrap();
        }
        broker.stats().await.unwrap()
    };
    let stats = tokio::time::timeout(Duration::from_secs(20), others).await;
    assert_eq!(stats.unwrap().count(RunState::Queued), 201);
    transaction.commit().await.unwrap();
    assert_eq!(queued(&broker).await, 201 + 51);
}
