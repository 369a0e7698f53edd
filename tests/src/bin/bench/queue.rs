//! Enqueue and drain of no-op runs, beside the raw ceiling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, ExecutorKind, JsonText, QueueRequest, RunState, Task, TaskContext, TaskError, TaskName,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::figures::{Bounds, rate};
use crate::raw;

const RUNS: usize = 50_000;
const BATCH: usize = 500;
const ROUNDS: usize = 5;

pub(crate) async fn measure(bounds: &mut Bounds) -> Result<(), Failure> {
    println!(
        "queue: {RUNS} no-op runs, batches of {BATCH}, synchronous=FULL, {ROUNDS} rounds, interleaved"
    );
    let (mut of_queue, mut of_rows) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let folder = tempfile::tempdir()?;
        let rows = raw::bare_rows(&folder.path().join("rows.db"), RUNS, BATCH)?;
        let queue = raw::queue_rows(&folder.path().join("queue.db"), RUNS, BATCH)?;
        let (enqueue, drain) = fluid(folder.path()).await?;
        println!(
            "  round {round}: bare rows {} + {} · a queue of plain rusqlite {} + {} · fluid {} + {} (enqueue + drain)",
            rate(RUNS, rows.insert),
            rate(RUNS, rows.claim_and_delete),
            rate(RUNS, queue.insert),
            rate(RUNS, queue.claim_and_delete),
            rate(RUNS, enqueue),
            rate(RUNS, drain),
        );
        let took = (enqueue + drain).as_secs_f64();
        of_queue.push(queue.total().as_secs_f64() / took);
        of_rows.push(rows.total().as_secs_f64() / took);
    }
    println!(
        "  share of bare rows, without order, ids or tokens (median): {:.0} %",
        median(of_rows) * 100.0
    );
    let share = median(of_queue);
    let what = "enqueue and drain, share of a queue of plain rusqlite (median)";
    bounds.check(
        what,
        format!("{:.0} %", share * 100.0),
        ">= 50 %",
        share >= 0.5,
    );
    Ok(())
}

fn median(mut shares: Vec<f64>) -> f64 {
    shares.sort_unstable_by(f64::total_cmp);
    shares[shares.len() / 2]
}

async fn fluid(folder: &std::path::Path) -> Result<(Duration, Duration), Failure> {
    let broker = Arc::new(SqliteBroker::open(SqliteOptions::new(folder.join("fluid.db"))).await?);
    let executed = Arc::new(Semaphore::new(0));
    let one = Arc::clone(&executed);
    let noop = Task::function("noop", move |_: TaskContext| {
        one.add_permits(1);
        async { Ok::<_, TaskError>(()) }
    })?;
    let manager = TaskManager::builder()
        .broker(broker.clone())
        .task(noop)
        .build()?;
    let name = TaskName::parse("noop")?;

    let begin = Instant::now();
    for _ in 0..RUNS / BATCH {
        let request = || QueueRequest::new(name.clone(), JsonText::empty_object());
        manager.queue_many((0..BATCH).map(|_| request())).await?;
    }
    let enqueue = begin.elapsed();

    let mut config = ConsumerConfig::default();
    config.max_concurrent_tasks = BATCH;
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    let consumer = TaskConsumer::new(manager, executors, config);
    let stop = CancellationToken::new();
    let begin = Instant::now();
    let stopped = stop.clone();
    let work = tokio::spawn(async move { consumer.run(stopped).await });
    let _all = executed.acquire_many(u32::try_from(RUNS)?).await?;
    let mut events = broker.subscribe();
    while broker.stats().await?.count(RunState::Success) < RUNS as u64 {
        events.recv().await.ok();
    }
    let drain = begin.elapsed();
    stop.cancel();
    work.await??;
    Ok((enqueue, drain))
}
