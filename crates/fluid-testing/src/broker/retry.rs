//! Attempts that failed and are followed by another one.

use std::time::Duration;

use fluid_core::{AttemptOutcome, ErrorKind, Finish, Finished, RateLimit, RunState};

use super::stage::{Stage, failed, kind, new_run, rated, retry_in, success, wish, wish_with};

pub(super) async fn a_retry_waits_for_its_delay(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(Duration::from_secs(2));
    let finished = stage.finish(&taken, retry_in(10, "wobbled")).await;
    assert_eq!(finished, Finished::Written(RunState::Scheduled));
    let waiting = stage.get(run).await;
    assert_eq!(waiting.state, RunState::Scheduled);
    assert_eq!(waiting.due_at, stage.in_seconds(10));
    assert_eq!((waiting.attempt, waiting.failures), (1, 1));
    assert_eq!(waiting.error, Some(failed("wobbled")));
    assert_eq!(waiting.ended_at, None);

    let early = stage.claim(wish(&["a"])).await;
    assert_eq!((early.runs.len(), early.next), (0, Some(waiting.due_at)));
    stage.advance(Duration::from_secs(10));
    let second = stage.claim_one("a").await;
    assert_eq!((second.run.id, second.run.attempt), (run, 2));
}

pub(super) async fn a_retry_without_delay_is_queued_at_once(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let finished = stage.finish(&taken, retry_in(0, "wobbled")).await;
    assert_eq!(finished, Finished::Written(RunState::Queued));
    assert_eq!(stage.get(run).await.state, RunState::Queued);
    assert_eq!(stage.claim_one("a").await.run.attempt, 2);
}

pub(super) async fn failures_are_counted_to_the_last(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    for failures in 1..=3 {
        let taken = stage.claim_one("a").await;
        stage.finish(&taken, retry_in(0, "wobbled")).await;
        assert_eq!(stage.get(run).await.failures, failures);
    }
    let last = stage.claim_one("a").await;
    let finished = stage
        .finish(&last, Finish::Failure(failed("gave up")))
        .await;
    assert_eq!(finished, Finished::Written(RunState::Failure));
    let ended = stage.get(run).await;
    assert_eq!((ended.attempt, ended.failures), (4, 4));
    assert_eq!(ended.error, Some(failed("gave up")));
    let each = [1, 2, 3, 4].map(|number| (number, AttemptOutcome::Failure));
    assert_eq!(stage.outcomes(run).await, each);
}

pub(super) async fn a_retry_keeps_its_priority(stage: Stage<'_>) {
    let mut urgent = new_run("a");
    urgent.priority = fluid_core::Priority::High;
    let urgent = stage.enqueue(urgent).await;
    let taken = stage.claim_one("a").await;
    let calm = stage.enqueue_one("a").await;
    stage.finish(&taken, retry_in(5, "wobbled")).await;
    stage.advance(Duration::from_secs(5));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [urgent, calm]);
}

pub(super) async fn an_attempt_that_failed_before_does_not_count_as_lost(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.max_interruptions = 1;
    let run = stage.enqueue(new).await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, retry_in(0, "wobbled")).await;
    stage.claim_one("a").await;
    stage.advance(fluid_core::DEFAULT_LEASE);
    let third = stage.claim_one("a").await;
    assert_eq!((third.run.failures, third.run.interruptions), (1, 1));
    assert_eq!(kind(third.run.error.as_ref()), Some(ErrorKind::Lost));
    stage.finish(&third, success()).await;
    assert_eq!(stage.get(run).await.state, RunState::Success);
}

pub(super) async fn each_attempt_is_a_start_for_the_rate_limit(stage: Stage<'_>) {
    let slowly = wish_with(vec![rated("a", RateLimit::new(1, Duration::from_secs(60)))]);
    stage.enqueue_one("a").await;
    let taken = stage.claim_exactly_one(slowly.clone()).await;
    stage.finish(&taken, retry_in(0, "wobbled")).await;
    let held = stage.claim(slowly.clone()).await;
    assert_eq!(
        (held.runs.len(), held.next),
        (0, Some(stage.in_seconds(60)))
    );
    stage.advance(Duration::from_secs(60));
    assert_eq!(stage.claim_exactly_one(slowly).await.run.attempt, 2);
}
