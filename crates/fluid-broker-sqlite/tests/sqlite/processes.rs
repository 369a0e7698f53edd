//! Several handles on one file, which is to SQLite as several processes are.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::SqliteBroker;
use fluid_core::{Broker, ConsumerId, Finish, Finished, JsonText, RunId, RunState};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::stage::{Folder, enqueue, lease, new_run, new_runs, wish_for};

/// Claims and finishes until `total` runs of the file have ended; what this handle was given.
async fn work(broker: SqliteBroker, name: String, total: u64) -> Vec<RunId> {
    let mut request = wish_for("a", 7);
    request.consumer = ConsumerId::parse(name).unwrap();
    let mut given = Vec::new();
    loop {
        let claimed = broker.claim(request.clone()).await.unwrap();
        if claimed.runs.is_empty() {
            let stats = broker.stats().await.unwrap();
            if stats.count(RunState::Success) == total {
                return given;
            }
            continue;
        }
        given.extend(claimed.runs.iter().map(|(run, _)| run.id));
        let leases = claimed.runs.iter().map(lease);
        let batch = leases.map(|lease| (lease, Finish::Success(JsonText::null())));
        for finished in broker.finish(batch.collect()).await.unwrap() {
            assert_eq!(finished, Finished::Written(RunState::Success));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_that_work_at_once_are_never_given_the_same_run() {
    const HANDLES: usize = 4;
    const BATCHES: usize = 15;
    const BATCH: usize = 10;
    let folder = Folder::new();
    let total = (HANDLES * BATCHES * BATCH) as u64;
    let mut producers = JoinSet::new();
    let mut workers = JoinSet::new();
    for number in 0..HANDLES {
        let producer = folder.open().await;
        producers.spawn(async move {
            for _ in 0..BATCHES {
                enqueue(&producer, new_runs("a", BATCH)).await.unwrap();
            }
        });
        let worker = folder.open().await;
        workers.spawn(work(worker, format!("worker-{number}"), total));
    }
    let working = async {
        producers.join_all().await;
        workers.join_all().await
    };
    let given = timeout(Duration::from_secs(60), working).await.unwrap();
    let given: Vec<RunId> = given.into_iter().flatten().collect();
    let distinct: HashSet<RunId> = given.iter().copied().collect();
    assert_eq!(given.len() as u64, total);
    assert_eq!(distinct.len() as u64, total);
}

#[tokio::test]
async fn an_enqueue_wakes_the_subscribers_of_other_handles() {
    let folder = Folder::new();
    let (here, there) = (folder.open().await, folder.open().await);
    let mut events = there.subscribe();
    let mut waits = Vec::new();
    for _ in 0..20 {
        let since = Instant::now();
        enqueue(&here, vec![new_run("a")]).await.unwrap();
        timeout(Duration::from_secs(1), events.recv())
            .await
            .expect("no event within a second")
            .unwrap();
        waits.push(since.elapsed());
        let claimed = there.claim(wish_for("a", 1)).await.unwrap();
        assert_eq!(claimed.runs.len(), 1);
        while events.try_recv().is_ok() {}
    }
    waits.sort();
    println!(
        "enqueue by one handle to the event of another: median {:?}, longest {:?}",
        waits[10], waits[19]
    );
    let median_that_no_poll_gives = Duration::from_millis(400);
    assert!(waits[10] < median_that_no_poll_gives, "{waits:?}");
}

#[tokio::test]
async fn an_idle_claim_writes_nothing_and_wakes_nobody() {
    let folder = Folder::new();
    let (broker, other) = (folder.open().await, folder.open().await);
    enqueue(&broker, vec![new_run("other")]).await.unwrap();
    let log = folder.path().join("fluid.db-wal");
    let state = || {
        let (file, log) = (folder.file(), &log);
        let modified = fs::metadata(file).unwrap().modified().unwrap();
        (fs::metadata(log).unwrap().len(), modified)
    };
    // Who enqueues is answered before the other processes are told; the writer does one thing at a time.
    broker.claim(wish_for("a", 10)).await.unwrap();
    let before = state();
    for _ in 0..100 {
        let claimed = broker.claim(wish_for("a", 10)).await.unwrap();
        assert_eq!(claimed.runs.len(), 0);
    }
    assert_eq!(state(), before);

    enqueue(&other, vec![new_run("a")]).await.unwrap();
    other.claim(wish_for("b", 10)).await.unwrap();
    assert_ne!(state(), before, "what is written shows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enqueue_that_nobody_waits_for_is_whole_or_nothing() {
    const BATCH: usize = 50;
    let folder = Folder::new();
    let broker = folder.open().await;
    let mut happened = 0;
    for round in 0..60_u64 {
        let batch = new_runs("a", BATCH);
        let ids: Vec<RunId> = batch.iter().map(|run| run.id).collect();
        let call = broker.enqueue(batch);
        // From a call that was dropped before it was asked for the first time to one that went through.
        let patience = Duration::from_micros(round * 100);
        let answered = timeout(patience, call).await.is_ok();
        // A call that came later shows that those before it are over.
        enqueue(&broker, vec![new_run("b")]).await.unwrap();
        let mut found = 0;
        for id in &ids {
            found += usize::from(broker.get(*id).await.unwrap().is_some());
        }
        assert!(found == 0 || found == BATCH, "{found} of {BATCH}");
        assert!(found == BATCH || !answered, "an answered call is gone");
        happened += u64::from(found == BATCH);
    }
    let expected = happened * BATCH as u64 + 60;
    let stats = broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Queued), expected);
}
