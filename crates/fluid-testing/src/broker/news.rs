//! What a running attempt tells: how far it is, where it runs, why it does not run yet.

use fluid_core::{DEFAULT_LEASE, Finish, Finished, Progress, Report, RunState};

use super::stage::{Stage, Taken, retry_in, success, wish};

async fn tell(stage: &Stage<'_>, taken: &Taken, fraction: f64) {
    let mut report = Report::new(taken.lease());
    report.progress = Some(Progress::new(fraction, "resizing"));
    report.execution = Some("pid 4711".to_owned());
    report.waiting = Some(Some("for an image".to_owned()));
    stage.broker.report(vec![report]).await.unwrap();
}

pub(super) async fn a_report_is_stored_with_the_run(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    tell(&stage, &taken, 0.25).await;
    let running = stage.get(run).await;
    assert_eq!(running.progress, Some(Progress::new(0.25, "resizing")));
    assert_eq!(running.execution.as_deref(), Some("pid 4711"));
    assert_eq!(running.waiting.as_deref(), Some("for an image"));
}

pub(super) async fn what_a_report_leaves_out_stays(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    tell(&stage, &taken, 0.25).await;
    let before = stage.get(run).await;
    stage
        .broker
        .report(vec![Report::new(taken.lease())])
        .await
        .unwrap();
    assert_eq!(stage.get(run).await, before);
    let mut report = Report::new(taken.lease());
    report.waiting = Some(None);
    stage.broker.report(vec![report]).await.unwrap();
    let running = stage.get(run).await;
    assert_eq!(running.waiting, None);
    assert_eq!(
        (running.progress, running.execution),
        (before.progress, before.execution)
    );
}

pub(super) async fn the_last_of_several_reports_stands(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    let reports = [0.1, 0.2, 0.3].map(|fraction| {
        let mut report = Report::new(taken.lease());
        report.progress = Some(Progress::new(fraction, ""));
        report
    });
    stage.broker.report(reports.to_vec()).await.unwrap();
    assert_eq!(stage.get(run).await.progress, Some(Progress::new(0.3, "")));
}

fn report(taken: &Taken, execution: &str) -> Report {
    let mut report = Report::new(taken.lease());
    report.execution = Some(execution.to_owned());
    report
}

pub(super) async fn a_report_with_the_end_is_stored_before_it(stage: Stage<'_>) {
    stage.enqueue_one("a").await;
    stage.enqueue_one("b").await;
    let (one, other) = (stage.claim_one("a").await, stage.claim_one("b").await);
    let finished = stage
        .broker
        .report_and_finish(
            vec![report(&one, "pid 1"), report(&other, "pid 2")],
            vec![
                (one.lease(), success()),
                (other.lease(), retry_in(0, "wobbled")),
            ],
        )
        .await
        .unwrap();
    let expected = [RunState::Success, RunState::Queued].map(Finished::Written);
    assert_eq!(finished, expected);
    let ended = stage.get(one.run.id).await;
    assert_eq!(ended.execution.as_deref(), Some("pid 1"));
    let attempts = stage.attempts(other.run.id).await;
    assert_eq!(attempts[0].execution.as_deref(), Some("pid 2"));
}

pub(super) async fn progress_is_gone_when_the_attempt_ended(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    for finish in [retry_in(0, "wobbled"), Finish::Released] {
        let taken = stage.claim_one("a").await;
        tell(&stage, &taken, 0.5).await;
        stage.finish(&taken, finish).await;
        let waiting = stage.get(run).await;
        assert_eq!((waiting.progress, waiting.waiting), (None, None));
    }
    let taken = stage.claim_one("a").await;
    tell(&stage, &taken, 0.5).await;
    stage.advance(DEFAULT_LEASE);
    assert_eq!(stage.claim_ids(wish(&[])).await, []);
    let lost = stage.get(run).await;
    assert_eq!((lost.progress, lost.waiting), (None, None));

    let taken = stage.claim_one("a").await;
    tell(&stage, &taken, 0.5).await;
    stage.finish(&taken, success()).await;
    let ended = stage.get(run).await;
    assert_eq!((ended.progress, ended.waiting), (None, None));
    assert_eq!(ended.execution.as_deref(), Some("pid 4711"));
}

pub(super) async fn a_report_does_not_extend_the_lease(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE / 2);
    tell(&stage, &taken, 0.5).await;
    stage.advance(DEFAULT_LEASE / 2);
    assert_eq!(stage.claim_ids(wish(&["a"])).await, [run]);
}
