//! `runs list`.

use anstyle::Style;
use fluid_core::{RunId, TaskRun};
use jiff::Timestamp;
use serde::Serialize;

use super::filter;
use crate::args::ListArgs;
use crate::exit::Exit;
use crate::failure::Done;
use crate::output::{Table, lasted, relative, style};
use crate::run_ref::{find, short};
use crate::session::Session;

/// The longest part of a result or error that is shown in a table.
const SHOWN: usize = 60;

/// A page of runs as JSON.
#[derive(Serialize)]
struct Page<'a> {
    runs: &'a [TaskRun],
    /// What to give to `--before` for the next page.
    next: Option<RunId>,
}

pub(super) async fn list(session: &Session, args: &ListArgs) -> Done {
    let manager = session.shared_manager().await?;
    let broker = manager.broker();
    let before = match &args.before {
        Some(text) => Some(find(broker.as_ref(), text).await?.id),
        None => None,
    };
    let page = broker
        .list(filter(&args.filter), before, args.limit)
        .await?;
    if session.output.is_json() {
        session.output.json(&Page {
            runs: &page.runs,
            next: page.next,
        })?;
        return Ok(Exit::Done);
    }
    if page.runs.is_empty() && session.output.stdout_is_terminal {
        anstream::eprintln!("no runs");
        return Ok(Exit::Done);
    }
    let now = broker.now().await?;
    let mut table = Table::new([
        "RUN", "TASK", "STATE", "ATTEMPT", "CREATED", "TOOK", "RESULT",
    ]);
    for run in &page.runs {
        table.row([
            (short(run.id), style::STRONG),
            (run.task.to_string(), Style::new()),
            (run.state.to_string(), style::of_state(run.state)),
            (run.attempt.to_string(), Style::new()),
            (relative(run.created_at, now), Style::new()),
            (took(run, now), Style::new()),
            (outcome(run), style::DIM),
        ]);
    }
    session.output.table(&table)?;
    if let Some(next) = page.next.filter(|_| session.output.stdout_is_terminal) {
        anstream::eprintln!("there are more: add --before {next}");
    }
    Ok(Exit::Done)
}

pub(super) fn took(run: &TaskRun, now: Timestamp) -> String {
    run.started_at.map_or_else(
        || "-".to_owned(),
        |started| {
            lasted(
                run.ended_at
                    .unwrap_or(now)
                    .duration_since(started)
                    .unsigned_abs(),
            )
        },
    )
}

fn outcome(run: &TaskRun) -> String {
    let text = match (&run.error, &run.result) {
        (Some(error), _) => error.to_string(),
        (None, Some(result)) if result.as_str() != "null" => result.to_string(),
        _ => String::new(),
    };
    let line = text.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        format!("{shown}…")
    } else {
        shown
    }
}
