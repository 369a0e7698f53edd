//! Leases: who may write to a run, and for how long.

use std::time::Duration;

use fluid_core::{
    DEFAULT_LEASE, Finished, LeaseRef, LeaseStatus, LeaseToken, Progress, Report, RunId, RunState,
};

use super::stage::{Stage, Taken, at_most, by, consumer, failed, retry_in, success, wish};
use fluid_core::Finish;

/// A run whose first lease was lost and whose second one is held.
async fn lost_and_held(stage: &Stage<'_>) -> (Taken, Taken) {
    let run = stage.enqueue_one("a").await;
    let lost = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE);
    let held = stage.claim_exactly_one(by("worker-2", wish(&["a"]))).await;
    assert_eq!((lost.run.id, held.run.id), (run, run));
    assert_ne!(lost.token, held.token);
    (lost, held)
}

pub(super) async fn a_claimed_run_is_running_with_its_consumer(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let queued = stage.get(run).await;
    assert_eq!(
        (
            queued.state,
            queued.attempt,
            queued.started_at,
            queued.consumer
        ),
        (RunState::Queued, 0, None, None)
    );
    stage.advance(Duration::from_secs(2));
    let taken = stage.claim_one("a").await;
    assert_eq!(taken.run.state, RunState::Running);
    assert_eq!(taken.run.attempt, 1);
    assert_eq!(taken.run.consumer, Some(consumer("worker-1")));
    assert_eq!(taken.run.started_at, Some(stage.now()));
    assert_eq!(taken.run.created_at, stage.in_seconds(-2));
    assert_eq!(stage.get(run).await, taken.run);
}

pub(super) async fn a_claimed_run_is_not_claimed_again(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    stage.claim_one("a").await;
    assert_eq!(stage.claim_ids(by("worker-2", wish(&["a"]))).await, []);
    stage.advance(DEFAULT_LEASE - Duration::from_millis(1));
    assert_eq!(stage.claim_ids(by("worker-2", wish(&["a"]))).await, []);
}

pub(super) async fn a_lost_lease_cannot_finish_the_run(stage: Stage<'_>) {
    let (lost, held) = lost_and_held(&stage).await;
    for finish in [
        success(),
        Finish::Failure(failed("no")),
        Finish::Aborted(failed("no")),
        Finish::Released,
        retry_in(1, "no"),
    ] {
        assert_eq!(stage.finish(&lost, finish).await, Finished::Lost);
        assert_eq!(stage.get(held.run.id).await, held.run);
    }
    assert_eq!(
        stage.finish(&held, success()).await,
        Finished::Written(RunState::Success)
    );
}

pub(super) async fn a_lost_lease_cannot_be_extended(stage: Stage<'_>) {
    let (lost, held) = lost_and_held(&stage).await;
    assert_eq!(stage.extend(&lost).await, LeaseStatus::Lost);
    assert_eq!(stage.extend(&held).await, LeaseStatus::Held);
}

pub(super) async fn a_lost_lease_cannot_report(stage: Stage<'_>) {
    let (lost, held) = lost_and_held(&stage).await;
    let mut report = Report::new(lost.lease());
    report.progress = Some(Progress::new(0.5, "stale"));
    report.execution = Some("pid 1".to_owned());
    report.waiting = Some(Some("for nothing".to_owned()));
    stage.broker.report(vec![report]).await.unwrap();
    assert_eq!(stage.get(held.run.id).await, held.run);
}

pub(super) async fn a_lost_lease_cannot_report_with_its_end(stage: Stage<'_>) {
    let (lost, held) = lost_and_held(&stage).await;
    let mut report = Report::new(lost.lease());
    report.execution = Some("pid 1".to_owned());
    let batch = vec![(lost.lease(), success())];
    let finished = stage.broker.report_and_finish(vec![report], batch).await;
    assert_eq!(finished.unwrap(), [Finished::Lost]);
    assert_eq!(stage.get(held.run.id).await, held.run);
}

pub(super) async fn a_made_up_token_opens_nothing(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let wrong = [
        LeaseRef {
            run,
            token: LeaseToken::from_i64(0),
        },
        LeaseRef {
            run,
            token: LeaseToken::from_i64(taken.token.as_i64() ^ 1),
        },
        LeaseRef {
            run: RunId::new(),
            token: taken.token,
        },
    ];
    let extended = stage.broker.extend(wrong.to_vec(), DEFAULT_LEASE).await;
    assert_eq!(extended.unwrap(), [LeaseStatus::Lost; 3]);
    let batch = wrong.map(|lease| (lease, success())).to_vec();
    let finished = stage.broker.finish(batch).await.unwrap();
    assert_eq!(finished, [Finished::Lost; 3]);
    assert_eq!(stage.get(run).await, taken.run);
}

pub(super) async fn the_token_of_one_run_does_not_fit_another(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    stage.enqueue_one("b").await;
    let a = stage.claim_one("a").await;
    let b = stage.claim_one("b").await;
    assert_ne!(a.token, b.token);
    let crossed = Taken {
        run: a.run.clone(),
        token: b.token,
    };
    assert_eq!(stage.finish(&crossed, success()).await, Finished::Lost);
    assert_eq!(stage.get(a.run.id).await.state, RunState::Running);
}

pub(super) async fn lost_leases_keep_no_others_of_their_claim_from_their_ends(stage: Stage<'_>) {
    const RUNS: usize = 40;
    for _ in 0..RUNS {
        stage.enqueue_one("a").await;
    }
    let claimed = stage.claim(at_most(RUNS, wish(&["a"]))).await.runs;
    let taken: Vec<Taken> = claimed
        .into_iter()
        .map(|(run, token)| Taken { run, token })
        .collect();
    let is_lost = |place: usize| [0, 17, 18, 39].contains(&place);
    stage.advance(Duration::from_secs(20));
    for (place, one) in taken.iter().enumerate() {
        if !is_lost(place) {
            assert_eq!(stage.extend(one).await, LeaseStatus::Held);
        }
    }
    stage.advance(Duration::from_secs(20));
    let others = stage.claim_ids(by("worker-2", wish(&["a"]))).await;
    assert_eq!(others.len(), 4);

    let batch = taken.iter().map(|one| (one.lease(), success())).collect();
    let finished = stage.broker.finish(batch).await.unwrap();
    for (place, answer) in finished.into_iter().enumerate() {
        let expected = if is_lost(place) {
            Finished::Lost
        } else {
            Finished::Written(RunState::Success)
        };
        assert_eq!(answer, expected, "run {place}");
    }
    for run in others {
        let run = stage.get(run).await;
        let worker = run.consumer.map(|consumer| consumer.to_string());
        assert_eq!(run.state, RunState::Running);
        assert_eq!(worker.as_deref(), Some("worker-2"));
    }
    let stats = stage.broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Success), RUNS as u64 - 4);
    assert_eq!(stats.count(RunState::Running), 4);
}

pub(super) async fn an_extended_lease_does_not_run_out(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    for _ in 0..5 {
        stage.advance(Duration::from_secs(20));
        assert_eq!(stage.extend(&taken).await, LeaseStatus::Held);
        assert_eq!(stage.claim_ids(by("worker-2", wish(&["a"]))).await, []);
    }
    assert_eq!(
        stage.finish(&taken, success()).await,
        Finished::Written(RunState::Success)
    );
}

pub(super) async fn an_extension_counts_from_now_and_for_its_own_length(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(Duration::from_secs(5));
    let leases = vec![taken.lease()];
    let extended = stage.broker.extend(leases, Duration::from_secs(7)).await;
    assert_eq!(extended.unwrap(), [LeaseStatus::Held]);
    let claimed = stage.claim(wish(&["a"])).await;
    assert_eq!(claimed.next, Some(stage.in_seconds(7)));
    stage.advance(Duration::from_secs(7));
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [taken.run.id]);
}

pub(super) async fn a_lease_that_ran_out_may_be_extended_until_somebody_claims(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE * 3);
    assert_eq!(stage.extend(&taken).await, LeaseStatus::Held);
    assert_eq!(stage.claim_ids(by("worker-2", wish(&["a"]))).await, []);
}

pub(super) async fn a_lease_that_ran_out_may_finish_until_somebody_claims(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE * 3);
    assert_eq!(
        stage.finish(&taken, success()).await,
        Finished::Written(RunState::Success)
    );
    assert_eq!(stage.claim_ids(by("worker-2", wish(&["a"]))).await, []);
}

pub(super) async fn any_claim_deals_with_the_leases_that_ran_out(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE);
    let foreign = from_elsewhere();
    assert_eq!(stage.claim_ids(foreign).await, []);
    assert_eq!(stage.get(run).await.state, RunState::Queued);
    assert_eq!(stage.extend(&taken).await, LeaseStatus::Lost);
}

fn from_elsewhere() -> fluid_core::ClaimRequest {
    by("worker-2", super::stage::from(&["fast"], wish(&["z"])))
}

pub(super) async fn an_attempt_is_finished_only_once(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let twice = vec![
        (taken.lease(), success()),
        (taken.lease(), Finish::Failure(failed("no"))),
    ];
    assert_eq!(
        stage.broker.finish(twice).await.unwrap(),
        [Finished::Written(RunState::Success), Finished::Lost]
    );
    let ended = stage.get(taken.run.id).await;
    assert_eq!(
        stage.finish(&taken, retry_in(0, "no")).await,
        Finished::Lost
    );
    assert_eq!(stage.extend(&taken).await, LeaseStatus::Lost);
    assert_eq!(stage.get(taken.run.id).await, ended);
}

pub(super) async fn extensions_are_answered_in_their_order(stage: Stage<'_>) {
    for task in ["a", "b", "c"] {
        stage.enqueue_one(task).await;
    }
    let a = stage.claim_one("a").await;
    let b = stage.claim_one("b").await;
    let c = stage.claim_one("c").await;
    stage.finish(&b, success()).await;
    stage.cancel(c.run.id).await;
    let leases = vec![c.lease(), b.lease(), a.lease()];
    assert_eq!(
        stage.broker.extend(leases, DEFAULT_LEASE).await.unwrap(),
        [
            LeaseStatus::CancelRequested,
            LeaseStatus::Lost,
            LeaseStatus::Held
        ]
    );
}
