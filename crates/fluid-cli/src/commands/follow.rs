//! Following a run: its output, its progress, its end.

use std::time::Duration;

use fluid_core::{BrokerResult, ErrorKind, Event, LogStream, RunId, RunState, StoredLine, TaskRun};
use fluid_scheduler::TaskManager;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::style;
use crate::session::Session;

/// How many lines are read at once.
pub(super) const PAGE: usize = 1000;
/// How often to look although nothing said that there is something new.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Reads a run's log from where it was left.
#[derive(Debug, Default)]
pub(super) struct LogReader {
    after: u64,
}

impl LogReader {
    /// The lines since the last call.
    pub(super) async fn more(
        &mut self,
        manager: &TaskManager,
        run: RunId,
    ) -> BrokerResult<Vec<StoredLine>> {
        let mut lines = Vec::new();
        loop {
            let page = manager.broker().read_logs(run, self.after, PAGE).await?;
            let full = page.len() == PAGE;
            if let Some(last) = page.last() {
                self.after = last.position;
            }
            lines.extend(page);
            if !full {
                return Ok(lines);
            }
        }
    }
}

/// Waits until there may be something new about a run. Cancellation safe.
pub(super) async fn news(events: &mut broadcast::Receiver<Event>, wanted: RunId) {
    let told = async {
        loop {
            match events.recv().await {
                Ok(
                    Event::Log { run }
                    | Event::Progress { run }
                    | Event::Started { run, .. }
                    | Event::Finished { run, .. },
                ) if run == wanted => return,
                Ok(Event::Changed) | Err(RecvError::Lagged(_)) => return,
                Ok(_) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    let _ = tokio::time::timeout(LOOK_EVERY, told).await;
}

/// A line of output, in the colour of its stream.
pub(super) fn painted(line: &StoredLine) -> String {
    match line.line.stream {
        LogStream::Stdout => line.line.text.clone(),
        LogStream::Stderr => style::paint(style::WARN, &line.line.text),
        LogStream::System => style::paint(style::DIM, &line.line.text),
    }
}

/// Prints the result of a run; one that is `null` says nothing.
pub(super) fn print_result(session: &Session, run: &TaskRun) -> Result<(), Failure> {
    match &run.result {
        Some(result) if result.as_str() != "null" => session.output.line(result.as_str()),
        _ => Ok(()),
    }
}

/// The exit code that tells how a run ended.
pub(super) fn exit_of(run: &TaskRun) -> Exit {
    let timed_out = run
        .error
        .as_ref()
        .is_some_and(|error| error.kind == ErrorKind::Timeout);
    match run.state {
        RunState::Success => Exit::Done,
        _ if timed_out => Exit::TimedOut,
        _ => Exit::RunFailed,
    }
}

/// Why a finished run, which is called `what`, has no result, for people; `None` when it has one.
pub(super) fn failed(run: &TaskRun, what: &str) -> Option<Failure> {
    let how = match run.state {
        RunState::Success => return None,
        RunState::Aborted => "was aborted",
        RunState::Interrupted => "was interrupted too often: its consumers vanished",
        RunState::RateLimited => "was refused by its rate limit",
        _ => "failed",
    };
    let attempts = if run.attempt > 1 {
        format!(" after {} attempts", run.attempt)
    } else {
        String::new()
    };
    let failure = Failure::new(exit_of(run), format!("{what} {how}{attempts}"));
    Some(match &run.error {
        Some(error) => failure.because(error.to_string()),
        None => failure,
    })
}
