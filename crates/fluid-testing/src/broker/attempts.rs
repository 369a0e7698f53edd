//! Attempts: their numbers, what they cost, and the history they leave.

use std::time::Duration;

use fluid_core::{
    AttemptOutcome, DEFAULT_LEASE, ErrorKind, Finish, Finished, JsonText, Report, RunError, RunId,
    RunState,
};

use super::stage::{Stage, Taken, by, consumer, kind, new_run, retry_in, success, wish};

/// Claims a run and loses its lease; the claim that notices asks for nothing.
async fn lose(stage: &Stage<'_>) -> Taken {
    let taken = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&[])).await, []);
    taken
}

pub(super) async fn a_run_that_never_started_has_no_attempts(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    assert_eq!(stage.attempts(run).await, []);
    assert_eq!(stage.attempts(RunId::new()).await, []);
}

pub(super) async fn the_running_attempt_is_in_the_history(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let mut report = Report::new(taken.lease());
    report.execution = Some("pid 4711".to_owned());
    stage.broker.report(vec![report]).await.unwrap();
    let attempts = stage.attempts(run).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].number, 1);
    assert_eq!(attempts[0].consumer, consumer("worker-1"));
    assert_eq!(attempts[0].execution.as_deref(), Some("pid 4711"));
    assert_eq!(attempts[0].started_at, stage.now());
    assert_eq!(attempts[0].ended_at, None);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Running);
    assert_eq!(attempts[0].error, None);
}

pub(super) async fn the_history_tells_how_each_attempt_ended(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let begin = stage.now();
    lose(&stage).await;

    let second = stage.claim_exactly_one(by("worker-2", wish(&["a"]))).await;
    stage.advance(Duration::from_secs(1));
    stage.finish(&second, retry_in(5, "wobbled")).await;

    stage.advance(Duration::from_secs(5));
    let third = stage.claim_exactly_one(by("worker-3", wish(&["a"]))).await;
    stage.advance(Duration::from_secs(1));
    stage.finish(&third, Finish::Released).await;

    let fourth = stage.claim_one("a").await;
    assert_eq!(fourth.run.attempt, 4);
    stage.advance(Duration::from_secs(1));
    stage.finish(&fourth, success()).await;

    let seen: Vec<_> = stage
        .attempts(run)
        .await
        .into_iter()
        .map(|attempt| {
            (
                attempt.number,
                attempt.consumer.as_str().to_owned(),
                attempt.started_at.duration_since(begin).as_secs(),
                attempt
                    .ended_at
                    .map(|at| at.duration_since(begin).as_secs()),
                attempt.outcome,
                kind(attempt.error.as_ref()),
            )
        })
        .collect();
    let told = |number, who: &str, from, to, outcome, error| {
        (number, who.to_owned(), from, Some(to), outcome, error)
    };
    assert_eq!(
        seen,
        [
            told(
                1,
                "worker-1",
                0,
                30,
                AttemptOutcome::Interrupted,
                Some(ErrorKind::Lost)
            ),
            told(
                2,
                "worker-2",
                30,
                31,
                AttemptOutcome::Failure,
                Some(ErrorKind::Error)
            ),
            told(3, "worker-3", 36, 37, AttemptOutcome::Released, None),
            told(4, "worker-1", 37, 38, AttemptOutcome::Success, None),
        ]
    );
}

pub(super) async fn each_attempt_keeps_where_it_ran(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    for place in ["pid 1", "pid 2"] {
        let taken = stage.claim_one("a").await;
        assert_eq!(
            taken.run.execution, None,
            "left over from the attempt before"
        );
        let mut report = Report::new(taken.lease());
        report.execution = Some(place.to_owned());
        stage.broker.report(vec![report]).await.unwrap();
        stage.finish(&taken, retry_in(0, "again")).await;
    }
    let last = stage.claim_one("a").await;
    stage.finish(&last, success()).await;
    let attempts = stage.attempts(run).await;
    let places: Vec<_> = attempts.iter().map(|a| a.execution.as_deref()).collect();
    assert_eq!(places, [Some("pid 1"), Some("pid 2"), None]);
}

pub(super) async fn a_success_keeps_its_result_and_no_error(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let first = stage.claim_one("a").await;
    stage.finish(&first, retry_in(0, "wobbled")).await;
    let second = stage.claim_one("a").await;
    stage.advance(Duration::from_secs(3));
    let result = JsonText::parse("{\"n\":  7}").unwrap();
    let finished = stage.finish(&second, Finish::Success(result.clone())).await;
    assert_eq!(finished, Finished::Written(RunState::Success));
    let ended = stage.get(run).await;
    assert_eq!(ended.state, RunState::Success);
    assert_eq!(ended.result, Some(result));
    assert_eq!(ended.error, None);
    assert_eq!(
        (ended.attempt, ended.failures, ended.interruptions),
        (2, 1, 0)
    );
    assert_eq!(ended.ended_at, Some(stage.now()));
}

pub(super) async fn a_failure_keeps_its_error(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(Duration::from_secs(3));
    let error = RunError::exit(3, "the program ended with exit code 3");
    let finished = stage.finish(&taken, Finish::Failure(error.clone())).await;
    assert_eq!(finished, Finished::Written(RunState::Failure));
    let ended = stage.get(run).await;
    assert_eq!((ended.state, ended.failures), (RunState::Failure, 1));
    assert_eq!(ended.error, Some(error.clone()));
    assert_eq!(ended.result, None);
    assert_eq!(ended.ended_at, Some(stage.now()));
    let attempts = stage.attempts(run).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Failure);
    assert_eq!(attempts[0].error, Some(error));
    assert_eq!(attempts[0].ended_at, Some(stage.now()));
}

pub(super) async fn an_abort_is_no_failure(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let error = RunError::new(ErrorKind::Aborted, "the user went away");
    let finished = stage.finish(&taken, Finish::Aborted(error.clone())).await;
    assert_eq!(finished, Finished::Written(RunState::Aborted));
    let ended = stage.get(run).await;
    assert_eq!((ended.state, ended.failures), (RunState::Aborted, 0));
    assert_eq!(ended.error, Some(error));
    assert_eq!(stage.outcomes(run).await, [(1, AttemptOutcome::Aborted)]);
}

pub(super) async fn a_lost_attempt_is_told_with_its_consumer(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    lose(&stage).await;
    let queued = stage.get(run).await;
    assert_eq!(queued.state, RunState::Queued);
    assert_eq!(
        (queued.attempt, queued.failures, queued.interruptions),
        (1, 0, 1)
    );
    let error = stage.attempts(run).await.remove(0).error.unwrap();
    assert_eq!(error.kind, ErrorKind::Lost);
    assert!(error.message.contains("worker-1"), "{error}");
    assert_eq!(queued.error, Some(error));
}

pub(super) async fn a_lost_run_goes_back_to_its_old_place(stage: Stage<'_>) {
    let first = stage.enqueue_one("a").await;
    let second = stage.enqueue_one("a").await;
    let taken = stage
        .claim_exactly_one(super::stage::at_most(1, wish(&["a"])))
        .await;
    assert_eq!(taken.run.id, first);
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [first, second]);
    assert_eq!(stage.get(first).await.due_at, taken.run.due_at);
}

pub(super) async fn too_many_lost_attempts_interrupt_the_run(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.max_interruptions = 2;
    let run = stage.enqueue(new).await;
    for lost in 1..=2 {
        lose(&stage).await;
        let queued = stage.get(run).await;
        assert_eq!(
            (queued.state, queued.interruptions),
            (RunState::Queued, lost)
        );
    }
    lose(&stage).await;
    let ended = stage.get(run).await;
    assert_eq!(
        (ended.state, ended.interruptions),
        (RunState::Interrupted, 3)
    );
    assert_eq!(kind(ended.error.as_ref()), Some(ErrorKind::Lost));
    assert_eq!(ended.ended_at, Some(stage.now()));
    let lost = [1, 2, 3].map(|number| (number, AttemptOutcome::Interrupted));
    assert_eq!(stage.outcomes(run).await, lost);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
}

pub(super) async fn work_that_must_not_start_twice_does_not(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.max_interruptions = 0;
    let run = stage.enqueue(new).await;
    stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
    assert_eq!(stage.get(run).await.state, RunState::Interrupted);
}

pub(super) async fn a_released_attempt_costs_nothing(stage: Stage<'_>) {
    let mut new = new_run("a");
    new.max_interruptions = 0;
    let run = stage.enqueue(new).await;
    for number in 1..=5 {
        let taken = stage.claim_one("a").await;
        assert_eq!(taken.run.attempt, number);
        let finished = stage.finish(&taken, Finish::Released).await;
        assert_eq!(finished, Finished::Written(RunState::Queued));
    }
    let queued = stage.get(run).await;
    assert_eq!((queued.failures, queued.interruptions), (0, 0));
    assert_eq!((queued.error, queued.ended_at), (None, None));
}

pub(super) async fn a_released_run_goes_back_to_its_old_place(stage: Stage<'_>) {
    let first = stage.enqueue_one("a").await;
    let second = stage.enqueue_one("a").await;
    let taken = stage
        .claim_exactly_one(super::stage::at_most(1, wish(&["a"])))
        .await;
    stage.advance(Duration::from_secs(1));
    stage.finish(&taken, Finish::Released).await;
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [first, second]);
}
