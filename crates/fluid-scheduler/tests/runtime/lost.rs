//! Consumers that vanish or fall asleep.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{AttemptOutcome, ErrorKind, RetryPolicy, RunState};
use fluid_scheduler::MemoryBroker;
use fluid_testing::ManualClock;
use tokio::sync::Semaphore;

use crate::stage::{AtWork, DEADLINE, ended, manager_on, queue, task};

struct Scene {
    clock: ManualClock,
    manager: fluid_scheduler::TaskManager,
    started: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

/// A task that says when it started and ends when it is told to, on a broker whose clock we turn.
fn scene(interruptions: u32) -> Scene {
    let (clock, started, go) = (
        ManualClock::new(),
        Arc::new(Semaphore::new(0)),
        Arc::new(Semaphore::new(0)),
    );
    let (note, wait) = (started.clone(), go.clone());
    let mut policy = RetryPolicy::default();
    policy.interruptions = interruptions;
    let work = task("work", move |ctx| {
        let (note, wait) = (note.clone(), wait.clone());
        async move {
            note.add_permits(1);
            wait.acquire().await?.forget();
            Ok(ctx.run().attempt)
        }
    });
    let broker = MemoryBroker::with_clock(Arc::new(clock.clone()));
    let manager = manager_on(
        Arc::new(broker),
        [work.retry(policy).timeout(DEADLINE * 100)],
    );
    Scene {
        clock,
        manager,
        started,
        go,
    }
}

async fn until_started(scene: &Scene) {
    let started = tokio::time::timeout(DEADLINE, scene.started.acquire()).await;
    started.expect("it starts in time").unwrap().forget();
}

#[tokio::test]
async fn a_run_whose_consumer_vanished_is_carried_out_by_another_and_both_attempts_are_told() {
    let scene = scene(3);
    let run = queue(&scene.manager, "work").await;
    let first = AtWork::start(&scene.manager);
    until_started(&scene).await;
    first.kill().await;
    scene.clock.advance(Duration::from_secs(31));
    let second = AtWork::start(&scene.manager);
    until_started(&scene).await;
    scene.go.add_permits(1);
    let record = ended(&scene.manager, run).await;
    assert_eq!(
        (record.state, record.attempt, record.interruptions),
        (RunState::Success, 2, 1)
    );
    let attempts = scene.manager.broker().attempts(run).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(
        outcomes,
        [AttemptOutcome::Interrupted, AttemptOutcome::Success]
    );
    second.stop().await;
}

#[tokio::test]
async fn a_run_that_must_not_start_twice_ends_as_interrupted() {
    let scene = scene(0);
    let run = queue(&scene.manager, "work").await;
    let first = AtWork::start(&scene.manager);
    until_started(&scene).await;
    first.kill().await;
    scene.clock.advance(Duration::from_secs(31));
    let second = AtWork::start(&scene.manager);
    let record = ended(&scene.manager, run).await;
    assert_eq!((record.state, record.attempt), (RunState::Interrupted, 1));
    assert_eq!(record.error.unwrap().kind, ErrorKind::Lost);
    second.stop().await;
}

#[tokio::test]
async fn a_consumer_that_slept_through_its_lease_can_not_write_over_its_successor() {
    let scene = scene(3);
    let run = queue(&scene.manager, "work").await;
    let sleeper = AtWork::start(&scene.manager);
    until_started(&scene).await;
    // For the sleeper no time passes, so it never renews; for the broker the lease runs out.
    scene.clock.advance(Duration::from_secs(31));
    let successor = AtWork::start(&scene.manager);
    until_started(&scene).await;
    // The semaphore is fair: the sleeper ends first, and its success must count for nothing.
    scene.go.add_permits(1);
    scene.go.add_permits(1);
    let record = ended(&scene.manager, run).await;
    assert_eq!((record.state, record.attempt), (RunState::Success, 2));
    assert_eq!(
        record.result,
        Some(fluid_core::JsonText::from(serde_json::json!(2)))
    );
    sleeper.stop().await;
    successor.stop().await;
}
