//! Attempts that survive their consumer: they go on under the next one.

use std::time::Duration;

use fluid_core::{
    AttemptOutcome, Cancelled, ClaimRequest, DEFAULT_LEASE, Finish, Finished, LeaseStatus,
    Progress, RateExceeded, RateLimit, Report, RunId, RunState,
};

use super::stage::{
    Stage, Taken, at_most, by, consumer, new_run, queue, retry_in, success, surviving, task, wish,
    wish_with,
};
use fluid_core::QueueName;

/// A claim of runs of `a`, whose executions survive.
fn heavy() -> ClaimRequest {
    wish_with(vec![surviving("a")])
}

/// A claim of runs of `a`, whose executions survive, one at a time and at most one an hour.
fn narrow() -> ClaimRequest {
    let mut limits = surviving("a");
    limits.max_concurrency = 1;
    let mut rate = RateLimit::new(1, Duration::from_secs(3600));
    rate.exceeded = RateExceeded::Reject;
    limits.rate_limit = Some(rate);
    wish_with(vec![limits])
}

/// A running attempt that was told to be the Job `j`.
async fn started(stage: &Stage<'_>) -> Taken {
    stage.enqueue_one("a").await;
    let taken = stage.claim_exactly_one(at_most(1, narrow())).await;
    let mut report = Report::new(taken.lease());
    report.execution = Some("job j".to_owned());
    report.progress = Some(Progress::new(0.5, "half"));
    report.waiting = Some(Some("for an image".to_owned()));
    stage.broker.report(vec![report]).await.unwrap();
    taken
}

/// The same, given back by its consumer.
async fn orphaned(stage: &Stage<'_>) -> Taken {
    let taken = started(stage).await;
    let finished = stage.finish(&taken, Finish::Released).await;
    assert_eq!(finished, Finished::Written(RunState::Queued));
    taken
}

async fn check_adopted(stage: &Stage<'_>, run: RunId, adopted: &Taken) {
    assert_eq!(adopted.run.id, run);
    assert_eq!(adopted.run.attempt, 1);
    assert_eq!(adopted.run.consumer, Some(consumer("worker-2")));
    assert_eq!(adopted.run.execution.as_deref(), Some("job j"));
    assert_eq!((adopted.run.failures, adopted.run.interruptions), (0, 0));
    let finished = stage.finish(adopted, success()).await;
    assert_eq!(finished, Finished::Written(RunState::Success));
    let attempts = stage.attempts(run).await;
    assert_eq!(attempts.len(), 1, "an adoption is no attempt: {attempts:?}");
    assert_eq!(attempts[0].outcome, AttemptOutcome::Success);
    assert_eq!(attempts[0].consumer, consumer("worker-2"));
}

pub(super) async fn an_attempt_given_back_is_adopted_under_its_number(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    stage.advance(Duration::from_secs(5));
    let adopted = stage.claim_exactly_one(by("worker-2", heavy())).await;
    assert_eq!(adopted.run.started_at, lost.run.started_at);
    assert_ne!(adopted.token, lost.token);
    check_adopted(&stage, lost.run.id, &adopted).await;
}

pub(super) async fn an_attempt_whose_lease_ran_out_is_adopted_under_its_number(stage: Stage<'_>) {
    let lost = started(&stage).await;
    stage.advance(DEFAULT_LEASE);
    let adopted = stage.claim_exactly_one(by("worker-2", heavy())).await;
    assert_eq!(adopted.run.started_at, lost.run.started_at);
    assert_eq!(stage.extend(&lost).await, LeaseStatus::Lost);
    assert_eq!(stage.finish(&lost, success()).await, Finished::Lost);
    check_adopted(&stage, lost.run.id, &adopted).await;
}

pub(super) async fn an_attempt_may_be_adopted_any_number_of_times(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.max_interruptions = 0;
    let run = stage.enqueue(new).await;
    for _ in 0..5 {
        let taken = stage.claim_exactly_one(heavy()).await;
        assert_eq!((taken.run.attempt, taken.run.interruptions), (1, 0));
        stage.advance(DEFAULT_LEASE);
    }
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Running)]);
}

pub(super) async fn an_attempt_that_waits_to_be_adopted_is_still_running(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    let queued = stage.get(lost.run.id).await;
    assert_eq!((queued.state, queued.attempt), (RunState::Queued, 1));
    assert_eq!((queued.progress, queued.waiting), (None, None));
    let attempts = stage.attempts(lost.run.id).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0].outcome, AttemptOutcome::Running);
    assert_eq!(attempts[0].ended_at, None);
    assert_eq!(attempts[0].execution.as_deref(), Some("job j"));
}

pub(super) async fn a_retry_after_an_adoption_is_the_next_attempt(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    let adopted = stage.claim_exactly_one(heavy()).await;
    stage.finish(&adopted, retry_in(0, "wobbled")).await;
    let next = stage.claim_exactly_one(heavy()).await;
    assert_eq!((next.run.attempt, &next.run.execution), (2, &None));
    stage.finish(&next, success()).await;
    assert_eq!(
        stage.outcomes(lost.run.id).await,
        [(1, AttemptOutcome::Failure), (2, AttemptOutcome::Success)]
    );
}

pub(super) async fn the_last_claim_says_whether_an_attempt_survives(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    // Adopted by a consumer whose own executions end with it.
    let adopted = stage.claim_one("a").await;
    assert_eq!(adopted.run.attempt, 1);
    stage.advance(DEFAULT_LEASE);
    let next = stage.claim_one("a").await;
    assert_eq!((next.run.attempt, next.run.interruptions), (2, 1));
    assert_eq!(
        stage.outcomes(lost.run.id).await,
        [
            (1, AttemptOutcome::Interrupted),
            (2, AttemptOutcome::Running)
        ]
    );
}

pub(super) async fn an_attempt_that_waits_to_be_adopted_keeps_its_place(stage: Stage<'_>) {
    let mut limits = surviving("a");
    limits.max_concurrency = 1;
    let one_at_a_time = wish_with(vec![limits]);
    let first = stage.enqueue_one("a").await;
    let taken = stage.claim_exactly_one(one_at_a_time.clone()).await;
    let mut urgent = new_run("a");
    urgent.priority = fluid_core::Priority::High;
    let urgent = stage.enqueue(urgent).await;
    stage.finish(&taken, Finish::Released).await;
    // Were the urgent one to start now, two executions would go on.
    let adopted = stage.claim_exactly_one(one_at_a_time.clone()).await;
    assert_eq!(adopted.run.id, first);
    stage.finish(&adopted, success()).await;
    assert_eq!(stage.claim_ids(one_at_a_time).await, [urgent]);
}

pub(super) async fn no_limit_holds_an_adoption_up(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    let adopted = stage.claim_exactly_one(by("worker-2", narrow())).await;
    check_adopted(&stage, lost.run.id, &adopted).await;
}

pub(super) async fn no_switch_holds_an_adoption_up(stage: Stage<'_>) {
    let lost = orphaned(&stage).await;
    let broker = &stage.broker;
    broker.set_task_enabled(task("a"), false).await.unwrap();
    broker
        .set_queue_paused(QueueName::default(), true)
        .await
        .unwrap();
    stage.enqueue_one("a").await;
    let adopted = stage.claim_exactly_one(by("worker-2", heavy())).await;
    check_adopted(&stage, lost.run.id, &adopted).await;
}

pub(super) async fn only_a_consumer_of_its_task_and_queue_adopts(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.queue = queue("fast");
    let run = stage.enqueue(new).await;
    let fast = super::stage::from(&["fast"], heavy());
    let taken = stage.claim_exactly_one(fast.clone()).await;
    stage.finish(&taken, Finish::Released).await;
    assert_eq!(stage.claim_ids(heavy()).await, []);
    let other_task = super::stage::from(&["fast"], wish(&["b"]));
    assert_eq!(stage.claim_ids(other_task).await, []);
    assert_eq!(stage.claim_ids(fast).await, [run]);
}

async fn check_cancelled_by_the_adopter(stage: &Stage<'_>, run: RunId) {
    let queued = stage.get(run).await;
    assert_eq!(
        (queued.state, queued.cancel_requested),
        (RunState::Queued, true)
    );
    let adopted = stage.claim_exactly_one(heavy()).await;
    assert_eq!(
        (adopted.run.attempt, adopted.run.cancel_requested),
        (1, true)
    );
    assert_eq!(stage.extend(&adopted).await, LeaseStatus::CancelRequested);
    let error = super::stage::failed("cancelled");
    let finished = stage.finish(&adopted, Finish::Aborted(error)).await;
    assert_eq!(finished, Finished::Written(RunState::Aborted));
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Aborted)]);
}

pub(super) async fn an_attempt_that_waits_to_be_adopted_is_cancelled_by_its_adopter(
    stage: Stage<'_>,
) {
    let run = orphaned(&stage).await.run.id;
    assert_eq!(stage.cancel(run).await, Cancelled::Requested);
    check_cancelled_by_the_adopter(&stage, run).await;
}

pub(super) async fn a_wish_to_cancel_outlives_the_consumer_that_stops(stage: Stage<'_>) {
    let taken = started(&stage).await;
    assert_eq!(stage.cancel(taken.run.id).await, Cancelled::Requested);
    let finished = stage.finish(&taken, Finish::Released).await;
    assert_eq!(finished, Finished::Written(RunState::Queued));
    check_cancelled_by_the_adopter(&stage, taken.run.id).await;
}

pub(super) async fn a_wish_to_cancel_outlives_the_consumer_that_vanishes(stage: Stage<'_>) {
    let taken = started(&stage).await;
    assert_eq!(stage.cancel(taken.run.id).await, Cancelled::Requested);
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&[])).await, []);
    check_cancelled_by_the_adopter(&stage, taken.run.id).await;
}
