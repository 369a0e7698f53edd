//! Cancelling: what waits ends at once, what runs is asked.

use std::time::Duration;

use fluid_core::{
    AttemptOutcome, Cancelled, DEFAULT_LEASE, Due, ErrorKind, Finish, Finished, LeaseStatus,
    RunError, RunId, RunState,
};

use super::stage::{Stage, Taken, kind, new_run, retry_in, success, wish};

async fn check_aborted(stage: &Stage<'_>, run: RunId) {
    let ended = stage.get(run).await;
    assert_eq!(ended.state, RunState::Aborted);
    assert_eq!(kind(ended.error.as_ref()), Some(ErrorKind::Aborted));
    assert_eq!(ended.ended_at, Some(stage.now()));
    assert!(!ended.cancel_requested);
    stage.advance(Duration::from_secs(3600));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
}

/// A running attempt that somebody asked to cancel.
async fn asked(stage: &Stage<'_>) -> Taken {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    assert_eq!(stage.cancel(taken.run.id).await, Cancelled::Requested);
    taken
}

pub(super) async fn a_queued_run_is_aborted_at_once(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    assert_eq!(stage.cancel(run).await, Cancelled::Aborted);
    check_aborted(&stage, run).await;
    assert_eq!(stage.attempts(run).await, []);
}

pub(super) async fn a_scheduled_run_is_aborted_at_once(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.due = Due::After(Duration::from_secs(60));
    let run = stage.enqueue(new).await;
    assert_eq!(stage.cancel(run).await, Cancelled::Aborted);
    check_aborted(&stage, run).await;
}

pub(super) async fn a_cancelled_retry_adds_no_attempt(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, retry_in(60, "wobbled")).await;
    assert_eq!(stage.cancel(run).await, Cancelled::Aborted);
    check_aborted(&stage, run).await;
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Failure)]);
}

pub(super) async fn a_released_run_that_is_cancelled_adds_no_attempt(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.finish(&taken, Finish::Released).await;
    assert_eq!(stage.cancel(run).await, Cancelled::Aborted);
    check_aborted(&stage, run).await;
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Released)]);
}

pub(super) async fn a_running_attempt_is_told_at_its_renewal(stage: Stage<'_>) {
    let taken = asked(&stage).await;
    let running = stage.get(taken.run.id).await;
    assert_eq!(running.state, RunState::Running);
    assert!(running.cancel_requested);
    assert_eq!(stage.extend(&taken).await, LeaseStatus::CancelRequested);
    assert_eq!(stage.extend(&taken).await, LeaseStatus::CancelRequested);
    assert_eq!(stage.cancel(taken.run.id).await, Cancelled::Requested);

    // The lease was extended all the same.
    stage.advance(Duration::from_secs(29));
    let error = RunError::new(ErrorKind::Aborted, "told to stop");
    let finished = stage.finish(&taken, Finish::Aborted(error)).await;
    assert_eq!(finished, Finished::Written(RunState::Aborted));
    check_aborted(&stage, taken.run.id).await;
}

pub(super) async fn a_cancelled_attempt_that_failed_is_not_retried(stage: Stage<'_>) {
    let taken = asked(&stage).await;
    let finished = stage.finish(&taken, retry_in(0, "wobbled")).await;
    assert_eq!(finished, Finished::Written(RunState::Aborted));
    check_aborted(&stage, taken.run.id).await;
    let outcomes = stage.outcomes(taken.run.id).await;
    assert_eq!(outcomes, [(1, AttemptOutcome::Aborted)]);
}

pub(super) async fn a_cancelled_attempt_that_is_released_is_aborted(stage: Stage<'_>) {
    let taken = asked(&stage).await;
    let finished = stage.finish(&taken, Finish::Released).await;
    assert_eq!(finished, Finished::Written(RunState::Aborted));
    check_aborted(&stage, taken.run.id).await;
    let outcomes = stage.outcomes(taken.run.id).await;
    assert_eq!(outcomes, [(1, AttemptOutcome::Aborted)]);
}

pub(super) async fn a_cancelled_attempt_that_is_lost_is_aborted(stage: Stage<'_>) {
    let taken = asked(&stage).await;
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
    let outcomes = stage.outcomes(taken.run.id).await;
    assert_eq!(outcomes, [(1, AttemptOutcome::Aborted)]);
    check_aborted(&stage, taken.run.id).await;
}

pub(super) async fn a_cancelled_attempt_may_still_succeed(stage: Stage<'_>) {
    let taken = asked(&stage).await;
    let finished = stage.finish(&taken, success()).await;
    assert_eq!(finished, Finished::Written(RunState::Success));
    let ended = stage.get(taken.run.id).await;
    assert_eq!((ended.state, ended.error), (RunState::Success, None));
    assert!(!ended.cancel_requested);
}

pub(super) async fn a_finished_run_stays_as_it_ended(stage: Stage<'_>) {
    let run = stage.succeed_one("a").await;
    let ended = stage.get(run).await;
    let answer = Cancelled::AlreadyFinished(RunState::Success);
    assert_eq!(stage.cancel(run).await, answer);
    assert_eq!(stage.get(run).await, ended);

    let aborted = stage.enqueue_one("a").await;
    stage.cancel(aborted).await;
    let answer = Cancelled::AlreadyFinished(RunState::Aborted);
    assert_eq!(stage.cancel(aborted).await, answer);
}

pub(super) async fn an_unknown_run_is_not_found(stage: Stage<'_>) {
    let unknown = RunId::new();
    assert_eq!(stage.cancel(unknown).await, Cancelled::NotFound);
    assert_eq!(stage.broker.get(unknown).await.unwrap(), None);
}
