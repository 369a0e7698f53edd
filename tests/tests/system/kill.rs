//! Consumers are killed again and again, and nothing is lost or done twice.

use std::collections::BTreeMap;

use fluid_core::{AttemptOutcome, Broker, RunState};
use fluid_system_tests::{Process, Workplace};

use crate::seen::{open, runs, until, until_finished};

const RUNS: usize = 200;
const KILLS: usize = 20;
const CONSUMERS: usize = 3;

const FLUID_TOML: &str = r#"
[fluid]
broker = "sqlite://work.db"
concurrency = 4
lease = "1s"

[tasks.step]
command = ["sh", "-c", "echo $FLUID_RUN_ID $FLUID_ATTEMPT >> begun; sleep 0.3; echo $FLUID_RUN_ID >> ended"]
retry = { interruptions = 100 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_consumers_lose_nothing_and_double_nothing() {
    let place = Workplace::new(FLUID_TOML);
    let batch = place.path().join("batch.jsonl");
    std::fs::write(&batch, "{}\n".repeat(RUNS)).unwrap();
    place.run(&["enqueue", "step", "--many", "batch.jsonl"]);

    let serve = || Process::start(&mut place.fluid(&["serve"]));
    let broker = open(&place.path().join("work.db")).await;
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| serve()).collect();
    for kill in 0..KILLS {
        let victim = &mut consumers[kill % CONSUMERS];
        until(&broker, "the victim is in the middle of runs", async || {
            let known = broker.consumers().await.unwrap();
            let id = known
                .into_iter()
                .find(|consumer| consumer.pid == victim.id())?
                .id;
            let running = runs(&broker, &[RunState::Running]).await;
            running
                .iter()
                .any(|run| run.consumer.as_ref() == Some(&id))
                .then_some(())
        })
        .await;
        victim.kill();
        *victim = serve();
    }
    until_finished(&broker, RUNS).await;

    let all = runs(&broker, &[]).await;
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut most_interrupted = 0;
    for run in &all {
        let attempts = broker.attempts(run.id).await.unwrap();
        let count = |outcome| {
            attempts
                .iter()
                .filter(|attempt| attempt.outcome == outcome)
                .count()
        };
        assert_eq!(
            count(AttemptOutcome::Success),
            1,
            "{}: {attempts:?}",
            run.id
        );
        let numbers: Vec<_> = attempts
            .iter()
            .map(|attempt| attempt.number as usize)
            .collect();
        assert_eq!(
            numbers,
            (1..=attempts.len()).collect::<Vec<_>>(),
            "{}",
            run.id
        );
        most_interrupted = most_interrupted.max(count(AttemptOutcome::Interrupted));
        for attempt in &attempts {
            *outcomes.entry(attempt.outcome.as_str()).or_default() += 1;
        }
    }
    let succeeded = all
        .iter()
        .filter(|run| run.state == RunState::Success)
        .count();
    let ended = std::fs::read_to_string(place.path().join("ended")).unwrap();
    let done = ended
        .lines()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    println!(
        "{KILLS} kills of {CONSUMERS} consumers: {} runs, {succeeded} succeeded, lost {}, attempts {outcomes:?}, \
         at most {most_interrupted} interrupted for one run, {done} really done",
        all.len(),
        RUNS - all.len(),
    );
    assert_eq!((all.len(), succeeded, done), (RUNS, RUNS, RUNS));
    assert!(
        outcomes["interrupted"] >= KILLS,
        "each kill is seen in the history: {outcomes:?}"
    );
    for consumer in consumers {
        let (status, said) = consumer.stop();
        assert!(status.success(), "{status}: {said}");
    }
}
