//! Calls whose answer or request was lost on the way: done once, and answered as if nothing had happened.

use std::time::Duration;

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{
    AttemptOutcome, Broker, Cancelled, Enqueued, ErrorKind, Finish, Finished, LogBatch, LogLine,
    LogStream, RunError, RunFilter, RunState, Tick, Ticked, Unique,
};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};

use crate::proxy::Proxy;
use crate::stage::{fresh_schema, lease, new_run, new_runs, server, success, task, wish_for};

async fn behind_a_proxy() -> (Proxy, PostgresBroker) {
    let proxy = Proxy::start(server().port()).await;
    let options = PostgresOptions::from_url(&proxy.url("postgres")).unwrap();
    let options = options.schema(&fresh_schema()).unwrap();
    let broker = PostgresBroker::open(options).await.unwrap();
    // So that a connection stands, and what is lost is the call itself.
    broker.now().await.unwrap();
    (proxy, broker)
}

fn failed() -> RunError {
    RunError::new(ErrorKind::Error, "no")
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_inserted_once() {
    let (proxy, broker) = behind_a_proxy().await;
    for lose in [Proxy::lose_next_answer, Proxy::lose_next_request] {
        let mut runs = new_runs("a", 3);
        runs[1].unique = Some(Unique {
            key: runs[1].id.to_string().into(),
            window: None,
        });
        let before = proxy.lost();
        lose(&proxy);
        let answers = broker.enqueue(runs.clone()).await.unwrap();
        assert_eq!(proxy.lost(), before + 1);
        let inserted: Vec<_> = runs.iter().map(|run| Enqueued::Inserted(run.id)).collect();
        assert_eq!(answers, inserted);
    }
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 6);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_brings_the_same_runs() {
    let (proxy, broker) = behind_a_proxy().await;
    for lose in [Proxy::lose_next_answer, Proxy::lose_next_request] {
        let runs = new_runs("a", 5);
        let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
        broker.enqueue(runs).await.unwrap();
        let before = proxy.lost();
        lose(&proxy);
        let claimed = broker.claim(wish_for("a", 3)).await.unwrap();
        assert_eq!(proxy.lost(), before + 1);
        let claimed_ids: Vec<_> = claimed.runs.iter().map(|(run, _)| run.id).collect();
        assert_eq!(claimed_ids, ids[..3]);
        assert!(claimed.runs.iter().all(|(run, _)| run.attempt == 1));
        let stats = broker.stats().await.unwrap();
        assert_eq!(
            (
                stats.count(RunState::Running),
                stats.count(RunState::Queued)
            ),
            (3, 2)
        );
        // The tokens are good.
        let ends = claimed
            .runs
            .iter()
            .map(|one| (lease(one), success()))
            .collect();
        let finished = broker.finish(ends).await.unwrap();
        assert_eq!(finished, [Finished::Written(RunState::Success); 3]);
        let rest = broker.claim(wish_for("a", 3)).await.unwrap().runs;
        let ends = rest.iter().map(|one| (lease(one), success())).collect();
        broker.finish(ends).await.unwrap();
    }
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_is_written_once() {
    let (proxy, broker) = behind_a_proxy().await;
    broker.enqueue(new_runs("a", 5)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 5)).await.unwrap().runs;
    let retry = Finish::Retry {
        after: Duration::ZERO,
        error: failed(),
    };
    let later = Finish::Retry {
        after: Duration::from_secs(60),
        error: failed(),
    };
    let ends = [
        success(),
        Finish::Failure(failed()),
        retry,
        later,
        Finish::Released,
    ];
    let batch: Vec<_> = claimed.iter().map(lease).zip(ends).collect();
    proxy.lose_next_answer();
    let finished = broker.finish(batch.clone()).await.unwrap();
    assert_eq!(proxy.lost(), 1);
    let states = [
        RunState::Success,
        RunState::Failure,
        RunState::Queued,
        RunState::Scheduled,
        RunState::Queued,
    ];
    assert_eq!(finished, states.map(Finished::Written));
    for ((run, _), state) in claimed.iter().zip(states) {
        assert_eq!(broker.get(run.id).await.unwrap().unwrap().state, state);
        assert_eq!(broker.attempts(run.id).await.unwrap().len(), 1);
    }
    // Who was answered and asks once more has lost the lease.
    assert_eq!(broker.finish(batch).await.unwrap(), [Finished::Lost; 5]);
}

#[tokio::test]
async fn an_end_that_is_sent_again_because_its_answer_was_lost_is_answered_as_the_first_time() {
    let server = Postgres::start(&Server::new()).unwrap();
    let proxy = Proxy::start(server.port()).await;
    let options = PostgresOptions::from_url(&proxy.url("postgres")).unwrap();
    let options = options.call_deadline(Duration::from_secs(2));
    let broker = PostgresBroker::open(options).await.unwrap();
    broker.enqueue(new_runs("a", 2)).await.unwrap();
    let claimed = broker.claim(wish_for("a", 2)).await.unwrap().runs;
    let retry = Finish::Retry {
        after: Duration::ZERO,
        error: failed(),
    };
    let ends: Vec<_> = claimed.iter().map(lease).zip([success(), retry]).collect();
    // It is written, and nobody hears of it before the call is given up.
    proxy.lose_next_answer();
    proxy.refuse(true);
    let error = broker.finish(ends.clone()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(proxy.lost(), 1);
    proxy.refuse(false);
    let states = [RunState::Success, RunState::Queued];
    // The batch may have grown meanwhile, and comes before.
    let finished = broker.finish(ends.clone()).await.unwrap();
    assert_eq!(finished, states.map(Finished::Written));
    // Now it was answered.
    assert_eq!(broker.finish(ends).await.unwrap(), [Finished::Lost; 2]);
}

#[tokio::test]
async fn an_end_that_another_wrote_stays_lost_though_the_answer_was() {
    let (proxy, broker) = behind_a_proxy().await;
    broker.enqueue(new_runs("a", 1)).await.unwrap();
    let mut request = wish_for("a", 1);
    request.lease = Duration::ZERO;
    let lost = broker.claim(request).await.unwrap().runs;
    let taken = broker.claim(wish_for("a", 1)).await.unwrap().runs;
    assert_eq!(taken.len(), 1);
    proxy.lose_next_answer();
    let finished = broker
        .finish(vec![(lease(&lost[0]), success())])
        .await
        .unwrap();
    assert_eq!((finished, proxy.lost()), (vec![Finished::Lost], 1));
    let attempts = broker.attempts(lost[0].0.id).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(
        outcomes,
        [AttemptOutcome::Interrupted, AttemptOutcome::Running]
    );
}

#[tokio::test]
async fn other_writes_whose_answer_was_lost_happen_once() {
    let (proxy, broker) = behind_a_proxy().await;
    let tick = Tick {
        task: task("a"),
        instant: broker.now().await.unwrap(),
        run: new_run("a"),
    };
    let run = tick.run.id;
    proxy.lose_next_answer();
    assert_eq!(
        broker.tick(vec![tick.clone()]).await.unwrap(),
        [Ticked::Fired(run)]
    );
    assert_eq!(
        broker.tick(vec![tick.clone()]).await.unwrap(),
        [Ticked::AlreadyFired]
    );

    let line = LogLine {
        at: tick.instant,
        stream: LogStream::Stdout,
        text: "once".to_owned(),
    };
    let batch = LogBatch {
        run,
        attempt: 1,
        lines: vec![line],
    };
    proxy.lose_next_answer();
    broker.append_logs(vec![batch]).await.unwrap();
    assert_eq!(broker.read_logs(run, 0, 10).await.unwrap().len(), 1);

    proxy.lose_next_answer();
    assert_eq!(broker.cancel(run).await.unwrap(), Cancelled::Aborted);

    proxy.lose_next_answer();
    let again = broker.retry(RunFilter::default(), 10).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 1);
    assert_eq!(
        broker.get(again[0]).await.unwrap().unwrap().retry_of,
        Some(run)
    );
    assert_eq!(proxy.lost(), 4);
}

#[tokio::test]
async fn a_purge_is_not_repeated() {
    let (proxy, broker) = behind_a_proxy().await;
    let runs = new_runs("a", 4);
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    broker.enqueue(runs).await.unwrap();
    for id in ids {
        broker.cancel(id).await.unwrap();
    }
    proxy.lose_next_answer();
    let error = broker.purge(RunFilter::default(), 1).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(broker.stats().await.unwrap().count(RunState::Aborted), 3);
}
