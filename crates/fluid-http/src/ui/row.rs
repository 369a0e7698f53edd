//! A run in a table.

use fluid_core::{RunState, TaskRun};
use jiff::Timestamp;

use super::mark::Mark;
use super::words::{When, between, short, span};

/// How much of a note is shown in a table.
const NOTE: usize = 160;

/// A run, told in a line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) task: String,
    pub(super) queue: String,
    pub(super) mark: Mark,
    /// When it was enqueued.
    pub(super) created: When,
    /// How long the attempt took or has run so far.
    pub(super) took: Option<String>,
    /// Why it failed, how far it is, or when it is due.
    pub(super) note: String,
}

impl Row {
    pub(super) fn of(run: &TaskRun, now: Timestamp) -> Self {
        let end = match run.state {
            RunState::Running => Some(now),
            _ => run.ended_at,
        };
        let took = run.started_at.zip(end);
        Self {
            id: run.id.to_string(),
            short: short(run.id),
            task: run.task.to_string(),
            queue: run.queue.to_string(),
            mark: run.state.into(),
            created: When::new(run.created_at, now),
            took: took.map(|(from, to)| span(between(from, to))),
            note: note(run, now),
        }
    }

    pub(super) fn all<'a>(
        runs: impl IntoIterator<Item = &'a TaskRun>,
        now: Timestamp,
    ) -> Vec<Self> {
        runs.into_iter().map(|run| Self::of(run, now)).collect()
    }
}

fn note(run: &TaskRun, now: Timestamp) -> String {
    let error = || run.error.as_ref().map(|error| first_line(&error.message));
    match run.state {
        RunState::Success => String::new(),
        RunState::Scheduled => {
            let due = format!("due {}", When::new(run.due_at, now).words());
            error().map_or(due.clone(), |error| format!("{due}, after: {error}"))
        }
        RunState::Running if run.cancel_requested => "asked to stop".to_owned(),
        RunState::Running => match (&run.waiting, &run.progress) {
            (Some(waiting), _) => first_line(waiting),
            (None, Some(progress)) => {
                let part = format!("{:.0} %", progress.fraction * 100.0);
                first_line(format!("{part} {}", progress.message).trim())
            }
            (None, None) => String::new(),
        },
        _ => error().unwrap_or_default(),
    }
}

/// As much of a text as fits a line.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default();
    match line.char_indices().nth(NOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
