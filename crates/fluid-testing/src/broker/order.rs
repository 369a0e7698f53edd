//! In which order runs are claimed.

use std::time::Duration;

use fluid_core::{Due, NewRun, Priority};

use super::BrokerHarness;
use super::stage::{Stage, new_run, wish};

fn with_priority(priority: Priority) -> NewRun {
    let mut run = new_run("a");
    run.priority = priority;
    run
}

pub(super) async fn high_priority_goes_before_medium_and_low(harness: &dyn BrokerHarness) {
    let stage = Stage::new(harness).await;
    let low = stage.enqueue(with_priority(Priority::Low)).await;
    let medium = stage.enqueue(with_priority(Priority::Medium)).await;
    let high = stage.enqueue(with_priority(Priority::High)).await;
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [high, medium, low]);
}

pub(super) async fn equal_priority_goes_by_due_time(harness: &dyn BrokerHarness) {
    let stage = Stage::new(harness).await;
    let mut ids = Vec::new();
    for seconds in [3, 1, 2] {
        let mut run = new_run("a");
        run.due = Due::After(Duration::from_secs(seconds));
        ids.push(stage.enqueue(run).await);
    }
    stage.advance(Duration::from_secs(5));
    let claimed = stage.claim_ids(wish(&["a"])).await;
    assert_eq!(claimed, [ids[1], ids[2], ids[0]]);
}

pub(super) async fn equal_due_time_goes_by_arrival(harness: &dyn BrokerHarness) {
    let stage = Stage::new(harness).await;
    let mut runs: Vec<NewRun> = (0..20).map(|_| new_run("a")).collect();
    // Arrival is the order of enqueueing, not that of the ids.
    runs.reverse();
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    let (first, second) = runs.split_at(10);
    stage.broker.enqueue(first.to_vec()).await.unwrap();
    stage.broker.enqueue(second.to_vec()).await.unwrap();
    assert_eq!(stage.claim_ids(wish(&["a"])).await, ids);
}
