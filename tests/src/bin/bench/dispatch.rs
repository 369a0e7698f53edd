//! A program that does nothing, through the whole queue and bare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Command, ExecutorKind, JsonText, QueueRequest, RunState, Task};
use fluid_exec_local::SubprocessExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::figures::{Bounds, millis, percentile};

const SAMPLES: usize = 300;
const PROGRAM: &str = "/bin/true";

pub(crate) async fn measure(bounds: &mut Bounds) -> Result<(), Failure> {
    println!("dispatch: {PROGRAM} from queue to end, and bare, in turn, {SAMPLES} times");
    let folder = tempfile::tempdir()?;
    let broker =
        Arc::new(SqliteBroker::open(SqliteOptions::new(folder.path().join("d.db"))).await?);
    let task = Task::command("nothing", Command::new([PROGRAM]))?;
    let manager = TaskManager::builder()
        .broker(broker)
        .task(task.clone())
        .build()?;
    let executor = SubprocessExecutor::builder().build();
    let executors = Executors::new(ExecutorKind::Subprocess).with(Arc::new(executor));
    let consumer = TaskConsumer::new(manager.clone(), executors, ConsumerConfig::default());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let work = tokio::spawn(async move { consumer.run(stopped).await });
    let (mut queued, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let begin = Instant::now();
        let request = QueueRequest::new(task.name.clone(), JsonText::empty_object());
        let record = manager
            .queue_and_wait(request, Some(Duration::from_secs(30)))
            .await??;
        queued.push(begin.elapsed());
        if record.state != RunState::Success {
            return Err(format!("{PROGRAM} ended as {}", record.state).into());
        }
        let begin = Instant::now();
        std::process::Command::new(PROGRAM).status()?;
        bare.push(begin.elapsed());
    }
    stop.cancel();
    work.await??;
    let (queued, bare) = (percentile(&mut queued, 0.5), percentile(&mut bare, 0.5));
    println!(
        "  queue to end p50 {} · bare p50 {}",
        millis(queued),
        millis(bare)
    );
    let ratio = queued.as_secs_f64() / bare.as_secs_f64();
    let what = "queue to end of /bin/true, times a bare spawn (medians)";
    bounds.check(what, format!("{ratio:.2}"), "<= 3", ratio <= 3.0);
    Ok(())
}
