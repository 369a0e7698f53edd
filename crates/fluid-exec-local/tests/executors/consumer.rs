//! What becomes of processes when their execution is dropped or their consumer killed, and what others can see
//! of them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, Execution, Executor, JsonText, LeaseRef, LeaseToken,
    NewRun, Outcome, RawContext, RunState, SharedState, Task, TaskRun,
};
use fluid_testing::executor::tasks;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::sync::CancellationToken;

use crate::children::{self, NoQueue};
use crate::lives::{Life, children_of};

/// Makes the test below a consumer.
const CONSUMER_VARIABLE: &str = "FLUID_TEST_CONSUMER";
const SECRET: &str = "hunter2";

/// A program with a child of its own; it says who they are, and where its result would go.
const FAMILY: &str = r#"sleep 1000 & echo "family $$ $! $FLUID_RESULT_PATH"; wait"#;

async fn start(task: Task, params: Value) -> (Box<dyn Execution>, Receiver<AttemptEvent>) {
    start_with(&children::executor(), task, params).await
}

async fn start_with(
    executor: &dyn Executor,
    task: Task,
    params: Value,
) -> (Box<dyn Execution>, Receiver<AttemptEvent>) {
    let params = task.params.check(JsonText::from(params)).unwrap();
    let new = NewRun::new(task.name.clone(), params);
    let now = jiff::Timestamp::now();
    let mut run = TaskRun::enqueued(&new, now, now);
    (run.state, run.attempt) = (RunState::Running, 1);
    let (sink, news) = mpsc::channel(1024);
    let lease = LeaseRef {
        run: run.id,
        token: LeaseToken::random(),
    };
    let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), sink);
    let context = RawContext::new(
        Arc::new(run),
        io,
        CancellationToken::new(),
        Arc::new(SharedState::default()),
        Arc::new(NoQueue),
    );
    let execution = executor.start(Arc::new(task), context).await.unwrap();
    (execution, news)
}

/// Goes on until the first line of output or progress, and gives it.
async fn first_line(execution: &mut dyn Execution, news: &mut Receiver<AttemptEvent>) -> String {
    let mut ended = None;
    loop {
        let event = tokio::select! {
            biased;
            Some(event) = news.recv() => event,
            outcome = execution.outcome(), if ended.is_none() => {
                ended = Some(outcome);
                continue;
            }
            else => panic!("ended as {ended:?} before its first line"),
        };
        match event.what {
            AttemptNews::Output(line) => return line.text,
            AttemptNews::Progress(progress) => return progress.message,
            _ => {}
        }
    }
}

/// The pid that the executor told as the first news.
fn told_pid(news: &mut Receiver<AttemptEvent>) -> i32 {
    match news.try_recv().unwrap().what {
        AttemptNews::Execution(place) => place.strip_prefix("pid ").unwrap().parse().unwrap(),
        other => panic!("expected the place of the execution, seen {other:?}"),
    }
}

fn family(line: &str) -> (Vec<Life>, PathBuf) {
    let words: Vec<_> = line.split_whitespace().collect();
    let ["family", leader, child, result] = words[..] else {
        panic!("{line:?} names no family");
    };
    let lives = [leader, child].map(|pid| Life::of(pid.parse().unwrap()));
    (lives.into(), PathBuf::from(result))
}

fn family_task() -> Task {
    let command = fluid_core::Command::new(["/bin/sh", "-c", FAMILY]);
    Task::command("family", command).unwrap()
}

/// Does nothing unless it was called as a consumer: then it runs a family, and a function, until it is killed.
#[tokio::test]
async fn consumer() {
    if std::env::var_os(CONSUMER_VARIABLE).is_none() {
        return;
    }
    let executor = children::executor();
    let (mut one, mut one_news) = start_with(&executor, family_task(), json!({})).await;
    let sleep = tasks::find("sleep").unwrap();
    let (mut other, mut other_news) = start_with(&executor, sleep, json!({})).await;
    let line = first_line(&mut *one, &mut one_news).await;
    first_line(&mut *other, &mut other_news).await;
    writeln!(std::io::stderr(), "{line}").unwrap();
    tokio::join!(one.outcome(), other.outcome());
}

#[test]
fn nothing_outlives_a_consumer_that_is_killed() {
    let mut consumer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "consumer::consumer"])
        .env(CONSUMER_VARIABLE, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(consumer.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    let (mut lives, result) = family(&line);
    // The leader of the family, the process of the function, and the guard.
    let children = children_of(consumer.id());
    assert_eq!(children.len(), 3, "{children:?}");
    lives.extend(children.into_iter().map(Life::of));
    let directory = result.parent().unwrap();
    let mode = directory.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "others can read results");

    consumer.kill().unwrap();
    consumer.wait().unwrap();
    for life in &lives {
        life.must_end();
    }
    assert!(!directory.exists(), "{directory:?} is still there");
}

#[tokio::test]
async fn nothing_outlives_a_dropped_execution() {
    let (mut execution, mut news) = start(family_task(), json!({})).await;
    let line = first_line(&mut *execution, &mut news).await;
    let (lives, _) = family(&line);
    drop(execution);
    for life in &lives {
        life.must_end();
    }
}

#[tokio::test]
async fn what_ignores_the_wish_to_stop_is_killed_with_its_children() {
    let script = format!("trap '' TERM; {FAMILY}; wait");
    let command = fluid_core::Command::new(["/bin/sh", "-c", &script]);
    let task = Task::command("stubborn", command).unwrap();
    let (mut execution, mut news) = start(task, json!({})).await;
    let line = first_line(&mut *execution, &mut news).await;
    let (lives, _) = family(&line);
    execution.cancel(std::time::Duration::from_millis(50)).await;
    assert_eq!(execution.outcome().await, Outcome::Cancelled);
    for life in &lives {
        life.must_end();
    }
}

#[tokio::test]
async fn what_a_leader_leaves_behind_ends_with_it() {
    // The pipe is the leader's word that it may end: until then the test can look at the grandchild.
    let script = r#"sleep 1000 & echo "family $$ $! -"; read -r _ <"$GATE""#;
    let gates = tempfile::tempdir().unwrap();
    let gate = gates.path().join("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RWXU).unwrap();
    let command = fluid_core::Command::new(["/bin/sh", "-c", script]);
    let task = Task::command("leaver", command)
        .unwrap()
        .env("GATE", gate.to_str().unwrap());
    let (mut execution, mut news) = start(task, json!({})).await;
    let line = first_line(&mut *execution, &mut news).await;
    let (lives, _) = family(&line);
    let open = tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n"));
    open.await.unwrap().unwrap();
    let outcome = execution.outcome().await;
    assert_eq!(outcome, Outcome::Success(JsonText::null()));
    for life in &lives {
        life.must_end();
    }
}

#[tokio::test]
async fn a_secret_can_be_seen_in_no_process() {
    for name in ["secret_waits", "secret_sleep"] {
        let task = tasks::find(name).unwrap();
        // Ids hold no such word, their digits end with f.
        let params = json!({"token": SECRET, "user": "mary"});
        let (mut execution, mut news) = start(task, params).await;
        let pid = told_pid(&mut news);
        first_line(&mut *execution, &mut news).await;
        for file in ["cmdline", "environ"] {
            let seen = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            let seen = String::from_utf8_lossy(&seen);
            assert!(!seen.is_empty(), "{name}: {file} is empty");
            assert!(!seen.contains(SECRET), "{name}: {file} holds the secret");
            assert!(
                file == "environ" || !seen.contains("mary"),
                "{name}: {seen}"
            );
        }
    }
}

#[tokio::test]
async fn parameters_of_the_consumers_own_run_are_not_passed_on() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "consumer::nested_consumer"])
        .env(CONSUMER_VARIABLE, "1")
        .env("FLUID_PARAM_COMES_FIRST", "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Does nothing unless it was called as a consumer that carries out a run itself.
#[tokio::test]
async fn nested_consumer() {
    if std::env::var_os(CONSUMER_VARIABLE).is_none() {
        return;
    }
    let task = tasks::find("variables").unwrap();
    let (mut execution, mut news) = start(task, json!({"inner": 2})).await;
    let line = first_line(&mut *execution, &mut news).await;
    assert_eq!(line, "FLUID_PARAM_INNER=2");
}
