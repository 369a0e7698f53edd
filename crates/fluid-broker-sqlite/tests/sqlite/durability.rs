//! Which calls are answered only once the disk has what they did: seen from outside, as the system calls of a
//! process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{Durability, SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, Finish, JsonText, LeaseRef, LogBatch, LogLine, LogStream, Progress, RateExceeded,
    RateLimit, Report, TaskLimits,
};
use jiff::Timestamp;

use crate::stage::{Folder, enqueue, lease, new_run, new_runs, task, wish, wish_for};

/// Names the folder of the process that is looked at.
const FOLDER: &str = "FLUID_TEST_DURABILITY_FOLDER";
/// `full` or `normal`.
const DURABILITY: &str = "FLUID_TEST_DURABILITY";
/// How often each step calls: more often than the writer catches up meanwhile, which it does once a second.
const CALLS: usize = 10;
/// What the process did, in its folder.
const TRACE: &str = "trace";

/// Leaves a mark among the system calls.
fn mark(folder: &Path, what: &str) {
    fs::create_dir(folder.join(what)).unwrap();
}

/// Waits until the newest step shows in the trace to have waited for the disk.
async fn wait_for_sync(trace: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while steps(trace).last().is_none_or(|(_, count)| *count == 0) {
        assert!(Instant::now() < deadline, "it never caught up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often each step waited for the disk.
fn steps(trace: &Path) -> Vec<(String, usize)> {
    let mut steps: Vec<(String, usize)> = Vec::new();
    for line in fs::read_to_string(trace).unwrap().lines() {
        if line.contains("mkdir") {
            let name = line
                .split('"')
                .nth(1)
                .and_then(|path| path.rsplit('/').next());
            steps.extend(name.map(|name| (name.to_owned(), 0)));
        } else if line.contains("sync(")
            && let Some((_, count)) = steps.last_mut()
        {
            *count += 1;
        }
    }
    steps
}

/// What the process that is looked at does.
#[tokio::test]
#[ignore = "only as a process of its own"]
async fn one_call_after_the_other() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let durability = match std::env::var(DURABILITY).unwrap().as_str() {
        "full" => Durability::Full,
        _ => Durability::Normal,
    };
    let options = SqliteOptions::new(folder.join("fluid.db")).durability(durability);
    let broker = SqliteBroker::open(options).await.unwrap();

    mark(&folder, "enqueue");
    for _ in 0..CALLS {
        enqueue(&broker, new_runs("a", 1)).await.unwrap();
    }
    mark(&folder, "claim");
    let mut held = Vec::new();
    for _ in 0..CALLS {
        let claimed = broker.claim(wish_for("a", 1)).await.unwrap();
        held.push(lease(&claimed.runs[0]));
    }
    mark(&folder, "extend");
    for _ in 0..CALLS {
        let longer = Duration::from_secs(60);
        broker.extend(held.clone(), longer).await.unwrap();
    }
    mark(&folder, "report");
    for done in 0..CALLS {
        let mut report = Report::new(held[0]);
        report.progress = Some(Progress::new(0.01, format!("{done} done")));
        broker.report(vec![report]).await.unwrap();
    }
    mark(&folder, "append-logs");
    for number in 0..CALLS {
        broker
            .append_logs(vec![line(held[0], number)])
            .await
            .unwrap();
    }
    mark(&folder, "finish");
    for held in held {
        let finish = Finish::Success(JsonText::null());
        broker.finish(vec![(held, finish)]).await.unwrap();
    }

    mark(&folder, "enqueue-fragile");
    let mut fragile = new_runs("fragile", CALLS);
    for run in &mut fragile {
        run.max_interruptions = 0;
    }
    enqueue(&broker, fragile).await.unwrap();
    mark(&folder, "claim-fragile");
    for _ in 0..CALLS {
        let claimed = broker.claim(wish_for("fragile", 1)).await.unwrap();
        assert_eq!(claimed.runs.len(), 1);
    }

    let mut rate = RateLimit::new(1, Duration::from_secs(3600));
    rate.exceeded = RateExceeded::Reject;
    let mut limits = TaskLimits::none(task("limited"));
    limits.rate_limit = Some(rate);
    let wish = wish(vec![limits], 2);
    enqueue(&broker, new_runs("limited", 1)).await.unwrap();
    assert_eq!(broker.claim(wish.clone()).await.unwrap().runs.len(), 1);
    mark(&folder, "enqueue-and-reject");
    for _ in 0..CALLS {
        enqueue(&broker, new_runs("limited", 1)).await.unwrap();
        assert!(broker.claim(wish.clone()).await.unwrap().runs.is_empty());
    }

    enqueue(&broker, vec![new_run("a")]).await.unwrap();
    broker.claim(wish_for("a", 1)).await.unwrap();
    mark(&folder, "nothing");
    if durability == Durability::Full {
        wait_for_sync(&folder.join(TRACE)).await;
    }
    mark(&folder, "end");
}

fn line(lease: LeaseRef, number: usize) -> LogBatch {
    let line = LogLine {
        at: Timestamp::UNIX_EPOCH,
        stream: LogStream::Stdout,
        text: format!("line {number}"),
    };
    LogBatch {
        run: lease.run,
        attempt: 1,
        lines: vec![line],
    }
}

/// How often each step of [`one_call_after_the_other`] waited for the disk; `None` where no process can be looked at.
fn waits(durability: &str) -> Option<Vec<(String, usize)>> {
    let folder = Folder::new();
    let trace = folder.path().join(TRACE);
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,mkdir,mkdirat"])
        .args(["-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "durability::one_call_after_the_other",
        ])
        .env(FOLDER, folder.path())
        .env(DURABILITY, durability)
        .output();
    let Ok(output) = traced else {
        eprintln!("there is no strace: the system calls can't be looked at");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("ptrace") || said.contains("PTRACE") {
        eprintln!("this process may not look at another: {said}");
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    let mut steps = steps(&trace);
    assert_eq!(
        steps.pop().map(|(name, _)| name).as_deref(),
        Some("end"),
        "{steps:?}"
    );
    Some(steps)
}

#[test]
fn the_disk_is_waited_for_where_a_loss_of_power_would_undo_what_was_told() {
    let Some(steps) = waits("full") else { return };
    let told: Vec<_> = steps.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        told,
        [
            "enqueue",
            "claim",
            "extend",
            "report",
            "append-logs",
            "finish",
            "enqueue-fragile",
            "claim-fragile",
            "enqueue-and-reject",
            "nothing"
        ]
    );
    for (name, count) in &steps {
        let right = match &**name {
            "enqueue" | "finish" | "claim-fragile" => *count >= CALLS,
            "enqueue-and-reject" => *count >= 2 * CALLS,
            "enqueue-fragile" => *count >= 1,
            // `wait_for_sync` has seen it.
            "nothing" => true,
            // The writer caught up once or twice meanwhile.
            _ => *count < CALLS,
        };
        assert!(right, "{name}: {steps:?}");
    }
}

#[test]
fn without_full_durability_no_call_waits_for_the_disk() {
    let Some(steps) = waits("normal") else { return };
    // A log that is begun anew is told to the disk.
    let waits: usize = steps.iter().map(|(_, count)| count).sum();
    assert!(waits < CALLS, "{steps:?}");
}
