//! Limits: how many runs of a task may be running, and how often they may start.

use std::time::Duration;

use fluid_core::{
    ClaimRequest, DEFAULT_LEASE, ErrorKind, Finish, NewRun, RateExceeded, RateLimit, RunState,
    TaskLimits,
};

use super::stage::{
    Stage, by, failed, kind, limited, new_run, rated, retry_in, success, task, wish_with,
};

fn one_at_a_time() -> ClaimRequest {
    wish_with(vec![limited("a", 1)])
}

fn keyed(key: &str) -> NewRun {
    let mut run = new_run("a");
    run.concurrency_key = key.into();
    run
}

fn rejecting(limit: u32, seconds: u64) -> RateLimit {
    let mut rate = RateLimit::new(limit, Duration::from_secs(seconds));
    rate.exceeded = RateExceeded::Reject;
    rate
}

pub(super) async fn one_claim_keeps_to_the_limit(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.enqueue_one("a").await);
    }
    let request = wish_with(vec![limited("a", 3)]);
    assert_eq!(stage.claim_ids(request.clone()).await, ids[..3]);
    assert_eq!(stage.claim_ids(request).await, []);
}

pub(super) async fn the_limit_holds_across_consumers_and_handles(stage: Stage<'_>) {
    for _ in 0..5 {
        stage.enqueue_one("a").await;
    }
    let request = wish_with(vec![limited("a", 2)]);
    let mut claimed = 0;
    for worker in ["worker-1", "worker-2", "worker-3"] {
        let handle = stage.harness.open().await;
        let mut request = by(worker, request.clone());
        request.limit = 1;
        claimed += handle.claim(request).await.unwrap().runs.len();
    }
    assert_eq!(claimed, 2);
}

pub(super) async fn no_limit_is_no_limit(stage: Stage<'_>) {
    for _ in 0..50 {
        stage.enqueue_one("a").await;
    }
    let claimed = stage.claim_ids(wish_with(vec![limited("a", 0)])).await;
    assert_eq!(claimed.len(), 50);
}

pub(super) async fn every_end_of_an_attempt_makes_room(stage: Stage<'_>) {
    let ends = [
        success(),
        Finish::Failure(failed("no")),
        Finish::Aborted(failed("no")),
        retry_in(7200, "wobbled"),
    ];
    for end in ends {
        stage.enqueue_one("a").await;
        let taken = stage.claim_exactly_one(one_at_a_time()).await;
        let waiting = stage.enqueue_one("a").await;
        assert_eq!(stage.claim_ids(one_at_a_time()).await, []);
        stage.finish(&taken, end.clone()).await;
        let next = stage.claim_exactly_one(one_at_a_time()).await;
        assert_eq!(next.run.id, waiting, "after {end:?}");
        stage.finish(&next, success()).await;
    }
}

pub(super) async fn a_lost_lease_makes_room(stage: Stage<'_>) {
    let mut lost = new_run("a");
    lost.max_interruptions = 0;
    stage.enqueue(lost).await;
    stage.claim_exactly_one(one_at_a_time()).await;
    let waiting = stage.enqueue_one("a").await;
    assert_eq!(stage.claim_ids(one_at_a_time()).await, []);
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(one_at_a_time()).await, [waiting]);
}

pub(super) async fn a_full_task_does_not_hold_up_others(stage: Stage<'_>) {
    for _ in 0..300 {
        stage.enqueue_one("a").await;
    }
    let behind = stage.enqueue_one("b").await;
    let request = wish_with(vec![limited("a", 1), TaskLimits::none(task("b"))]);
    let claimed = stage.claim(request.clone()).await;
    let tasks: Vec<_> = claimed
        .runs
        .iter()
        .map(|(run, _)| run.task.as_str())
        .collect();
    assert_eq!(tasks, ["a", "b"]);
    assert_eq!(claimed.runs[1].0.id, behind);
    assert_eq!(stage.claim_ids(request).await, []);
}

pub(super) async fn each_concurrency_key_has_its_own_limit(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for key in ["x", "x", "y", "", "y", ""] {
        ids.push(stage.enqueue(keyed(key)).await);
    }
    let first = stage.claim(one_at_a_time()).await;
    let claimed: Vec<_> = first.runs.iter().map(|(run, _)| run.id).collect();
    assert_eq!(claimed, [ids[0], ids[2], ids[3]]);
    assert_eq!(stage.claim_ids(one_at_a_time()).await, []);
    let (run, token) = first.runs[1].clone();
    stage
        .finish(&super::stage::Taken { run, token }, success())
        .await;
    assert_eq!(stage.claim_ids(one_at_a_time()).await, [ids[4]]);
}

pub(super) async fn a_full_concurrency_key_does_not_hold_up_others(stage: Stage<'_>) {
    stage.enqueue(keyed("x")).await;
    stage.claim_exactly_one(one_at_a_time()).await;
    for _ in 0..300 {
        stage.enqueue(keyed("x")).await;
    }
    let behind = stage.enqueue(keyed("y")).await;
    assert_eq!(stage.claim_ids(one_at_a_time()).await, [behind]);
}

pub(super) async fn a_run_beyond_the_rate_waits(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(stage.enqueue_one("a").await);
    }
    // Two at once, then one each 30 s.
    let request = wish_with(vec![rated("a", RateLimit::new(2, Duration::from_secs(60)))]);
    let first = stage.claim(request.clone()).await;
    let claimed: Vec<_> = first.runs.iter().map(|(run, _)| run.id).collect();
    assert_eq!(claimed, ids[..2]);
    for (run, token) in first.runs {
        stage
            .finish(&super::stage::Taken { run, token }, success())
            .await;
    }
    let held = stage.claim(request.clone()).await;
    assert_eq!(
        (held.runs.len(), held.next),
        (0, Some(stage.in_seconds(30)))
    );
    assert_eq!(stage.get(ids[2]).await.state, RunState::Queued);
    stage.advance(Duration::from_millis(29_999));
    assert_eq!(stage.claim_ids(request.clone()).await, []);
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.claim_ids(request.clone()).await, [ids[2]]);
    assert_eq!(stage.claim_ids(request).await, []);
}

pub(super) async fn the_rate_holds_across_consumers_and_handles(stage: Stage<'_>) {
    for _ in 0..6 {
        stage.enqueue_one("a").await;
    }
    let request = wish_with(vec![rated("a", RateLimit::new(2, Duration::from_secs(60)))]);
    let mut claimed = 0;
    for worker in ["worker-1", "worker-2", "worker-3"] {
        let handle = stage.harness.open().await;
        let mut request = by(worker, request.clone());
        request.limit = 1;
        claimed += handle.claim(request).await.unwrap().runs.len();
    }
    assert_eq!(claimed, 2);
}

pub(super) async fn each_concurrency_key_has_its_own_rate(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for key in ["x", "x", "y", ""] {
        ids.push(stage.enqueue(keyed(key)).await);
    }
    let request = wish_with(vec![rated("a", RateLimit::new(1, Duration::from_secs(60)))]);
    let claimed = stage.claim_ids(request).await;
    assert_eq!(claimed, [ids[0], ids[2], ids[3]]);
}

pub(super) async fn a_rate_does_not_hold_up_other_tasks(stage: Stage<'_>) {
    for _ in 0..300 {
        stage.enqueue_one("a").await;
    }
    let behind = stage.enqueue_one("b").await;
    let rate = RateLimit::new(1, Duration::from_secs(60));
    let request = wish_with(vec![rated("a", rate), TaskLimits::none(task("b"))]);
    let claimed = stage.claim_ids(request).await;
    assert_eq!((claimed.len(), claimed[1]), (2, behind));
}

pub(super) async fn a_run_beyond_a_strict_rate_is_refused(stage: Stage<'_>) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(stage.enqueue_one("a").await);
    }
    let request = wish_with(vec![rated("a", rejecting(1, 60))]);
    let taken = stage.claim_exactly_one(request.clone()).await;
    assert_eq!(taken.run.id, ids[0]);
    stage.finish(&taken, success()).await;
    for refused in &ids[1..] {
        let refused = stage.get(*refused).await;
        assert_eq!((refused.state, refused.attempt), (RunState::RateLimited, 0));
        assert_eq!(refused.ended_at, Some(stage.now()));
        assert_eq!(stage.attempts(refused.id).await, []);
    }
    stage.advance(Duration::from_secs(60));
    let later = stage.enqueue_one("a").await;
    assert_eq!(stage.claim_ids(by("worker-2", request)).await, [later]);
}

pub(super) async fn a_refused_retry_keeps_its_failure(stage: Stage<'_>) {
    let request = wish_with(vec![rated("a", rejecting(1, 60))]);
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_exactly_one(request.clone()).await;
    stage.finish(&taken, retry_in(0, "wobbled")).await;
    assert_eq!(stage.claim_ids(request).await, []);
    let refused = stage.get(run).await;
    assert_eq!(
        (refused.state, refused.failures),
        (RunState::RateLimited, 1)
    );
    assert_eq!(kind(refused.error.as_ref()), Some(ErrorKind::Error));
    assert_eq!(stage.attempts(run).await.len(), 1);
}

pub(super) async fn a_run_that_waits_for_room_uses_no_rate_and_is_not_refused(stage: Stage<'_>) {
    let mut limits = rated("a", rejecting(1, 1));
    limits.max_concurrency = 1;
    let request = wish_with(vec![limits]);
    stage.enqueue_one("a").await;
    let running = stage.claim_exactly_one(request.clone()).await;
    let waiting = stage.enqueue_one("a").await;
    for _ in 0..3 {
        assert_eq!(stage.claim_ids(request.clone()).await, []);
        assert_eq!(stage.get(waiting).await.state, RunState::Queued);
    }
    stage.advance(Duration::from_secs(1));
    stage.finish(&running, success()).await;
    assert_eq!(stage.claim_ids(request).await, [waiting]);
}
