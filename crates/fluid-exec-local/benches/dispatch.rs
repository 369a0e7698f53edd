//! What the executor costs: `/bin/true` as an execution and as a bare process, in turn, in a small consumer and
//! in one with much memory, whose fork the kernel has more work with.

#![expect(clippy::unwrap_used, reason = "a measurement that fails has no result")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fluid_core::{
    AttemptIo, ChildQueue, Command, Executor, LeaseRef, LeaseToken, NewRun, Outcome, Params,
    QueueRequest, RawContext, RunId, SharedState, Task, TaskError, TaskRun,
};
use fluid_exec_local::SubprocessExecutor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = "/bin/true";
const SAMPLES: usize = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::spawn(measure()).await })
        .unwrap();
}

/// How much memory the large consumer has in use, in bytes.
const MEMORY: usize = 512 * 1024 * 1024;

async fn measure() {
    compare("a small consumer").await;
    let memory = vec![1_u8; MEMORY];
    compare("a consumer with 512 MiB in use").await;
    drop(std::hint::black_box(memory));
}

async fn compare(place: &str) {
    let executor = SubprocessExecutor::new();
    let task = Arc::new(Task::command("nothing", Command::new([PROGRAM])).unwrap());
    let (mut executions, mut bare, mut piped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        executions.push(execution(&executor, task.clone()).await);
        bare.push(timed(|| {
            assert!(
                std::process::Command::new(PROGRAM)
                    .status()
                    .unwrap()
                    .success()
            );
        }));
        piped.push(timed(|| {
            let mut command = std::process::Command::new(PROGRAM);
            command.stdin(Stdio::null());
            assert!(command.output().unwrap().status.success());
        }));
    }
    let [executions, bare, piped] = [executions, bare, piped].map(median);
    println!("{PROGRAM} in {place}, medians of {SAMPLES}, in turn");
    println!("  execution        {executions:?}");
    println!("  bare             {bare:?}");
    println!("  bare with pipes  {piped:?}");
    println!(
        "  execution / bare {:.2}",
        executions.as_secs_f64() / bare.as_secs_f64()
    );
}

async fn execution(executor: &SubprocessExecutor, task: Arc<Task>) -> Duration {
    let (sink, _news) = mpsc::channel(64);
    let now = jiff::Timestamp::now();
    let new = NewRun::new(task.name.clone(), Params::default());
    let run = TaskRun::enqueued(&new, now, now);
    let lease = LeaseRef {
        run: run.id,
        token: LeaseToken::random(),
    };
    let io = AttemptIo::new(lease, 1, run.params.redactor(), sink);
    let context = RawContext::new(
        Arc::new(run),
        io,
        CancellationToken::new(),
        Arc::new(SharedState::default()),
        Arc::new(NoQueue),
    );
    let begin = Instant::now();
    let mut execution = executor.start(task, context).await.unwrap();
    let outcome = execution.outcome().await;
    drop(execution);
    let took = begin.elapsed();
    assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
    took
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

struct NoQueue;

#[async_trait]
impl ChildQueue for NoQueue {
    async fn queue(&self, _request: QueueRequest) -> Result<RunId, TaskError> {
        Err(TaskError::fatal("there is no queue here"))
    }
}
