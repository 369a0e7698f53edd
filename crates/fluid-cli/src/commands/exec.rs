//! `exec`: one run, here and now.

use std::sync::Arc;

use async_trait::async_trait;
use clap::FromArgMatches;
use fluid_core::child::RESULT_VARIABLE;
use fluid_core::{
    AttemptEvent, AttemptNews, ChildQueue, LogStream, QueueRequest, RunId, RunState, Task,
    TaskBody, TaskError,
};
use fluid_exec_local::container;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::follow::{exit_of, failed, print_result};
use crate::args::{ExecArgs, TaskCall, read_params};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::output::style;
use crate::progress::Bar;
use crate::session::Session;
use crate::signals::Signals;

const NEWS: usize = 1024;

pub(super) async fn exec(session: Arc<Session>, call: &TaskCall) -> Done {
    let task = session.task(&call.task)?;
    let args = ExecArgs::from_arg_matches(&call.matches)
        .map_err(|error| Failure::usage(error.to_string()))?;
    if args.run_id.is_some() && container::is_meant() {
        return in_container(session.clone(), task.clone()).await;
    }
    let is_child = args.run_id.is_some() && std::env::var_os(RESULT_VARIABLE).is_some();
    if is_child && matches!(task.body, TaskBody::Function(_)) {
        let (task, state) = (Arc::new(task.clone()), Arc::new(session.state.clone()));
        let exit = fluid_exec_local::child::run(task, state, Arc::new(LazyQueue(session))).await;
        return Ok(match exit.code() {
            0 => Exit::Done,
            130 => Exit::Interrupted,
            _ => Exit::RunFailed,
        });
    }
    let params = read_params(task, &call.matches)?;
    let manager = session.manager().await?;
    let executors = session
        .executors(&session.executor_choice()?, session.settings.grace)
        .await?;
    let executor = executors
        .of(task)
        .map_err(|kind| Failure::usage(format!("executor {kind} is not in this build")))?;
    let request = QueueRequest::new(task.name.clone(), params.expose().clone());
    let (news, told) = mpsc::channel(NEWS);
    let stop = CancellationToken::new();
    let mut signals = listen()?;
    let wanted = session.output.stderr_is_terminal && !args.no_progress;
    let bar = Bar::new(task.name.to_string(), wanted);
    let work = manager.execute(request, executor.clone(), news, &stop);
    let both = async { tokio::join!(work, show(told, bar)).0 };
    tokio::pin!(both);
    let run = tokio::select! {
        run = &mut both => run?,
        _ = signals.next() => {
            stop.cancel();
            both.await?
        }
    };
    if session.output.is_json() {
        session.output.json(&run)?;
    } else {
        print_result(&session, &run)?;
    }
    if stop.is_cancelled() && run.state != RunState::Success {
        return Err(Failure::new(Exit::Interrupted, "interrupted"));
    }
    match failed(&run, &format!("task {}", run.task)) {
        Some(_) if session.output.is_json() => Ok(exit_of(&run)),
        Some(failure) => Err(failure),
        None => Ok(Exit::Done),
    }
}

/// This process is a container's, started for one attempt.
async fn in_container(session: Arc<Session>, task: Task) -> Done {
    let executor = session.subprocess_executor()?;
    let children = Arc::new(LazyQueue(session));
    let code = container::run(Arc::new(task), &executor, children).await;
    Ok(Exit::Program(code))
}

pub(super) fn listen() -> Result<Signals, Failure> {
    Signals::listen()
        .map_err(|error| Failure::new(Exit::Other, "signals can't be heard").caused_by(&error))
}

/// Shows what an attempt tells until it has ended.
async fn show(mut told: mpsc::Receiver<AttemptEvent>, mut bar: Bar) {
    loop {
        let event = tokio::select! {
            event = told.recv() => event,
            () = bar.late() => {
                bar.show();
                continue;
            }
        };
        let Some(event) = event else { break };
        match event.what {
            AttemptNews::Output(line) if line.stream == LogStream::Stdout => bar.line(&line.text),
            AttemptNews::Output(line) => bar.line(&style::paint(style::WARN, &line.text)),
            AttemptNews::Progress(progress) => bar.tell(&progress),
            AttemptNews::Execution(_) | AttemptNews::Waiting(None) => {}
            AttemptNews::Waiting(Some(why)) => {
                bar.line(&style::paint(style::DIM, format!("waiting: {why}")));
            }
            AttemptNews::Flush(done) => {
                // Who asked may be gone.
                let _ = done.send(());
            }
        }
    }
    bar.end();
}

/// Opens the broker only when a task asks for another run.
struct LazyQueue(Arc<Session>);

#[async_trait]
impl ChildQueue for LazyQueue {
    async fn queue(&self, request: QueueRequest) -> Result<RunId, TaskError> {
        match self.0.shared_manager().await {
            Ok(manager) => ChildQueue::queue(manager, request).await,
            Err(failure) => {
                let text = anstream::adapter::strip_str(&failure.to_string()).to_string();
                Err(TaskError::new(text.trim().to_owned()))
            }
        }
    }
}
