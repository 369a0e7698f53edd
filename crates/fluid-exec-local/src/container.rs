//! The side inside a container: carries out the one attempt that the container was started for, as a subprocess,
//! and tells about it by the container's log and its termination message.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_core::child::{ChildReport, progress_line};
use fluid_core::relay::{
    LIMIT_VARIABLE, PARAMS_PATH_VARIABLE, PARAMS_VARIABLE, RelayReport, relayed,
};
use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, ChildQueue, Executor, JsonText, LeaseRef, LeaseToken,
    Outcome, RawContext, RunError, SharedState, Task, TaskRun,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::SubprocessExecutor;
use crate::told::{self, start_error};

const NEWS_BUFFER: usize = 1024;
/// What the kubelet keeps of a termination message.
const DEFAULT_LIMIT: usize = 4096;
/// Whoever stops a container kills it in the end, so nothing else needs to.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the runtime may take to read the last output, and how often to look whether it has.
const UNTAKEN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(2);

/// The exit code of a process that was told to stop and did.
const CANCELLED: u8 = 130;

/// Whether this process was started to carry out an attempt in a container.
pub fn is_meant() -> bool {
    [PARAMS_VARIABLE, PARAMS_PATH_VARIABLE]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Carries out the attempt that this process's environment tells of and returns the exit code: 0 after a success,
/// the code that the program ended with, 128 and the signal's number, 130 when it was told to stop, else 1.
///
/// SIGTERM and SIGINT ask the subprocess to stop. It gets as long as the container gets. Not cancellation safe:
/// when the future is dropped the subprocess ends and nothing is reported.
pub async fn run(
    task: Arc<Task>,
    executor: &SubprocessExecutor,
    children: Arc<dyn ChildQueue>,
) -> u8 {
    let (news, told) = mpsc::channel(NEWS_BUFFER);
    let (outcome, lines) = tokio::join!(attempt(task, executor, children, news), relay(told));
    let end = match outcome {
        Ok(Outcome::Success(result)) => Some(ChildReport::Result(result)),
        Ok(Outcome::Failure(error)) | Err(error) => Some(ChildReport::Error(error)),
        Ok(Outcome::Cancelled) => None,
    };
    let report = RelayReport { lines, end }.fitted(limit());
    let code = exit_code(report.end.as_ref());
    if let Err(fault) = told::report(|path| report.write(path)) {
        // `eprintln!` panics when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{fault}");
        return code.max(1);
    }
    code
}

fn exit_code(end: Option<&ChildReport>) -> u8 {
    match end {
        None => CANCELLED,
        Some(ChildReport::Result(_)) => 0,
        Some(ChildReport::Error(error)) => {
            let of_signal = error.signal.map(|signal| signal.saturating_add(128));
            let code = error.exit_code.or(of_signal).unwrap_or(1);
            u8::try_from(code).map_or(1, |code| code.max(1))
        }
    }
}

async fn attempt(
    task: Arc<Task>,
    executor: &SubprocessExecutor,
    children: Arc<dyn ChildQueue>,
    news: mpsc::Sender<AttemptEvent>,
) -> Result<Outcome, RunError> {
    let unheard = |error: std::io::Error| start_error(format!("can't watch signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let run = told_run(&task).await?;
    let lease = LeaseRef {
        run: run.id,
        token: LeaseToken::random(),
    };
    let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), news);
    let state = Arc::new(SharedState::default());
    let context = RawContext::new(Arc::new(run), io, CancellationToken::new(), state, children);
    let mut execution = executor.start(task, context).await?;
    tokio::select! {
        outcome = execution.outcome() => return Ok(outcome),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    execution.cancel(FOREVER).await;
    Ok(execution.outcome().await)
}

/// The run that this process is told of, with its parameters.
async fn told_run(task: &Task) -> Result<TaskRun, RunError> {
    let record = told::record()?;
    let params = match std::env::var_os(PARAMS_PATH_VARIABLE).map(PathBuf::from) {
        Some(path) => tokio::task::spawn_blocking(move || {
            std::fs::read_to_string(&path).map_err(|error| {
                start_error(format!("can't read the parameters in {path:?}: {error}"))
            })
        })
        .await
        .unwrap_or_else(|error| Err(start_error(format!("can't read the parameters: {error}"))))?,
        None => std::env::var(PARAMS_VARIABLE)
            .map_err(|error| start_error(format!("{PARAMS_VARIABLE} is unusable: {error}")))?,
    };
    told::run(record, task, JsonText::trusted(params))
}

/// Prints what the attempt tells and returns how many lines that were.
async fn relay(mut told: mpsc::Receiver<AttemptEvent>) -> u64 {
    let mut lines = 0;
    let mut out = std::io::stdout();
    while let Some(event) = told.recv().await {
        let text = match &event.what {
            AttemptNews::Output(line) => relayed(line.stream, &line.text),
            AttemptNews::Progress(progress) => progress_line(progress).into(),
            AttemptNews::Flush(_) | AttemptNews::Execution(_) | AttemptNews::Waiting(_) => {
                if let AttemptNews::Flush(done) = event.what {
                    let _ = done.send(());
                }
                continue;
            }
        };
        // A log that is closed has no reader to tell.
        let _ = writeln!(out, "{text}");
        lines += 1;
    }
    let _ = out.flush();
    taken(&out).await;
    lines
}

/// Waits until what was printed was taken out of the pipe to the container runtime: containerd gives up what it
/// did not read within two seconds of the end of the container's process, which is not much on a busy node.
async fn taken(out: &impl AsFd) {
    let begun = Instant::now();
    while rustix::io::ioctl_fionread(out).is_ok_and(|left| left > 0) {
        if begun.elapsed() > UNTAKEN {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    // Behind that pipe is another of the same size, which can't be seen.
    tokio::time::sleep(begun.elapsed()).await;
}

/// How many bytes the report may have.
fn limit() -> usize {
    let limit = std::env::var(LIMIT_VARIABLE).ok();
    let limit = limit.and_then(|limit| limit.parse().ok());
    limit.unwrap_or(DEFAULT_LIMIT)
}
