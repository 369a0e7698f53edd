//! Limits hold across processes, and what was switched stays switched.

use fluid_core::{Broker, RunState};
use fluid_system_tests::{Process, Workplace};

use crate::seen::{open, runs, until_finished};

const FLUID_TOML: &str = r#"
[fluid]
broker = "sqlite://work.db"
concurrency = 8

[tasks.narrow]
command = ["sh", "-c", "echo + >> trace; sleep 0.02; echo - >> trace"]
max_concurrency = 2

[tasks.note]
command = ["sh", "-c", "read -r params; echo $params >> order"]
max_concurrency = 1
params = { type = "object", properties = { n = { type = "integer" } } }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_concurrency_holds_across_processes() {
    let place = Workplace::new(FLUID_TOML);
    std::fs::write(place.path().join("batch.jsonl"), "{}\n".repeat(60)).unwrap();
    place.run(&["enqueue", "narrow", "--many", "batch.jsonl"]);
    let consumers: Vec<_> = (0..3)
        .map(|_| Process::start(&mut place.fluid(&["serve"])))
        .collect();
    let broker = open(&place.path().join("work.db")).await;
    until_finished(&broker, 60).await;
    let trace = std::fs::read_to_string(place.path().join("trace")).unwrap();
    let (mut now, mut most) = (0, 0);
    for line in trace.lines() {
        now += if line == "+" { 1 } else { -1 };
        most = most.max(now);
    }
    let by_consumer: std::collections::BTreeSet<_> = runs(&broker, &[])
        .await
        .into_iter()
        .filter_map(|run| run.consumer)
        .collect();
    println!(
        "60 runs on {} consumers, at most {most} at once",
        by_consumer.len()
    );
    assert_eq!((trace.lines().count(), now, most), (120, 0, 2));
    drop(consumers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn priorities_and_due_times_are_obeyed() {
    let place = Workplace::new(FLUID_TOML);
    for (n, more) in [
        ("1", &["--priority", "low"][..]),
        ("2", &[]),
        ("3", &["--priority", "high"]),
        ("4", &["--priority", "high", "--delay", "2s"]),
        ("5", &["--priority", "high"]),
    ] {
        place.run(&[&["enqueue", "note", "--n", n], more].concat());
    }
    let consumer = Process::start(&mut place.fluid(&["serve", "--concurrency", "1"]));
    let broker = open(&place.path().join("work.db")).await;
    until_finished(&broker, 5).await;
    let order = std::fs::read_to_string(place.path().join("order")).unwrap();
    let order: Vec<_> = order
        .lines()
        .map(|line| line.trim_matches(|c: char| !c.is_numeric()))
        .collect();
    assert_eq!(order, ["3", "5", "2", "1", "4"]);
    for run in runs(&broker, &[RunState::Success]).await {
        assert!(
            run.started_at.unwrap() >= run.due_at,
            "{}: started before it was due",
            run.id
        );
    }
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_task_stays_disabled_after_a_restart() {
    let place = Workplace::new(FLUID_TOML);
    place.run(&["disable", "narrow"]);
    place.run(&["enqueue", "narrow"]);
    for round in 0..2 {
        let consumer = Process::start(&mut place.fluid(&["serve"]));
        place.run(&["enqueue", "note", "--n", "1", "--wait"]);
        let broker = open(&place.path().join("work.db")).await;
        let waiting = runs(&broker, &[RunState::Queued]).await;
        assert_eq!(waiting.len(), 1, "round {round}");
        assert_eq!(
            broker.settings().await.unwrap().disabled_tasks[0].as_str(),
            "narrow"
        );
        let (status, said) = consumer.stop();
        assert!(status.success(), "{said}");
    }
    place.run(&["enable", "narrow"]);
    let consumer = Process::start(&mut place.fluid(&["serve"]));
    let broker = open(&place.path().join("work.db")).await;
    until_finished(&broker, 3).await;
    assert!(
        runs(&broker, &[])
            .await
            .iter()
            .all(|run| run.state == RunState::Success)
    );
    drop(consumer);
}
