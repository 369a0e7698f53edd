//! Tasks that look like somebody's, and what keeps them going.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    Broker, ExecutorKind, JsonText, LogBatch, LogLine, LogStream, QueueName, RetryPolicy, Schedule,
    Secret, Task, TaskContext, TaskError,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager, TaskScheduler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Where tasks write what they have to say.
#[derive(Debug)]
struct Output(Arc<dyn Broker>);

#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Quality {
    #[default]
    Fast,
    Exact,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Area {
    /// In pixels.
    width: u32,
    /// In pixels.
    height: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Resize {
    /// The picture to make smaller.
    path: String,
    /// Its new width in pixels.
    #[schemars(range(min = 1, max = 10_000))]
    width: u32,
    #[serde(default)]
    quality: Quality,
    /// Write over what is there.
    #[serde(default)]
    overwrite: bool,
    /// Other places to copy it to.
    #[serde(default)]
    copies: Vec<String>,
    /// The part to keep; all of it unless said.
    #[serde(default)]
    crop: Option<Area>,
    /// Opens the store.
    #[serde(default)]
    token: Option<Secret<String>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Import {
    /// How many rows.
    rows: u32,
    /// How long it takes to read one, in milliseconds.
    #[serde(default = "pace")]
    pace: u64,
}

fn pace() -> u64 {
    100
}

async fn resize(ctx: TaskContext<Resize>) -> Result<serde_json::Value, TaskError> {
    tokio::time::sleep(Duration::from_millis(40)).await;
    if ctx.params.path.rsplit('.').next() == Some("raw") {
        return Err(TaskError::new(format!(
            "{}: no codec reads this format\nread 512 bytes\nmagic number 49 49 2a 00",
            ctx.params.path
        )));
    }
    Ok(json!({ "width": ctx.params.width, "bytes": 48_213 }))
}

async fn import(ctx: TaskContext<Import>) -> Result<u32, TaskError> {
    let output = ctx.state::<Output>()?;
    let rows = ctx.params.rows;
    for row in 1..=rows {
        let lines = [(LogStream::Stdout, format!("row {row} of {rows} read"))];
        let bad = row % 50 == 0;
        let bad = bad.then(|| (LogStream::Stderr, format!("row {row}: no price, left out")));
        let line = |(stream, text)| LogLine {
            at: jiff::Timestamp::now(),
            stream,
            text,
        };
        let batch = LogBatch {
            run: ctx.run().id,
            attempt: ctx.run().attempt,
            lines: lines.into_iter().chain(bad).map(line).collect(),
        };
        output.0.append_logs(vec![batch]).await?;
        ctx.progress(f64::from(row) / f64::from(rows), format!("row {row}"));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ctx.params.pace)) => {}
            () = ctx.cancelled().cancelled() => return Err(TaskError::abort("stopped when asked")),
        }
    }
    Ok(rows)
}

/// All tasks, on this broker.
pub(crate) fn manager(broker: Arc<dyn Broker>) -> Result<TaskManager, Box<dyn Error>> {
    let resize = Task::function("resize", resize)?
        .description("Makes a picture smaller.")
        .tag("images")
        .retry(RetryPolicy::attempts(2).delay(Duration::from_millis(200)));
    let import = Task::function("import-prices", import)?
        .description("Reads the price list and tells of each row.")
        .tag("shop")
        .max_concurrency(8)
        .timeout(Duration::from_secs(600));
    let nightly = Task::function("report", async |_: TaskContext| Ok::<_, TaskError>("sent"))?
        .description("Sends the figures of the day.")
        .tag("shop")
        .schedule(Schedule::cron("0 3 * * *", "Europe/Zurich")?);
    let beat = Task::function("heartbeat", async |_: TaskContext| Ok::<_, TaskError>(()))?
        .description("Says that all is well.")
        .schedule(Schedule::every(Duration::from_secs(5))?);
    let archive = Task::function("archive", async |_: TaskContext| Ok::<_, TaskError>(()))?
        .description("Moves old files away; waits in a queue that nobody takes from.")
        .queue(QueueName::parse("slow")?);
    Ok(TaskManager::builder()
        .broker(broker.clone())
        .state(Output(broker))
        .tasks([resize, import, nightly, beat, archive])
        .build()?)
}

/// Consumes, schedules and enqueues until it is told to stop.
pub(crate) async fn live(
    manager: &TaskManager,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    let consumer = TaskConsumer::new(manager.clone(), executors, ConsumerConfig::default());
    let scheduler = TaskScheduler::new(manager.clone());
    tokio::select! {
        consumed = consumer.run(stop.clone()) => consumed?,
        scheduled = scheduler.run(stop.clone()) => scheduled?,
        enqueued = enqueue(manager) => enqueued?,
    }
    Ok(())
}

async fn enqueue(manager: &TaskManager) -> Result<(), Box<dyn Error>> {
    let archive = fluid_core::QueueRequest::new("archive".parse()?, JsonText::empty_object());
    manager.queue_request(archive).await?;
    let long = json!({ "rows": 1100, "pace": 0 });
    manager.queue_named("import-prices", &long).await?;
    for number in 0_u64.. {
        let kind = if number % 9 == 4 { "raw" } else { "jpg" };
        let params =
            json!({ "path": format!("in/{number:04}.{kind}"), "width": 640, "token": "hunter2" });
        manager.queue_named("resize", &params).await?;
        if number % 40 == 0 {
            manager
                .queue_named("import-prices", &json!({ "rows": 300 }))
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
