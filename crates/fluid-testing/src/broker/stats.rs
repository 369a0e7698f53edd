//! How many runs there are.

use std::time::Duration;

use fluid_core::{Due, QueueName, RunState, Stats};

use super::stage::{Stage, new_run, queue, retry_in, task};

pub(super) async fn an_empty_broker_counts_nothing(stage: Stage<'_>) {
    assert_eq!(stage.broker.stats().await.unwrap(), Stats::default());
}

pub(super) async fn runs_are_counted_by_task_state_and_queue(stage: Stage<'_>) {
    stage.succeed_one("a").await;
    stage.succeed_one("a").await;
    stage.enqueue_one("a").await;
    let retried = stage.claim_one("a").await;
    stage.finish(&retried, retry_in(60, "wobbled")).await;
    stage.enqueue_one("a").await;
    stage.claim_one("a").await;
    let mut fast = new_run("b");
    fast.queue = queue("fast");
    stage.enqueue(fast).await;
    let mut aborted = new_run("b");
    aborted.queue = queue("fast");
    let aborted = stage.enqueue(aborted).await;
    stage.cancel(aborted).await;

    let stats = stage.broker.stats().await.unwrap();
    let a = [
        (RunState::Scheduled, 1),
        (RunState::Running, 1),
        (RunState::Success, 2),
    ];
    let b = [(RunState::Queued, 1), (RunState::Aborted, 1)];
    let tasks = [(task("a"), a.into()), (task("b"), b.into())];
    assert_eq!(stats.tasks, tasks.into());
    let default = [(RunState::Scheduled, 1), (RunState::Running, 1)];
    let fast = [(RunState::Queued, 1)];
    let queues = [
        (QueueName::default(), default.into()),
        (queue("fast"), fast.into()),
    ];
    assert_eq!(stats.queues, queues.into());
    assert_eq!(stats.count(RunState::Success), 2);
    assert_eq!(stats.count(RunState::Failure), 0);
}

pub(super) async fn the_run_that_waits_longest_is_known(stage: Stage<'_>) {
    let oldest = |stats: Stats| stats.oldest_queued;
    let mut later = new_run("a");
    later.due = Due::After(Duration::from_secs(3600));
    stage.enqueue(later).await;
    assert_eq!(oldest(stage.broker.stats().await.unwrap()), None);
    stage.enqueue_one("b").await;
    let first = stage.now();
    stage.advance(Duration::from_secs(5));
    stage.enqueue_one("a").await;
    let second = stage.now();
    stage.advance(Duration::from_secs(5));
    assert_eq!(oldest(stage.broker.stats().await.unwrap()), Some(first));
    stage.claim_one("b").await;
    assert_eq!(oldest(stage.broker.stats().await.unwrap()), Some(second));
}

pub(super) async fn what_ended_in_a_time_is_counted_or_not_told(stage: Stage<'_>) {
    let begin = stage.now();
    stage.advance(Duration::from_secs(60));
    stage.succeed_one("a").await;
    let aborted = stage.enqueue_one("a").await;
    stage.cancel(aborted).await;
    stage.enqueue_one("a").await;
    let between = stage.in_seconds(30);
    stage.advance(Duration::from_secs(60));
    stage.succeed_one("b").await;
    let end = stage.in_seconds(30);
    let ended = async |from, before| stage.broker.ended(from, before).await.unwrap();
    let Some(first) = ended(begin, between).await else {
        return;
    };
    assert_eq!(
        first,
        [(RunState::Success, 1), (RunState::Aborted, 1)].into()
    );
    assert_eq!(
        ended(between, end).await,
        Some([(RunState::Success, 1)].into())
    );
    assert_eq!(ended(end, stage.in_seconds(90)).await, Some([].into()));
}
