//! What is switched at run time: disabled tasks and paused queues.

use fluid_core::{Finished, LeaseStatus, QueueName, RunState, Settings};

use super::stage::{Stage, from, new_run, queue, success, task, wish};

pub(super) async fn a_disabled_task_is_not_claimed(stage: Stage<'_>) {
    let a = stage.enqueue_one("a").await;
    let b = stage.enqueue_one("b").await;
    stage
        .broker
        .set_task_enabled(task("a"), false)
        .await
        .unwrap();
    assert_eq!(stage.claim_ids(wish(&["a", "b"])).await, [b]);
    let late = stage.enqueue_one("a").await;
    assert_eq!(stage.get(late).await.state, RunState::Queued);
    assert_eq!(stage.claim(wish(&["a"])).await.runs.len(), 0);
    stage
        .broker
        .set_task_enabled(task("a"), true)
        .await
        .unwrap();
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [a, late]);
}

pub(super) async fn a_paused_queue_is_not_claimed_from(stage: Stage<'_>) {
    let mut fast = new_run("a");
    fast.queue = queue("fast");
    let fast = stage.enqueue(fast).await;
    let slow = stage.enqueue_one("a").await;
    let request = from(&["fast", "default"], wish(&["a"]));
    stage
        .broker
        .set_queue_paused(queue("fast"), true)
        .await
        .unwrap();
    assert_eq!(stage.claim_ids(request.clone()).await, [slow]);
    stage
        .broker
        .set_queue_paused(queue("fast"), false)
        .await
        .unwrap();
    assert_eq!(stage.claim_ids(request).await, [fast]);
}

pub(super) async fn what_runs_goes_on_while_its_task_is_disabled(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage
        .broker
        .set_task_enabled(task("a"), false)
        .await
        .unwrap();
    let queue = QueueName::default();
    stage.broker.set_queue_paused(queue, true).await.unwrap();
    assert_eq!(stage.extend(&taken).await, LeaseStatus::Held);
    assert_eq!(
        stage.finish(&taken, success()).await,
        Finished::Written(RunState::Success)
    );
}

pub(super) async fn settings_are_kept_for_every_handle(stage: Stage<'_>) {
    assert_eq!(stage.broker.settings().await.unwrap(), Settings::default());
    for name in ["b", "never-declared", "a"] {
        stage
            .broker
            .set_task_enabled(task(name), false)
            .await
            .unwrap();
    }
    for name in ["slow", "fast"] {
        stage
            .broker
            .set_queue_paused(queue(name), true)
            .await
            .unwrap();
    }
    stage
        .broker
        .set_task_enabled(task("b"), true)
        .await
        .unwrap();
    let other = stage.harness.open().await;
    assert_eq!(
        other.settings().await.unwrap(),
        Settings {
            disabled_tasks: vec![task("a"), task("never-declared")],
            paused_queues: vec![queue("fast"), queue("slow")],
        }
    );
}

pub(super) async fn a_switch_may_be_set_twice(stage: Stage<'_>) {
    for _ in 0..2 {
        stage
            .broker
            .set_task_enabled(task("a"), false)
            .await
            .unwrap();
        stage
            .broker
            .set_queue_paused(queue("q"), true)
            .await
            .unwrap();
    }
    let settings = stage.broker.settings().await.unwrap();
    assert_eq!(settings.disabled_tasks, [task("a")]);
    assert_eq!(settings.paused_queues, [queue("q")]);
    for _ in 0..2 {
        stage
            .broker
            .set_task_enabled(task("a"), true)
            .await
            .unwrap();
        stage
            .broker
            .set_queue_paused(queue("q"), false)
            .await
            .unwrap();
    }
    assert_eq!(stage.broker.settings().await.unwrap(), Settings::default());
}
