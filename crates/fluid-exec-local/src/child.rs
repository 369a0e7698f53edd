//! The child's side: what the process of a task function does between its parameters and its report.

use std::io::{Read, Write};
use std::process::{ExitCode, Termination};
use std::sync::Arc;

use fluid_core::child::{ChildReport, progress_line};
use fluid_core::{
    AttemptEvent, AttemptIo, AttemptNews, ChildQueue, ExecutorKind, JsonText, LeaseRef, LeaseToken,
    LogStream, Outcome, RawContext, RunError, SharedState, Task, TaskBody, TaskRun,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::function;
use crate::told::{self, start_error};

/// How many pieces of progress may wait to be printed.
const NEWS_BUFFER: usize = 64;

/// How a task function's process ends. As the return value of `main` it sets the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExit {
    /// The function gave a result: exit code 0.
    Success,
    /// The run failed, as the report says: exit code 1.
    Failed,
    /// The process was asked to stop and did, without a result: exit code 130.
    Cancelled,
}

impl ChildExit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Cancelled => 130,
        }
    }
}

impl Termination for ChildExit {
    fn report(self) -> ExitCode {
        self.code().into()
    }
}

/// Carries out the attempt that this process was started for: reads the run from its environment and the
/// parameters from standard input, calls the task's function, and writes its report.
///
/// SIGTERM and SIGINT cancel the context's token. Progress goes to standard output, what can't be reported goes
/// to standard error. A function may block its thread: signals and progress have a thread of their own.
pub async fn run(
    task: Arc<Task>,
    state: Arc<SharedState>,
    children: Arc<dyn ChildQueue>,
) -> ChildExit {
    let cancelled = CancellationToken::new();
    let (news, received) = mpsc::channel(NEWS_BUFFER);
    let outcome = match serve_signals_and_news(cancelled.clone(), received) {
        Ok(()) => attempt(task, state, children, news, cancelled.clone()).await,
        Err(error) => Err(start_error(format!("can't watch signals: {error}"))),
    };
    let report = match outcome {
        Ok(Outcome::Success(result)) => ChildReport::Result(result),
        Ok(Outcome::Cancelled) => return ChildExit::Cancelled,
        Ok(Outcome::Failure(_)) | Err(_) if cancelled.is_cancelled() => {
            return ChildExit::Cancelled;
        }
        Ok(Outcome::Failure(error)) | Err(error) => ChildReport::Error(error),
    };
    match told::report(|path| report.write(path)) {
        Ok(()) if matches!(report, ChildReport::Result(_)) => ChildExit::Success,
        Ok(()) => ChildExit::Failed,
        Err(fault) => {
            // `eprintln!` panics when standard error is closed.
            let mut stderr = std::io::stderr();
            let _ = writeln!(stderr, "{fault}");
            if let ChildReport::Error(error) = report {
                let _ = writeln!(stderr, "{error}");
            }
            ChildExit::Failed
        }
    }
}

async fn attempt(
    task: Arc<Task>,
    state: Arc<SharedState>,
    children: Arc<dyn ChildQueue>,
    news: mpsc::Sender<AttemptEvent>,
    cancelled: CancellationToken,
) -> Result<Outcome, RunError> {
    let TaskBody::Function(function) = &task.body else {
        return Err(start_error(format!(
            "task {:?} is a command and has no function to call",
            task.name.as_str()
        )));
    };
    let run = told_run(&task, &cancelled).await?;
    let lease = LeaseRef {
        run: run.id,
        token: LeaseToken::random(),
    };
    let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), news);
    let context = RawContext::new(Arc::new(run), io.clone(), cancelled, state, children);
    let outcome = function::call(function.clone(), context, ExecutorKind::Subprocess).await;
    io.flush().await;
    Ok(outcome)
}

/// The run that this process is told of, with its parameters.
async fn told_run(task: &Task, cancelled: &CancellationToken) -> Result<TaskRun, RunError> {
    let record = told::record()?;
    let params = tokio::select! {
        params = standard_input() => params?,
        () = cancelled.cancelled() => return Err(start_error("stopped before it began")),
    };
    let params = if params.trim().is_empty() {
        JsonText::empty_object()
    } else {
        // What is no JSON at all is found by the check, whose message quotes nothing.
        JsonText::trusted(params)
    };
    told::run(record, task, params)
}

/// All of standard input. Read on a thread of its own, which the end of the process doesn't wait for.
async fn standard_input() -> Result<String, RunError> {
    let (send, receive) = oneshot::channel();
    let unreadable =
        |error: &dyn std::fmt::Display| start_error(format!("can't read the parameters: {error}"));
    std::thread::Builder::new()
        .name("fluid-stdin".to_owned())
        .spawn(move || {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            let _ = send.send(read.map(|_| text));
        })
        .map_err(|error| unreadable(&error))?;
    match receive.await {
        Ok(read) => read.map_err(|error| unreadable(&error)),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Starts the thread that turns signals into the wish to stop, and prints news.
fn serve_signals_and_news(
    cancelled: CancellationToken,
    mut news: mpsc::Receiver<AttemptEvent>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let serve = async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => cancelled.cancel(),
                Some(()) = interrupt.recv() => cancelled.cancel(),
                event = news.recv() => match event {
                    Some(event) => print(event.what),
                    None => break,
                },
            }
        }
    };
    std::thread::Builder::new()
        .name("fluid-signals".to_owned())
        .spawn(move || runtime.block_on(serve))?;
    Ok(())
}

fn print(news: AttemptNews) {
    // An output that is closed has no reader to tell.
    let _ = match news {
        AttemptNews::Progress(progress) => line_out(&progress_line(&progress)),
        AttemptNews::Output(line) if line.stream == LogStream::Stdout => line_out(&line.text),
        AttemptNews::Output(line) => writeln!(std::io::stderr(), "{}", line.text),
        AttemptNews::Flush(done) => {
            let _ = done.send(());
            Ok(())
        }
        AttemptNews::Execution(_) | AttemptNews::Waiting(_) => Ok(()),
    };
}

fn line_out(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
