//! Upkeep: runs that are done once more, and runs that are deleted.

use std::time::Duration;

use fluid_core::{
    Finish, NewRun, Params, Priority, RunFilter, RunId, RunState, TaskRun, Trigger, Unique,
};

use super::stage::{Stage, at_most, failed, new_run, queue, success, task, wish};

/// One run in each of the states: queued, running, success, failure, aborted. The last three ended.
async fn one_of_each(stage: &Stage<'_>) -> [RunId; 5] {
    let mut ids = Vec::new();
    for finish in [
        None,
        Some(success()),
        Some(Finish::Failure(failed("no"))),
        Some(Finish::Aborted(failed("no"))),
    ] {
        ids.push(stage.enqueue_one("a").await);
        let taken = stage.claim_exactly_one(at_most(1, wish(&["a"]))).await;
        if let Some(finish) = finish {
            stage.finish(&taken, finish).await;
        }
    }
    [stage.enqueue_one("a").await, ids[0], ids[1], ids[2], ids[3]]
}

pub(super) async fn only_finished_runs_are_purged(stage: Stage<'_>) {
    let [queued, running, ..] = one_of_each(&stage).await;
    let purged = stage.broker.purge(RunFilter::default(), 100).await.unwrap();
    assert_eq!(purged, 3);
    assert_eq!(stage.listed(RunFilter::default()).await, [queued, running]);
    assert_eq!(
        stage.broker.purge(RunFilter::default(), 100).await.unwrap(),
        0
    );
    let unfinished = RunFilter {
        states: vec![RunState::Queued, RunState::Running],
        ..RunFilter::default()
    };
    assert_eq!(stage.broker.purge(unfinished, 100).await.unwrap(), 0);
}

pub(super) async fn the_oldest_runs_are_purged_first(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, stage.succeed_one("a").await);
    }
    assert_eq!(
        stage.broker.purge(RunFilter::default(), 0).await.unwrap(),
        0
    );
    assert_eq!(
        stage.broker.purge(RunFilter::default(), 2).await.unwrap(),
        2
    );
    assert_eq!(stage.listed(RunFilter::default()).await, ids[..3]);
}

pub(super) async fn a_purge_keeps_what_the_filter_does_not_want(stage: Stage<'_>) {
    let old = stage.succeed_one("a").await;
    stage.advance(Duration::from_secs(60));
    let young = stage.succeed_one("a").await;
    let other = stage.succeed_one("b").await;
    let filter = RunFilter {
        tasks: vec![task("a")],
        ended_before: Some(stage.now()),
        ..RunFilter::default()
    };
    assert_eq!(stage.broker.purge(filter, 100).await.unwrap(), 1);
    assert_eq!(stage.listed(RunFilter::default()).await, [other, young]);
    assert_eq!(stage.broker.get(old).await.unwrap(), None);
    assert_eq!(stage.attempts(old).await, []);
}

pub(super) async fn a_purged_run_is_counted_no_more(stage: Stage<'_>) {
    stage.succeed_one("a").await;
    stage.succeed_one("b").await;
    let filter = RunFilter {
        tasks: vec![task("a")],
        ..RunFilter::default()
    };
    stage.broker.purge(filter, 100).await.unwrap();
    let stats = stage.broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Success), 1);
    assert!(!stats.tasks.contains_key(&task("a")), "{stats:?}");
}

pub(super) async fn a_run_done_once_more_is_a_new_run(stage: Stage<'_>) {
    let mut new = NewRun::new(
        task("a"),
        Params::stored(fluid_core::JsonText::parse("{\"n\": 1}").unwrap(), []),
    );
    new.queue = queue("fast");
    new.priority = Priority::Low;
    (new.parent, new.root) = (Some(RunId::new()), Some(RunId::new()));
    new.concurrency_key = "x".into();
    new.max_interruptions = 9;
    new.unique = Some(Unique {
        key: "k".into(),
        window: Some(Duration::from_secs(3600)),
    });
    let old = stage.enqueue(new.clone()).await;
    let taken = stage
        .claim_exactly_one(super::stage::from(&["fast"], wish(&["a"])))
        .await;
    stage.finish(&taken, Finish::Failure(failed("no"))).await;
    let ended = stage.get(old).await;
    stage.advance(Duration::from_secs(5));

    let again = stage.broker.retry(RunFilter::default(), 10).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0], old);
    assert_eq!(stage.get(old).await, ended, "the old run changed");
    let mut expected = new.clone();
    expected.id = again[0];
    expected.retry_of = Some(old);
    expected.trigger = Trigger::Retry;
    let expected = TaskRun::enqueued(&expected, stage.now(), stage.now());
    assert_eq!(stage.get(again[0]).await, expected);
    let claimed = stage
        .claim_ids(super::stage::from(&["fast"], wish(&["a"])))
        .await;
    assert_eq!(claimed, again);
}

pub(super) async fn only_finished_runs_are_done_once_more(stage: Stage<'_>) {
    let [_, _, success, failure, aborted] = one_of_each(&stage).await;
    let again = stage.broker.retry(RunFilter::default(), 100).await.unwrap();
    let mut origins = Vec::new();
    for run in &again {
        origins.push(stage.get(*run).await.retry_of);
    }
    assert_eq!(origins, [Some(aborted), Some(failure), Some(success)]);
}

pub(super) async fn the_newest_runs_are_done_once_more_first(stage: Stage<'_>) {
    let mut ended = Vec::new();
    for _ in 0..4 {
        ended.push(stage.succeed_one("a").await);
    }
    let again = stage.broker.retry(RunFilter::default(), 2).await.unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(stage.get(again[0]).await.retry_of, Some(ended[3]));
    assert_eq!(stage.get(again[1]).await.retry_of, Some(ended[2]));
}

pub(super) async fn a_filter_chooses_what_is_done_once_more(stage: Stage<'_>) {
    let [_, _, _, failure, _] = one_of_each(&stage).await;
    let filter = RunFilter {
        states: vec![RunState::Failure],
        ..RunFilter::default()
    };
    let again = stage.broker.retry(filter, 100).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(stage.get(again[0]).await.retry_of, Some(failure));
    let nothing = RunFilter {
        states: vec![RunState::Interrupted],
        ..RunFilter::default()
    };
    assert_eq!(stage.broker.retry(nothing, 100).await.unwrap(), []);
}

pub(super) async fn a_run_of_a_disabled_task_may_be_enqueued(stage: Stage<'_>) {
    stage
        .broker
        .set_task_enabled(task("a"), false)
        .await
        .unwrap();
    let run = stage.enqueue(new_run("a")).await;
    assert_eq!(stage.get(run).await.state, RunState::Queued);
}
