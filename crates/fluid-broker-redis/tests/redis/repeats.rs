//! What is asked for again because its answer was lost is done once, and answered as if it had been asked for once.

use std::collections::BTreeSet;
use std::time::Duration;

use fluid_broker_redis::RedisBroker;
use fluid_core::{
    Broker, BrokerResult, Cancelled, Enqueued, Finish, Finished, JsonText, LogBatch, LogLine,
    LogStream, RunError, RunFilter, RunState, Tick, Ticked,
};
use fluid_test_servers::cutter::{Cut, Cutter};

use crate::stage::{
    fresh_prefix, insist, lease, new_runs, options, shared, successes, task, wish_for,
};

/// A broker behind a proxy, and one beside it that sees what is really there.
struct Behind {
    proxy: Cutter,
    broker: RedisBroker,
    beside: RedisBroker,
}

impl Behind {
    async fn new() -> Self {
        let server = shared();
        let proxy = Cutter::start(server.port()).unwrap();
        let prefix = fresh_prefix();
        let options_at = |port: u16| options(&format!("redis://127.0.0.1:{port}"), &prefix);
        let impatient = options_at(proxy.port()).patience(Duration::from_millis(600));
        let broker = RedisBroker::open(impatient).await.unwrap();
        let behind = Self {
            broker,
            beside: RedisBroker::open(options_at(server.port())).await.unwrap(),
            proxy,
        };
        // So that the server knows the scripts, and an answer is the answer.
        behind.warm_up().await;
        behind
    }

    async fn warm_up(&self) {
        for size in [1, 10] {
            self.broker.enqueue(new_runs("warm", size)).await.unwrap();
            let claimed = self
                .broker
                .claim(wish_for("warm", size))
                .await
                .unwrap()
                .runs;
            self.broker.finish(successes(&claimed)).await.unwrap();
            self.broker.cancel(claimed[0].0.id).await.unwrap();
            self.broker
                .append_logs(vec![log(claimed[0].0.id, "warm")])
                .await
                .unwrap();
        }
        let run = new_runs("warm", 1).remove(0);
        let tick = Tick {
            task: task("warm"),
            instant: "2020-01-01T00:00:00Z".parse().unwrap(),
            run,
        };
        self.broker.tick(vec![tick]).await.unwrap();
        self.broker.claim(wish_for("warm", 9)).await.unwrap();
        self.broker.purge(RunFilter::default(), 100).await.unwrap();
    }

    /// The next answer of the server is lost.
    fn lose_an_answer(&self) {
        self.proxy.cut(Cut::NextAnswer);
    }

    /// It was lost.
    fn check_lost(&self) {
        assert_eq!(self.proxy.rule(), Cut::Nothing, "no answer was lost");
    }
}

fn log(run: fluid_core::RunId, text: &str) -> LogBatch {
    let line = LogLine {
        at: "2026-01-05T06:00:00.123456789Z".parse().unwrap(),
        stream: LogStream::Stdout,
        text: text.to_owned(),
    };
    LogBatch {
        run,
        attempt: 1,
        lines: vec![line],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_inserted_once_and_told_as_inserted() {
    let behind = Behind::new().await;
    for size in [1, 100] {
        let runs = new_runs("a", size);
        let expected: Vec<_> = runs.iter().map(|run| Enqueued::Inserted(run.id)).collect();
        behind.lose_an_answer();
        assert_eq!(behind.broker.enqueue(runs.clone()).await.unwrap(), expected);
        behind.check_lost();
        // Whoever asks a second time, for himself, hears so.
        let again: Vec<_> = runs.iter().map(|run| Enqueued::Duplicate(run.id)).collect();
        assert_eq!(behind.broker.enqueue(runs).await.unwrap(), again);
    }
    let stats = behind.beside.stats().await.unwrap();
    assert_eq!(stats.tasks[&task("a")][&RunState::Queued], 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_brings_what_it_leased_when_its_answer_was_lost() {
    let behind = Behind::new().await;
    for (queued, limit) in [(3, 2), (100, 40)] {
        behind.broker.enqueue(new_runs("a", queued)).await.unwrap();
        behind.lose_an_answer();
        let claimed = behind
            .broker
            .claim(wish_for("a", limit))
            .await
            .unwrap()
            .runs;
        behind.check_lost();
        assert_eq!(claimed.len(), limit);
        let stats = behind.beside.stats().await.unwrap();
        assert_eq!(stats.tasks[&task("a")][&RunState::Running], limit as u64);
        let finished = behind.broker.finish(successes(&claimed)).await.unwrap();
        assert_eq!(finished, vec![Finished::Written(RunState::Success); limit]);
        let rest = behind.broker.claim(wish_for("a", 1000)).await.unwrap().runs;
        behind.broker.finish(successes(&rest)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_nobody_answered_is_asked_for_again_by_the_next_one() {
    let behind = Behind::new().await;
    behind.broker.enqueue(new_runs("a", 50)).await.unwrap();
    behind.proxy.cut(Cut::EveryAnswer);
    let error = behind.broker.claim(wish_for("a", 20)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    behind.proxy.cut(Cut::Nothing);
    let claimed = behind.broker.claim(wish_for("a", 30)).await.unwrap().runs;
    let ids: BTreeSet<_> = claimed.iter().map(|(run, _)| run.id).collect();
    assert_eq!((claimed.len(), ids.len()), (30, 30));
    let stats = behind.beside.stats().await.unwrap();
    assert_eq!(
        stats.tasks[&task("a")][&RunState::Running],
        30,
        "some were leased and never brought"
    );
    let finished = behind.broker.finish(successes(&claimed)).await.unwrap();
    assert_eq!(finished, vec![Finished::Written(RunState::Success); 30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_written_once_and_told_as_written() {
    let behind = Behind::new().await;
    let error = || RunError::new(fluid_core::ErrorKind::Error, "no");
    let ends = [
        (Finish::Success(JsonText::null()), RunState::Success),
        (Finish::Failure(error()), RunState::Failure),
        (
            Finish::Retry {
                after: Duration::ZERO,
                error: error(),
            },
            RunState::Queued,
        ),
        (
            Finish::Retry {
                after: Duration::from_secs(3600),
                error: error(),
            },
            RunState::Scheduled,
        ),
        (Finish::Released, RunState::Queued),
    ];
    for (end, state) in ends {
        for size in [1, 30] {
            behind.broker.enqueue(new_runs("a", size)).await.unwrap();
            let claimed = behind.broker.claim(wish_for("a", size)).await.unwrap().runs;
            let batch: Vec<_> = claimed
                .iter()
                .map(|one| (lease(one), end.clone()))
                .collect();
            behind.lose_an_answer();
            let finished = behind.broker.finish(batch.clone()).await.unwrap();
            behind.check_lost();
            assert_eq!(finished, vec![Finished::Written(state); size], "{end:?}");
            for (run, _) in &claimed {
                assert_eq!(behind.beside.attempts(run.id).await.unwrap().len(), 1);
            }
            // Whoever ends it a second time, for himself, hears so.
            let again = behind.broker.finish(batch).await.unwrap();
            assert_eq!(again, vec![Finished::Lost; size], "{end:?}");
            for (run, _) in claimed {
                behind.broker.cancel(run.id).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_answered_is_told_as_written_when_it_is_asked_for_again() {
    let behind = Behind::new().await;
    behind.broker.enqueue(new_runs("a", 20)).await.unwrap();
    let claimed = behind.broker.claim(wish_for("a", 20)).await.unwrap().runs;
    behind.proxy.cut(Cut::EveryAnswer);
    let error = behind.broker.finish(successes(&claimed)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    behind.proxy.cut(Cut::Nothing);
    let finished = behind.broker.finish(successes(&claimed)).await.unwrap();
    assert_eq!(finished, vec![Finished::Written(RunState::Success); 20]);
    let again = behind.broker.finish(successes(&claimed)).await.unwrap();
    assert_eq!(again, [Finished::Lost; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_answered_is_told_as_written_however_many_attempts_came_after_it() {
    let behind = Behind::new().await;
    let error = RunError::new(fluid_core::ErrorKind::Error, "no");
    let retry = Finish::Retry {
        after: Duration::ZERO,
        error,
    };
    behind.broker.enqueue(new_runs("a", 1)).await.unwrap();
    let claimed = behind.broker.claim(wish_for("a", 1)).await.unwrap().runs;
    let first = vec![(lease(&claimed[0]), retry.clone())];
    behind.proxy.cut(Cut::EveryAnswer);
    let error = behind.broker.finish(first.clone()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    for _ in 0..3 {
        let claimed = behind.beside.claim(wish_for("a", 1)).await.unwrap().runs;
        let later = vec![(lease(&claimed[0]), retry.clone())];
        let finished = behind.beside.finish(later).await.unwrap();
        assert_eq!(finished, [Finished::Written(RunState::Queued)]);
    }
    behind.proxy.cut(Cut::Nothing);
    let finished = behind.broker.finish(first.clone()).await.unwrap();
    assert_eq!(finished, [Finished::Written(RunState::Queued)]);
    assert_eq!(
        behind.broker.finish(first).await.unwrap(),
        [Finished::Lost],
        "who was answered and asks for himself hears so"
    );
    let attempts = behind.beside.attempts(claimed[0].0.id).await.unwrap();
    assert_eq!(attempts.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_lost_meanwhile_is_not_told_as_written() {
    let behind = Behind::new().await;
    let mut request = wish_for("a", 20);
    request.lease = Duration::from_millis(1);
    behind.broker.enqueue(new_runs("a", 20)).await.unwrap();
    let claimed = behind.broker.claim(request).await.unwrap().runs;
    // The leases run out, and another consumer has the runs.
    let mut taken = 0;
    while taken < 20 {
        taken += behind
            .beside
            .claim(wish_for("a", 20))
            .await
            .unwrap()
            .runs
            .len();
    }
    behind.lose_an_answer();
    let finished = behind.broker.finish(successes(&claimed)).await.unwrap();
    behind.check_lost();
    assert_eq!(finished, [Finished::Lost; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_stored_once() {
    let behind = Behind::new().await;
    let run = new_runs("a", 1);
    let id = run[0].id;
    behind.broker.enqueue(run).await.unwrap();
    behind.lose_an_answer();
    behind
        .broker
        .append_logs(vec![log(id, "one"), log(id, "two")])
        .await
        .unwrap();
    behind.check_lost();
    behind.proxy.cut(Cut::EveryAnswer);
    let batch = vec![log(id, "three")];
    behind.broker.append_logs(batch.clone()).await.unwrap_err();
    behind.proxy.cut(Cut::Nothing);
    // As the one who could not store it does.
    behind.broker.append_logs(batch).await.unwrap();
    // The same text once more is another line.
    behind
        .broker
        .append_logs(vec![log(id, "three")])
        .await
        .unwrap();
    let lines = behind.beside.read_logs(id, 0, 100).await.unwrap();
    let texts: Vec<_> = lines
        .iter()
        .map(|stored| stored.line.text.as_str())
        .collect();
    assert_eq!(texts, ["one", "two", "three", "three"]);
    assert_eq!(lines[0].line.at, log(id, "one").lines[0].at);
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_cancellations_and_purges_are_answered_as_if_asked_for_once() {
    let behind = Behind::new().await;
    let run = new_runs("a", 1).remove(0);
    let id = run.id;
    let tick = Tick {
        task: task("a"),
        instant: "2026-01-05T06:00:00Z".parse().unwrap(),
        run,
    };
    behind.lose_an_answer();
    assert_eq!(
        behind.broker.tick(vec![tick]).await.unwrap(),
        [Ticked::Fired(id)]
    );
    behind.check_lost();
    behind.lose_an_answer();
    assert_eq!(behind.broker.cancel(id).await.unwrap(), Cancelled::Aborted);
    behind.check_lost();
    let ended = RunFilter {
        states: vec![RunState::Aborted],
        ..RunFilter::default()
    };
    behind.lose_an_answer();
    assert_eq!(behind.broker.purge(ended, 10).await.unwrap(), 1);
}

impl Behind {
    /// Asks while answers are lost: the next one, or all of them until the broker gives up and is asked again.
    async fn disturbed<T, F: Future<Output = BrokerResult<T>>>(
        &self,
        number: usize,
        mut ask: impl FnMut() -> F,
    ) -> T {
        match number % 13 {
            0 => {
                self.proxy.cut(Cut::EveryAnswer);
                assert!(ask().await.is_err());
                self.proxy.cut(Cut::Nothing);
            }
            1..6 => self.lose_an_answer(),
            _ => {}
        }
        insist(ask).await
    }
}

/// Answers are lost all the time, and in the end each run succeeded once.
#[tokio::test(flavor = "multi_thread")]
async fn no_run_is_lost_or_done_twice_while_answers_are() {
    let behind = Behind::new().await;
    let broker = &behind.broker;
    let mut enqueued = BTreeSet::new();
    let mut succeeded = BTreeSet::new();
    for round in 0.. {
        let runs = new_runs("a", if round < 40 { 1 + round % 23 } else { 0 });
        enqueued.extend(runs.iter().map(|run| run.id));
        behind
            .disturbed(3 * round, || broker.enqueue(runs.clone()))
            .await;
        let claimed = behind
            .disturbed(3 * round + 1, || broker.claim(wish_for("a", 15)))
            .await
            .runs;
        if claimed.is_empty() && round >= 40 {
            break;
        }
        let batch = successes(&claimed);
        let finished = behind
            .disturbed(3 * round + 2, || broker.finish(batch.clone()))
            .await;
        for ((run, _), answer) in claimed.iter().zip(finished) {
            assert_eq!(answer, Finished::Written(RunState::Success));
            assert!(succeeded.insert(run.id), "{} was done twice", run.id);
        }
    }
    assert_eq!(succeeded, enqueued);
    let stats = behind.beside.stats().await.unwrap();
    let all = enqueued.len() as u64;
    assert_eq!(stats.tasks[&task("a")], [(RunState::Success, all)].into());
}
