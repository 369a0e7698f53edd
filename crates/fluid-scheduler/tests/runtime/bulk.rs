//! What is done to all runs of a filter is counted first, bounded, and touches no other run.

use std::sync::Arc;

use fluid_core::{QueueName, RunFilter, RunState, TaskError};
use fluid_scheduler::{CancelledMany, Matching, TaskManager};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::stage::{AtWork, DEADLINE, ended, manager, name, queue, request, task};

fn two_tasks() -> TaskManager {
    manager([task("one", async |_| Ok(1)), task("other", async |_| Ok(2))])
}

fn of_task(task: &str) -> RunFilter {
    RunFilter {
        tasks: vec![name(task)],
        ..RunFilter::default()
    }
}

async fn enqueue(manager: &TaskManager, task: &str, count: usize) {
    for _ in 0..count {
        queue(manager, task).await;
    }
}

fn all(count: u64) -> Matching {
    Matching { count, exact: true }
}

#[tokio::test]
async fn what_the_broker_counts_anyway_is_counted_beyond_the_cap() {
    let manager = two_tasks();
    enqueue(&manager, "one", 3).await;
    enqueue(&manager, "other", 2).await;
    let gpu = QueueName::parse("gpu").unwrap();
    let elsewhere = request("one", json!({})).queue(gpu.clone());
    manager.queue_request(elsewhere).await.unwrap();
    let counted = async |filter: &RunFilter| manager.count_matching(filter, 1).await.unwrap();
    assert_eq!(counted(&RunFilter::default()).await, all(6));
    assert_eq!(counted(&of_task("one")).await, all(4));
    let mut filter = RunFilter {
        queues: vec![gpu],
        states: vec![RunState::Queued],
        ..RunFilter::default()
    };
    assert_eq!(counted(&filter).await, all(1));
    filter.states = vec![RunState::Success];
    assert_eq!(counted(&filter).await, all(0));
}

#[tokio::test]
async fn what_must_be_counted_one_by_one_stops_at_the_cap() {
    let manager = two_tasks();
    enqueue(&manager, "one", 7).await;
    let filter = RunFilter {
        created_from: Some(jiff::Timestamp::UNIX_EPOCH),
        ..of_task("one")
    };
    let counted = async |cap| manager.count_matching(&filter, cap).await.unwrap();
    assert_eq!(counted(100).await, all(7));
    assert_eq!(counted(7).await, all(7));
    let capped = Matching {
        count: 6,
        exact: false,
    };
    assert_eq!(counted(6).await, capped);
}

#[tokio::test]
async fn cancelling_touches_what_matches_up_to_the_limit_and_says_whether_there_is_more() {
    let (started, manager) = {
        let started = Arc::new(Semaphore::new(0));
        let note = started.clone();
        let busy = task("busy", move |ctx| {
            note.add_permits(1);
            async move {
                ctx.cancelled().cancelled().await;
                Err::<(), _>(TaskError::abort("told to stop"))
            }
        });
        (started, manager([busy, task("other", async |_| Ok(()))]))
    };
    let running = queue(&manager, "busy").await;
    let consumer = AtWork::start(&manager);
    let permit = tokio::time::timeout(DEADLINE, started.acquire()).await;
    permit.unwrap().unwrap().forget();
    manager
        .broker()
        .set_queue_paused(QueueName::default(), true)
        .await
        .unwrap();
    enqueue(&manager, "busy", 3).await;
    enqueue(&manager, "other", 2).await;

    let filter = of_task("busy");
    let first = manager.cancel_matching(&filter, 2).await.unwrap();
    let two = CancelledMany {
        aborted: 2,
        more: true,
        ..CancelledMany::default()
    };
    assert_eq!(first, two, "newest first");
    let rest = manager.cancel_matching(&filter, 100).await.unwrap();
    let rest_expected = CancelledMany {
        aborted: 1,
        requested: 1,
        ..CancelledMany::default()
    };
    assert_eq!(rest, rest_expected);
    assert_eq!(ended(&manager, running).await.state, RunState::Aborted);
    let left = manager.count_matching(&of_task("other"), 10).await.unwrap();
    assert_eq!(left, all(2));
    assert_eq!(
        manager.cancel_matching(&filter, 100).await.unwrap(),
        CancelledMany::default(),
        "nothing is left to cancel"
    );
    consumer.stop().await;
}

#[tokio::test]
async fn only_finished_runs_are_retried_or_deleted() {
    let manager = two_tasks();
    let old = queue(&manager, "one").await;
    manager.cancel(old).await.unwrap();
    enqueue(&manager, "one", 1).await;

    let unfinished = RunFilter {
        states: vec![RunState::Queued],
        ..of_task("one")
    };
    assert!(
        manager
            .retry_matching(&unfinished, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(manager.purge_matching(&unfinished, 10).await.unwrap(), 0);

    let new = manager.retry_matching(&of_task("one"), 10).await.unwrap();
    assert_eq!(new.len(), 1);
    let new = manager.broker().get(new[0]).await.unwrap().unwrap();
    assert_eq!((new.retry_of, new.state), (Some(old), RunState::Queued));

    assert_eq!(manager.purge_matching(&of_task("one"), 0).await.unwrap(), 0);
    assert_eq!(
        manager.purge_matching(&of_task("one"), 10).await.unwrap(),
        1
    );
    assert!(manager.broker().get(old).await.unwrap().is_none());
    let left = manager.count_matching(&of_task("one"), 10).await.unwrap();
    assert_eq!(left, all(2));
}
