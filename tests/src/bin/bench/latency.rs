//! From the call that queues a run to its first instruction, when nothing else is going on.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluid_core::{ExecutorKind, Task, TaskContext, TaskError};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::figures::{Bounds, millis, per, percentile};
use crate::store::{self, Kind, Store};

/// The role of this program in which it is the other process.
pub(crate) const CONSUMER: &str = "consume";

const SAMPLES: usize = 300;

pub(crate) async fn measure(
    kind: Kind,
    store: &mut dyn Store,
    bounds: &mut Bounds,
) -> Result<(), Failure> {
    println!("latency: {SAMPLES} runs, one at a time, on an idle queue");
    let url = store.fresh().await?;
    let mut within = within(&url, SAMPLES).await?;
    let url = store.fresh().await?;
    let mut across = across(&url, SAMPLES).await?;
    for (where_, samples, most) in [
        ("within one process", &mut within, 5),
        ("across processes", &mut across, 50),
    ] {
        let (p50, p99) = (percentile(samples, 0.5), percentile(samples, 0.99));
        println!("  {where_}: p50 {} p99 {}", millis(p50), millis(p99));
        // Where each step is a round trip to a server the bound is the same for both.
        let most = if kind == Kind::Sqlite { most } else { 50 };
        bounds.check(
            &format!("{kind}: queue to start {where_}, median"),
            millis(p50),
            &format!("<= {most} ms"),
            p50 <= Duration::from_millis(most),
        );
    }
    count_calls(store).await
}

/// What all of it costs the server, from the request to the record that says that the run ended.
async fn count_calls(store: &mut dyn Store) -> Result<(), Failure> {
    let url = store.fresh().await?;
    let url = store.watched(&url);
    self::within(&url, 1).await?;
    store.calls().await?;
    self::within(&url, SAMPLES).await?;
    if let Some(calls) = store.calls().await? {
        let (trips, inside) = calls.words;
        println!(
            "  asked of the server for a run, from its request to the answer that it ended: {} {trips}, {} {inside}",
            per(calls.trips, SAMPLES),
            per(calls.inside, SAMPLES),
        );
    }
    println!();
    Ok(())
}

async fn within(url: &str, count: usize) -> Result<Vec<Duration>, Failure> {
    let manager = manager(url).await?;
    let stop = CancellationToken::new();
    let work = tokio::spawn(run_consumer(manager.clone(), stop.clone()));
    let samples = samples(&manager, count).await?;
    stop.cancel();
    work.await??;
    Ok(samples)
}

async fn across(url: &str, count: usize) -> Result<Vec<Duration>, Failure> {
    let manager = manager(url).await?;
    let mut other = Command::new(std::env::current_exe()?)
        .arg(CONSUMER)
        .arg(url)
        .stdin(Stdio::piped())
        .spawn()?;
    let samples = samples(&manager, count).await;
    other.kill()?;
    other.wait()?;
    samples
}

/// The other process: a consumer until it is killed.
pub(crate) async fn consume(url: &str) -> Result<(), Failure> {
    run_consumer(manager(url).await?, CancellationToken::new()).await
}

async fn run_consumer(manager: TaskManager, stop: CancellationToken) -> Result<(), Failure> {
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    TaskConsumer::new(manager, executors, ConsumerConfig::default())
        .run(stop)
        .await?;
    Ok(())
}

async fn manager(url: &str) -> Result<TaskManager, Failure> {
    let broker = store::open(url).await?;
    let task = Task::function("now", |_: TaskContext| async {
        Ok::<_, TaskError>(nanos())
    })?;
    Ok(TaskManager::builder().broker(broker).task(task).build()?)
}

async fn samples(manager: &TaskManager, count: usize) -> Result<Vec<Duration>, Failure> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
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
