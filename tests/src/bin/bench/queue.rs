//! Enqueue and drain of no-op runs, beside the raw ceiling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, ExecutorKind, JsonText, QueueRequest, RunState, Task, TaskContext, TaskError, TaskName,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
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
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let folder = tempfile::tempdir()?;
        let raw = raw::measure(&folder.path().join("raw.db"), RUNS, BATCH)?;
        let (enqueue, drain) = fluid(folder.path()).await?;
        let ceiling = raw.insert + raw.claim_and_delete;
        let ratio = ceiling.as_secs_f64() / (enqueue + drain).as_secs_f64();
        println!(
            "  round {round}: raw insert {} claim+delete {} · fluid enqueue {} drain {} · {:.0} % of the ceiling",
            rate(RUNS, raw.insert),
            rate(RUNS, raw.claim_and_delete),
            rate(RUNS, enqueue),
            rate(RUNS, drain),
            ratio * 100.0
        );
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let seen = format!("{:.0} %", median * 100.0);
    bounds.check(
        "enqueue and drain, share of the raw ceiling (median)",
        seen,
        ">= 50 %",
        median >= 0.5,
    );
    Ok(())
}

async fn fluid(folder: &std::path::Path) -> Result<(Duration, Duration), Failure> {
    let broker = Arc::new(SqliteBroker::open(SqliteOptions::new(folder.join("fluid.db"))).await?);
    let noop = Task::function("noop", |_: TaskContext| async { Ok::<_, TaskError>(()) })?;
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
    let mut events = broker.subscribe();
    let mut finished = 0;
    while finished < RUNS {
        match events.recv().await {
            Ok(fluid_core::Event::Finished { .. }) => finished += 1,
            Ok(_) => {}
            Err(_) => finished = usize::try_from(broker.stats().await?.count(RunState::Success))?,
        }
    }
    let drain = begin.elapsed();
    stop.cancel();
    work.await??;
    let succeeded = broker.stats().await?.count(RunState::Success);
    if succeeded != RUNS as u64 {
        return Err(format!("{succeeded} of {RUNS} runs succeeded").into());
    }
    Ok((enqueue, drain))
}
