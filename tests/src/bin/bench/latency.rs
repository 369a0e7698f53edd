//! From the call that queues a run to its first instruction, when nothing else is going on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{ExecutorKind, Task, TaskContext, TaskError};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::figures::{Bounds, millis, percentile};

/// The role of this program in which it is the other process.
pub(crate) const CONSUMER: &str = "consume";

const SAMPLES: usize = 300;

pub(crate) async fn measure(bounds: &mut Bounds) -> Result<(), Failure> {
    println!("latency: {SAMPLES} runs, one at a time, on an idle queue");
    let folder = tempfile::tempdir()?;
    let manager = manager(&folder.path().join("one.db")).await?;
    let stop = CancellationToken::new();
    let work = tokio::spawn(run_consumer(manager.clone(), stop.clone()));
    let mut within = samples(&manager).await?;
    stop.cancel();
    work.await??;

    let path = folder.path().join("two.db");
    let manager = self::manager(&path).await?;
    let mut other = Command::new(std::env::current_exe()?)
        .arg(CONSUMER)
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()?;
    let across = samples(&manager).await;
    other.kill()?;
    other.wait()?;
    let mut across = across?;

    let (p50, p99) = (percentile(&mut within, 0.5), percentile(&mut within, 0.99));
    println!(
        "  within one process: p50 {} p99 {}",
        millis(p50),
        millis(p99)
    );
    let holds = p50 <= Duration::from_millis(5);
    bounds.check(
        "queue to start within one process, median",
        millis(p50),
        "<= 5 ms",
        holds,
    );
    let (p50, p99) = (percentile(&mut across, 0.5), percentile(&mut across, 0.99));
    println!(
        "  across processes: p50 {} p99 {}",
        millis(p50),
        millis(p99)
    );
    let holds = p50 <= Duration::from_millis(50);
    bounds.check(
        "queue to start across processes, median",
        millis(p50),
        "<= 50 ms",
        holds,
    );
    Ok(())
}

/// The other process: a consumer until it is killed.
pub(crate) async fn consume(path: &Path) -> Result<(), Failure> {
    run_consumer(manager(path).await?, CancellationToken::new()).await
}

async fn run_consumer(manager: TaskManager, stop: CancellationToken) -> Result<(), Failure> {
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    TaskConsumer::new(manager, executors, ConsumerConfig::default())
        .run(stop)
        .await?;
    Ok(())
}

async fn manager(path: &Path) -> Result<TaskManager, Failure> {
    let broker = Arc::new(SqliteBroker::open(SqliteOptions::new(path)).await?);
    let task = Task::function("now", |_: TaskContext| async {
        Ok::<_, TaskError>(nanos())
    })?;
    Ok(TaskManager::builder().broker(broker).task(task).build()?)
}

async fn samples(manager: &TaskManager) -> Result<Vec<Duration>, Failure> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let queued = nanos();
        let run = manager.queue_named("now", &json!({})).await?.run();
        let record = manager.wait(run, Some(Duration::from_secs(30))).await?;
        let started: u64 = record.result.ok_or("the run has no result")?.to()?;
        samples.push(Duration::from_nanos(started.saturating_sub(queued)));
    }
    Ok(samples)
}

/// Nanoseconds since the epoch: one clock for all processes of this machine.
fn nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
