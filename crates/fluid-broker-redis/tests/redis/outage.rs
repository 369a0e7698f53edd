//! Servers that go away and come back, or hand over to another.

use std::collections::BTreeSet;
use std::time::Duration;

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_core::{Broker, Event, Finished, RunState};
use fluid_test_servers::redis::{RedisCluster, RedisOptions as ServerOptions, RedisServer};

use crate::stage::{insist, new_runs, open, server, shared, successes, task, wish_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_keeps_what_it_took() {
    let mut server = server(&ServerOptions::new().append_only());
    let broker = open(&server.url()).await;
    let mut enqueued = 0;
    for round in 0_usize..5 {
        let size = [1, 30][round % 2];
        insist(|| broker.enqueue(new_runs("a", size))).await;
        enqueued += size as u64;
        let claimed = insist(|| broker.claim(wish_for("a", 10))).await.runs;
        server.kill().unwrap();
        let error = broker.finish(successes(&claimed)).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        server.restart().unwrap();
        let finished = insist(|| broker.finish(successes(&claimed))).await;
        assert_eq!(
            finished,
            vec![Finished::Written(RunState::Success); claimed.len()]
        );
    }
    let stats = broker.stats().await.unwrap();
    let all: u64 = stats.tasks[&task("a")].values().sum();
    assert_eq!((all, stats.count(RunState::Running)), (enqueued, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_waited_for_and_does_nothing_twice() {
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    let runs = new_runs("a", 40);
    broker.enqueue(runs.clone()).await.unwrap();
    server.stop().unwrap();
    // Each try is left in the server's buffer, and all are carried out once it goes on.
    let error = broker.claim(wish_for("a", 10)).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("did not answer")
            || error.to_string().contains("greeted"),
        "{error}"
    );
    server.go_on().unwrap();
    let claimed = insist(|| broker.claim(wish_for("a", 10))).await.runs;
    let stats = broker.stats().await.unwrap();
    assert_eq!((claimed.len(), stats.count(RunState::Running)), (10, 10));
    let finished = broker.finish(successes(&claimed)).await.unwrap();
    assert_eq!(finished, [Finished::Written(RunState::Success); 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_that_it_may_have_missed_something() {
    let mut server = server(&ServerOptions::new().append_only());
    let broker = open(&server.url()).await;
    let mut events = broker.subscribe();
    let mut hear = async || {
        tokio::time::timeout(Duration::from_secs(20), events.recv())
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(hear().await, Event::Changed);
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(hear().await, Event::Changed);
    let other = open(&server.url()).await;
    let runs = new_runs("a", 1);
    let run = runs[0].id;
    other.enqueue(runs).await.unwrap();
    assert_eq!(
        hear().await,
        Event::Enqueued {
            run,
            task: task("a")
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_heard_once_by_oneself_and_once_by_others() {
    let url = format!("{}?prefix=events", shared().url());
    let (broker, other) = (open(&url).await, open(&url).await);
    let (mut own, mut others) = (broker.subscribe(), other.subscribe());
    let hear = async |events: &mut tokio::sync::broadcast::Receiver<Event>| {
        tokio::time::timeout(Duration::from_secs(20), events.recv())
            .await
            .unwrap()
            .unwrap()
    };
    // Both listen.
    assert_eq!(
        (hear(&mut own).await, hear(&mut others).await),
        (Event::Changed, Event::Changed)
    );
    let mut runs = Vec::new();
    for _ in 0..3 {
        let new = new_runs("a", 1);
        runs.push(new[0].id);
        broker.enqueue(new).await.unwrap();
    }
    for run in runs {
        let event = Event::Enqueued {
            run,
            task: task("a"),
        };
        assert_eq!(hear(&mut own).await, event);
        assert_eq!(hear(&mut others).await, event);
    }
}

/// The primary dies while it is asked, and its replica takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_in_the_middle_loses_no_run_and_does_none_twice() {
    let mut primary = server(&ServerOptions::new());
    let replica = server(&ServerOptions::new().replica_of(primary.port()));
    primary
        .wait_for(&["INFO", "replication"], "state=online")
        .unwrap();
    let sentinel = RedisServer::sentinel(primary.port()).unwrap();
    let other_port = replica.port().to_string();
    sentinel
        .wait_for(&["SENTINEL", "REPLICAS", "main"], &other_port)
        .unwrap();
    let url = format!(
        "redis+sentinel://127.0.0.1:{}/main?replicas=1",
        sentinel.port()
    );
    let options = RedisOptions::from_url(&url)
        .unwrap()
        .patience(Duration::from_secs(30));
    let broker = RedisBroker::open(options.answer_within(Duration::from_secs(2)))
        .await
        .unwrap();

    let (now, kill) = std::sync::mpsc::channel();
    let failover = std::thread::spawn(move || {
        kill.recv().unwrap();
        primary.kill().unwrap();
        sentinel
            .wait_for(
                &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"],
                &other_port,
            )
            .unwrap();
        // It comes back as the replica of the new one.
        primary.restart().unwrap();
        primary
            .cli(&["REPLICAOF", "127.0.0.1", &other_port])
            .unwrap();
        (primary, sentinel)
    });
    works_through_a_change(&broker, || now.send(()).unwrap()).await;
    let (_primary, _sentinel) = failover.join().unwrap();
}

/// A node of a cluster hands its slots over to its replica while it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_changes_hands_loses_no_run_and_does_none_twice() {
    let cluster = RedisCluster::start().unwrap();
    let options = RedisOptions::from_url(&cluster.url()).unwrap();
    let broker = RedisBroker::open(options).await.unwrap();
    works_through_a_change(&broker, || cluster.hand_over("{fluid}:meta").unwrap()).await;
}

/// Sixty rounds of everything, with a change of servers in the middle; then all that was taken was done, once.
async fn works_through_a_change(broker: &RedisBroker, change: impl FnOnce()) {
    let mut change = Some(change);
    let (mut enqueued, mut succeeded) = (BTreeSet::new(), BTreeSet::new());
    for round in 0_usize..60 {
        if round == 20
            && let Some(change) = change.take()
        {
            change();
        }
        let runs = new_runs("a", [1, 20][round % 2]);
        enqueued.extend(runs.iter().map(|run| run.id));
        insist(|| broker.enqueue(runs.clone())).await;
        let claimed = insist(|| broker.claim(wish_for("a", [3, 30][round % 2])))
            .await
            .runs;
        let finished = insist(|| broker.finish(successes(&claimed))).await;
        for ((run, _), answer) in claimed.iter().zip(finished) {
            assert_eq!(answer, Finished::Written(RunState::Success));
            assert!(succeeded.insert(run.id), "{} was done twice", run.id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let claimed = insist(|| broker.claim(wish_for("a", 50))).await.runs;
        if claimed.is_empty() {
            break;
        }
        insist(|| broker.finish(successes(&claimed))).await;
        for (run, _) in claimed {
            assert!(succeeded.insert(run.id), "{} was done twice", run.id);
        }
    }
    assert_eq!(succeeded, enqueued);
    let stats = broker.stats().await.unwrap();
    assert_eq!(
        stats.tasks[&task("a")],
        [(RunState::Success, enqueued.len() as u64)].into()
    );
}
