//! Servers that go away, hang and come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{Broker, BrokerError, Event, Finished, RunState};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};
use tokio::sync::broadcast::Receiver;

use crate::stage::{lease, new_run, new_runs, success, wish_for};

const SOON: Duration = Duration::from_secs(30);

async fn opened(server: &Postgres) -> PostgresBroker {
    let options = PostgresOptions::from_url(&server.url("postgres")).unwrap();
    PostgresBroker::open(options.call_deadline(Duration::from_secs(5)))
        .await
        .unwrap()
}

async fn hear(events: &mut Receiver<Event>, wanted: impl Fn(&Event) -> bool) {
    let heard = async {
        loop {
            if events.recv().await.is_ok_and(|event| wanted(&event)) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.unwrap();
}

/// Asks until the server takes it.
async fn enqueue_when_possible(broker: &PostgresBroker) {
    let since = Instant::now();
    let run = new_run("a");
    loop {
        match broker.enqueue(vec![run.clone()]).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        assert!(since.elapsed() < SOON, "the server does not come back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_and_started_again_lost_nothing() {
    let server = Postgres::start(&Server::new().durable()).unwrap();
    let broker = opened(&server).await;
    let mut events = broker.subscribe();
    hear(&mut events, |event| *event == Event::Changed).await;
    broker.enqueue(new_runs("a", 10)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 4)).await.unwrap().runs;

    server.kill().unwrap();
    let error = broker.claim(wish_for("a", 1)).await.unwrap_err();
    assert!(
        matches!(error, BrokerError::Unreachable { .. }) && error.is_transient(),
        "{error:?}"
    );
    server.start_again().unwrap();
    enqueue_when_possible(&broker).await;
    // Who listens is told that something may have been missed, and hears again.
    hear(&mut events, |event| *event == Event::Changed).await;
    let other = opened(&server).await;
    let run = new_run("b");
    let id = run.id;
    other.enqueue(vec![run]).await.unwrap();
    hear(
        &mut events,
        |event| matches!(event, Event::Enqueued { run, .. } if *run == id),
    )
    .await;

    let ends = claimed.iter().map(|one| (lease(one), success())).collect();
    let finished = broker.finish(ends).await.unwrap();
    assert_eq!(finished, [Finished::Written(RunState::Success); 4]);
    let rest = broker.claim(wish_for("a", 20)).await.unwrap().runs;
    assert_eq!(rest.len(), 7);
}

/// How many runs wait, or none while nobody can say.
async fn queued(broker: &PostgresBroker) -> u64 {
    let stats = broker.stats().await;
    stats.map_or(0, |stats| stats.count(RunState::Queued))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_the_middle_of_a_restart_happen_once() {
    let server = Postgres::start(&Server::new().durable()).unwrap();
    let broker = Arc::new(opened(&server).await);
    let runs = new_runs("a", 400);
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    let work = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            for run in runs {
                // Each is asked for until it is known to be there.
                while let Err(error) = broker.enqueue(vec![run.clone()]).await {
                    assert!(error.is_transient(), "{error:?}");
                }
            }
        })
    };
    let mut restarts = 0;
    while !work.is_finished() && restarts < 4 {
        // Some calls go through between one restart and the next.
        let before = queued(&broker).await;
        while !work.is_finished() && queued(&broker).await < before + 20 {}
        server.stop().unwrap();
        server.start_again().unwrap();
        restarts += 1;
    }
    work.await.unwrap();
    assert!(restarts >= 2, "{restarts}");
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 400);
    let claimed = broker.claim(wish_for("a", 1000)).await.unwrap().runs;
    let claimed: Vec<_> = claimed.into_iter().map(|(run, _)| run.id).collect();
    assert_eq!(claimed, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_in_time_and_used_again() {
    let server = Postgres::start(&Server::new()).unwrap();
    let options = PostgresOptions::from_url(&server.url("postgres")).unwrap();
    let options = options
        .call_deadline(Duration::from_millis(500))
        .connect_timeout(Duration::from_millis(500));
    let broker = PostgresBroker::open(options).await.unwrap();
    broker.enqueue(vec![new_run("a")]).await.unwrap();
    server.pause(true).unwrap();
    for _ in 0..3 {
        let error = broker.enqueue(vec![new_run("a")]).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let told = error.to_string();
        assert!(
            told.contains("nothing came back") || told.contains("timeout"),
            "{told}"
        );
    }
    server.pause(false).unwrap();
    enqueue_when_possible(&broker).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fluid'";
    let since = Instant::now();
    // What was asked of the hanging server is no session's work for long.
    while server
        .psql("postgres", sessions)
        .unwrap()
        .parse::<u32>()
        .unwrap()
        > 2
    {
        assert!(since.elapsed() < SOON, "sessions stay");
    }
}
