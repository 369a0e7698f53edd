//! What many do at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    Broker, Cancelled, DEFAULT_LEASE, Enqueued, Finished, LeaseRef, LeaseStatus, RateLimit,
    RunFilter, RunState, Unique,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::stage::{
    Stage, Taken, at_most, by, consumer, limited, new_run, rated, success, wish, wish_with,
};

/// Eight handles, as eight processes would have.
async fn handles(stage: &Stage<'_>) -> Vec<Arc<dyn Broker>> {
    let mut handles = Vec::new();
    for _ in 0..8 {
        handles.push(stage.harness.open().await);
    }
    handles
}

pub(super) async fn parallel_claims_never_bring_a_run_twice(stage: Stage<'_>) {
    const RUNS: usize = 400;
    let runs = (0..RUNS).map(|_| new_run("a")).collect();
    stage.broker.enqueue(runs).await.unwrap();
    let mut claims = JoinSet::new();
    for (n, broker) in handles(&stage).await.into_iter().enumerate() {
        claims.spawn(async move {
            let request = at_most(7, by(&format!("worker-{n}"), wish(&["a"])));
            let mut mine = Vec::new();
            loop {
                let claimed = broker.claim(request.clone()).await.unwrap().runs;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|(run, _)| run));
            }
        });
    }
    let claimed: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = claimed.iter().map(|run| run.id).collect();
    assert_eq!((claimed.len(), distinct.len()), (RUNS, RUNS));
    assert!(claimed.iter().all(|run| run.attempt == 1));
}

pub(super) async fn a_lost_lease_is_taken_over_by_one(stage: Stage<'_>) {
    for round in 0..10 {
        let run = stage.enqueue_one("a").await;
        stage.claim_one("a").await;
        stage.advance(DEFAULT_LEASE);
        let mut claims = JoinSet::new();
        for (n, broker) in handles(&stage).await.into_iter().enumerate() {
            let request = by(&format!("worker-{n}"), wish(&["a"]));
            claims.spawn(async move { broker.claim(request).await.unwrap().runs });
        }
        let mut taken: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
        assert_eq!(taken.len(), 1, "round {round}");
        let (taken, token) = taken.remove(0);
        assert_eq!((taken.id, taken.attempt, taken.interruptions), (run, 2, 1));
        stage.finish(&Taken { run: taken, token }, success()).await;
    }
}

pub(super) async fn a_run_is_cancelled_or_finished_never_both(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    for round in 0..30 {
        let run = stage.enqueue_one("a").await;
        let taken = stage.claim_one("a").await;
        let start = Arc::new(Barrier::new(2));
        let finish = {
            let (broker, start) = (Arc::clone(&stage.broker), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                broker
                    .finish(vec![(taken.lease(), success())])
                    .await
                    .unwrap()
            })
        };
        let cancel = {
            let broker = Arc::clone(&other);
            tokio::spawn(async move {
                start.wait().await;
                broker.cancel(run).await.unwrap()
            })
        };
        // Whoever was first, the attempt gave a result and the run keeps it.
        assert_eq!(
            finish.await.unwrap(),
            [Finished::Written(RunState::Success)]
        );
        let cancelled = cancel.await.unwrap();
        assert!(
            matches!(
                cancelled,
                Cancelled::Requested | Cancelled::AlreadyFinished(RunState::Success)
            ),
            "round {round}: {cancelled:?}"
        );
        assert_eq!(stage.get(run).await.state, RunState::Success);
    }
}

pub(super) async fn a_run_is_cancelled_or_claimed_never_both(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    for round in 0..30 {
        let run = stage.enqueue_one("a").await;
        let start = Arc::new(Barrier::new(2));
        let claim = {
            let (broker, start) = (Arc::clone(&stage.broker), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                broker.claim(wish(&["a"])).await.unwrap().runs
            })
        };
        let cancel = {
            let broker = Arc::clone(&other);
            tokio::spawn(async move {
                start.wait().await;
                broker.cancel(run).await.unwrap()
            })
        };
        let claimed = claim.await.unwrap();
        let cancelled = cancel.await.unwrap();
        let state = stage.get(run).await.state;
        match (claimed.len(), cancelled) {
            (0, Cancelled::Aborted) => assert_eq!(state, RunState::Aborted),
            (1, Cancelled::Requested) => {
                assert_eq!(state, RunState::Running);
                let (run, token) = claimed[0].clone();
                let taken = Taken { run, token };
                assert_eq!(stage.extend(&taken).await, LeaseStatus::CancelRequested);
                stage.finish(&taken, success()).await;
            }
            both => panic!("round {round}: {both:?}"),
        }
    }
}

pub(super) async fn an_attempt_is_finished_by_one_of_many(stage: Stage<'_>) {
    let handles = handles(&stage).await;
    for round in 0..10 {
        stage.enqueue_one("a").await;
        let taken = stage.claim_one("a").await;
        let mut ends = JoinSet::new();
        for broker in &handles {
            let (broker, lease) = (Arc::clone(broker), taken.lease());
            ends.spawn(async move { broker.finish(vec![(lease, success())]).await.unwrap()[0] });
        }
        let written = ends.join_all().await;
        let written = written.iter().filter(|answer| **answer != Finished::Lost);
        assert_eq!(written.count(), 1, "round {round}");
        assert_eq!(stage.attempts(taken.run.id).await.len(), 1);
    }
}

pub(super) async fn a_lease_is_extended_or_lost_never_both(stage: Stage<'_>) {
    let other = stage.harness.open().await;
    for round in 0..20 {
        stage.enqueue_one("a").await;
        let taken = stage.claim_one("a").await;
        stage.advance(DEFAULT_LEASE);
        let start = Arc::new(Barrier::new(2));
        let extend = {
            let (broker, start) = (Arc::clone(&stage.broker), Arc::clone(&start));
            let lease = taken.lease();
            tokio::spawn(async move {
                start.wait().await;
                broker.extend(vec![lease], DEFAULT_LEASE).await.unwrap()[0]
            })
        };
        let claim = {
            let broker = Arc::clone(&other);
            tokio::spawn(async move {
                start.wait().await;
                broker
                    .claim(by("worker-2", wish(&["a"])))
                    .await
                    .unwrap()
                    .runs
            })
        };
        let extended = extend.await.unwrap();
        let claimed = claim.await.unwrap();
        let holder = match (extended, claimed.len()) {
            (LeaseStatus::Held, 0) => taken,
            (LeaseStatus::Lost, 1) => {
                let (run, token) = claimed[0].clone();
                Taken { run, token }
            }
            both => panic!("round {round}: {both:?}"),
        };
        let finished = stage.finish(&holder, success()).await;
        assert_eq!(finished, Finished::Written(RunState::Success));
    }
}

pub(super) async fn parallel_requests_with_one_key_are_one_run(stage: Stage<'_>) {
    let handles = handles(&stage).await;
    for round in 0..10 {
        let key: Arc<str> = format!("key {round}").into();
        let mut requests = JoinSet::new();
        for broker in &handles {
            let (broker, key) = (Arc::clone(broker), Arc::clone(&key));
            requests.spawn(async move {
                let mut run = new_run("a");
                run.unique = Some(Unique { key, window: None });
                broker.enqueue(vec![run]).await.unwrap()[0]
            });
        }
        let answers = requests.join_all().await;
        let inserted = answers
            .iter()
            .filter(|a| matches!(a, Enqueued::Inserted(_)));
        assert_eq!(inserted.count(), 1, "{answers:?}");
        let named: BTreeSet<_> = answers.iter().map(|answer| answer.run()).collect();
        assert_eq!(named.len(), 1, "{answers:?}");
    }
    assert_eq!(stage.listed(RunFilter::default()).await.len(), 10);
}

pub(super) async fn parallel_claims_keep_to_the_limit(stage: Stage<'_>) {
    let mut runs = Vec::new();
    for n in 0..120 {
        let mut run = new_run("a");
        run.concurrency_key = ["x", "y", "z"][n % 3].into();
        runs.push(run);
    }
    stage.broker.enqueue(runs).await.unwrap();
    let mut claims = JoinSet::new();
    for (n, broker) in handles(&stage).await.into_iter().enumerate() {
        claims.spawn(async move {
            let request = by(&format!("worker-{n}"), wish_with(vec![limited("a", 4)]));
            let mut mine = Vec::new();
            for _ in 0..4 {
                let request = at_most(3, request.clone());
                mine.extend(broker.claim(request).await.unwrap().runs);
            }
            mine
        });
    }
    let mut running: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for (run, _) in claims.join_all().await.into_iter().flatten() {
        *running.entry(run.concurrency_key).or_default() += 1;
    }
    let each = ["x", "y", "z"].map(|key| (key.into(), 4));
    assert_eq!(running, each.into());
}

pub(super) async fn parallel_claims_keep_to_the_rate(stage: Stage<'_>) {
    stage
        .broker
        .enqueue((0..60).map(|_| new_run("a")).collect())
        .await
        .unwrap();
    let rate = RateLimit::new(9, Duration::from_secs(900));
    let mut claims = JoinSet::new();
    for (n, broker) in handles(&stage).await.into_iter().enumerate() {
        let request = by(&format!("worker-{n}"), wish_with(vec![rated("a", rate)]));
        claims.spawn(async move {
            let request = at_most(2, request);
            let mut claimed = 0;
            for _ in 0..4 {
                claimed += broker.claim(request.clone()).await.unwrap().runs.len();
            }
            claimed
        });
    }
    let claimed: usize = claims.join_all().await.into_iter().sum();
    assert_eq!(claimed, 9);
}

/// Consumers that lose leases, fail and succeed at random moments: every run ends once.
pub(super) async fn every_run_ends_once_whatever_becomes_of_its_consumers(stage: Stage<'_>) {
    const RUNS: usize = 200;
    let mut runs: Vec<_> = (0..RUNS).map(|_| new_run("a")).collect();
    for run in &mut runs {
        run.max_interruptions = 1000;
    }
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    stage.broker.enqueue(runs).await.unwrap();
    let handles = handles(&stage).await;
    let mut succeeded: BTreeMap<_, u32> = BTreeMap::new();
    for round in 0_u64.. {
        assert!(round < 200, "{} of {RUNS} runs ended", succeeded.len());
        let mut consumers = JoinSet::new();
        for (n, broker) in handles.iter().enumerate() {
            let broker = Arc::clone(broker);
            let mut request = at_most(9, by(&format!("worker-{n}"), wish(&["a"])));
            request.consumer = consumer(&format!("worker-{n}-{round}"));
            let vanishes = (round + n as u64).is_multiple_of(3);
            consumers.spawn(async move {
                let claimed = broker.claim(request).await.unwrap().runs;
                if vanishes {
                    return vec![];
                }
                let lease = |(run, token): &(fluid_core::TaskRun, _)| LeaseRef {
                    run: run.id,
                    token: *token,
                };
                let leases: Vec<LeaseRef> = claimed.iter().map(lease).collect();
                let batch = leases.iter().map(|lease| (*lease, success())).collect();
                let answers = broker.finish(batch).await.unwrap();
                leases
                    .into_iter()
                    .map(|lease| lease.run)
                    .zip(answers)
                    .collect()
            });
        }
        let mut idle = true;
        for (run, answer) in consumers.join_all().await.into_iter().flatten() {
            idle = false;
            if answer != Finished::Lost {
                *succeeded.entry(run).or_default() += 1;
            }
        }
        if idle && succeeded.len() == RUNS {
            break;
        }
        stage.advance(DEFAULT_LEASE);
    }
    assert!(succeeded.values().all(|times| *times == 1), "{succeeded:?}");
    assert_eq!(succeeded.len(), RUNS);
    for run in ids {
        let run = stage.get(run).await;
        let attempts = stage.attempts(run.id).await;
        assert_eq!(run.state, RunState::Success);
        assert_eq!(attempts.len() as u64, u64::from(run.attempt));
        assert_eq!(run.interruptions + 1, run.attempt);
    }
}
