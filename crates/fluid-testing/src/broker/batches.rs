//! Batches: empty ones, large ones, and answers in their order.

use fluid_core::{DEFAULT_LEASE, Enqueued, Finish, Finished, NewRun, RunState};

use super::stage::{Stage, Taken, at_most, failed, new_run, retry_in, success, wish};

pub(super) async fn empty_batches_are_answered_with_nothing(stage: Stage<'_>) {
    let broker = &stage.broker;
    assert_eq!(broker.enqueue(vec![]).await.unwrap(), []);
    assert_eq!(broker.finish(vec![]).await.unwrap(), []);
    assert_eq!(broker.extend(vec![], DEFAULT_LEASE).await.unwrap(), []);
    assert_eq!(broker.tick(vec![]).await.unwrap(), []);
    broker.report(vec![]).await.unwrap();
    broker.append_logs(vec![]).await.unwrap();
    assert_eq!(stage.claim_ids(wish(&["a"])).await, []);
}

pub(super) async fn a_large_batch_is_enqueued_claimed_and_finished_in_order(stage: Stage<'_>) {
    const RUNS: usize = 3000;
    let runs: Vec<NewRun> = (0..RUNS).map(|_| new_run("a")).collect();
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    let expected: Vec<_> = ids.iter().map(|id| Enqueued::Inserted(*id)).collect();
    assert_eq!(stage.broker.enqueue(runs).await.unwrap(), expected);

    let mut claimed = Vec::new();
    while claimed.len() < RUNS {
        let batch = stage.claim(at_most(700, wish(&["a"]))).await.runs;
        assert!(!batch.is_empty() && batch.len() <= 700);
        claimed.extend(batch);
    }
    let order: Vec<_> = claimed.iter().map(|(run, _)| run.id).collect();
    assert_eq!(order, ids);

    let batch = claimed
        .into_iter()
        .map(|(run, token)| (Taken { run, token }.lease(), success()));
    let finished = stage.broker.finish(batch.collect()).await.unwrap();
    assert_eq!(finished, vec![Finished::Written(RunState::Success); RUNS]);
    let stats = stage.broker.stats().await.unwrap();
    assert_eq!(stats.count(RunState::Success), RUNS as u64);
}

pub(super) async fn the_ends_of_a_batch_are_answered_in_their_order(stage: Stage<'_>) {
    for _ in 0..6 {
        stage.enqueue_one("a").await;
    }
    let claimed = stage.claim(wish(&["a"])).await;
    let taken: Vec<Taken> = claimed
        .runs
        .into_iter()
        .map(|(run, token)| Taken { run, token })
        .collect();
    stage.finish(&taken[2], success()).await;
    let ends = [
        Finish::Failure(failed("no")),
        success(),
        success(),
        retry_in(60, "wobbled"),
        Finish::Aborted(failed("no")),
        Finish::Released,
    ];
    let batch = taken.iter().map(Taken::lease).zip(ends).rev().collect();
    let mut answers = stage.broker.finish(batch).await.unwrap();
    answers.reverse();
    assert_eq!(
        answers,
        [
            Finished::Written(RunState::Failure),
            Finished::Written(RunState::Success),
            Finished::Lost,
            Finished::Written(RunState::Scheduled),
            Finished::Written(RunState::Aborted),
            Finished::Written(RunState::Queued),
        ]
    );
    for (taken, answer) in taken.iter().zip(answers) {
        if let Finished::Written(state) = answer {
            assert_eq!(stage.get(taken.run.id).await.state, state);
        }
    }
}
