//! What `serve` tells while it works: runs that start, print and end.

use std::collections::HashMap;

use fluid_core::{BrokerResult, Event, LogStream, RunId, RunState, TaskName, TaskRun};
use fluid_scheduler::TaskManager;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::follow::LogReader;
use crate::output::{Output, lasted, style};
use crate::run_ref::short;

/// The longest part of a result that is shown in one line.
const RESULT: usize = 200;

/// The events of this process, told as lines.
#[derive(Debug)]
pub(super) struct Story {
    manager: TaskManager,
    output: Output,
    events: broadcast::Receiver<Event>,
    /// The runs that this process executes, and how far their output was told.
    running: HashMap<RunId, Running>,
}

#[derive(Debug)]
struct Running {
    task: TaskName,
    /// Output of earlier attempts was told already, or by another process.
    attempt: u32,
    log: LogReader,
}

impl Story {
    /// Listens from now on.
    pub(super) fn begin(manager: TaskManager, output: Output) -> Self {
        let events = manager.events();
        Self {
            manager,
            output,
            events,
            running: HashMap::new(),
        }
    }

    /// Tells until everything is over, and then what is left.
    pub(super) async fn tell(mut self, over: &CancellationToken) {
        loop {
            let event = tokio::select! {
                biased;
                event = self.events.recv() => event,
                () = over.cancelled() => return,
            };
            let told = match event {
                Ok(event) => self.tell_one(event).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "too much happens to tell all of it");
                    Ok(())
                }
                Err(RecvError::Closed) => return,
            };
            if let Err(error) = told {
                tracing::debug!(%error, "could not look up what happened");
            }
        }
    }

    async fn tell_one(&mut self, event: Event) -> BrokerResult<()> {
        match event {
            Event::Started { run, task, attempt } => {
                self.started(run, &task, attempt);
                let log = LogReader::default();
                let running = Running { task, attempt, log };
                self.running.insert(run, running);
            }
            Event::Log { run } => self.tell_output(run).await?,
            Event::Finished { run, task, state } => {
                self.tell_output(run).await?;
                let executed = self.running.remove(&run).is_some();
                if let Some(record) = self.manager.broker().get(run).await?
                    && (executed || state.is_terminal())
                {
                    self.finished(&record, &task, state);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn tell_output(&mut self, run: RunId) -> BrokerResult<()> {
        let Some(running) = self.running.get_mut(&run) else {
            return Ok(());
        };
        let (task, attempt) = (running.task.clone(), running.attempt);
        let mut lines = running.log.more(&self.manager, run).await?;
        lines.retain(|line| line.attempt >= attempt);
        for line in lines {
            if self.output.is_json() {
                self.json(&json!({
                    "event": "output", "run": run, "task": task, "attempt": line.attempt,
                    "stream": line.line.stream, "text": line.line.text, "at": line.line.at,
                }));
                continue;
            }
            let text = match line.line.stream {
                LogStream::Stdout => line.line.text,
                LogStream::Stderr => style::paint(style::WARN, line.line.text),
                LogStream::System => style::paint(style::DIM, line.line.text),
            };
            self.line(run, &task, &format!("│ {text}"));
        }
        Ok(())
    }

    fn started(&self, run: RunId, task: &TaskName, attempt: u32) {
        if self.output.is_json() {
            return self.json(
                &json!({ "event": "started", "run": run, "task": task, "attempt": attempt }),
            );
        }
        let again = if attempt > 1 {
            format!(", attempt {attempt}")
        } else {
            String::new()
        };
        self.line(
            run,
            task,
            &style::paint(style::DIM, format!("started{again}")),
        );
    }

    fn finished(&self, record: &TaskRun, task: &TaskName, state: RunState) {
        let took = match (record.started_at, record.ended_at) {
            (Some(started), Some(ended)) => ended.duration_since(started).unsigned_abs(),
            _ => std::time::Duration::ZERO,
        };
        if self.output.is_json() {
            return self.json(&json!({
                "event": "finished", "run": record.id, "task": task, "state": state,
                "attempt": record.attempt, "result": record.result, "error": record.error,
            }));
        }
        let mut text = style::paint(style::of_state(state), state);
        if state.is_terminal() && record.started_at.is_some() {
            text.push_str(&format!(" in {}", lasted(took)));
        }
        match (&record.result, &record.error) {
            (Some(result), _) if result.as_str() != "null" => {
                let shown: String = result.as_str().chars().take(RESULT).collect();
                let cut = if shown.len() < result.as_str().len() {
                    "…"
                } else {
                    ""
                };
                text.push_str(&format!(" → {shown}{cut}"));
            }
            (_, Some(error)) => text.push_str(&format!(": {error}")),
            _ => {}
        }
        if state == RunState::Scheduled {
            text.push_str(&format!("; next attempt at {}", record.due_at));
        }
        self.line(record.id, task, &text);
    }

    fn line(&self, run: RunId, task: &TaskName, text: &str) {
        let colour = style::of_task(task.as_str());
        // Who served may have closed the output; the work goes on.
        let _ = self
            .output
            .line(&format!("{colour}{task}{colour:#} {} {text}", short(run)));
    }

    fn json(&self, value: &serde_json::Value) {
        let _ = self.output.json(value);
    }
}
