//! `runs show`: all that is known of a run.

use anstyle::Style;
use fluid_core::{Attempt, AttemptOutcome, RunFilter, TaskRun};
use jiff::Timestamp;

use super::list::took;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::output::{Table, instant, lasted, relative, style, time_of};
use crate::run_ref::find;
use crate::session::Session;

/// How many children are named.
const CHILDREN: usize = 50;

pub(super) async fn show(session: &Session, text: &str) -> Done {
    let manager = session.shared_manager().await?;
    let broker = manager.broker();
    let run = find(broker.as_ref(), text).await?;
    if session.output.is_json() {
        session.output.json(&manager.details(run).await?)?;
        return Ok(Exit::Done);
    }
    let attempts = broker.attempts(run.id).await?;
    let filter = RunFilter {
        parent: Some(run.id),
        ..RunFilter::default()
    };
    let children = broker.list(filter, None, CHILDREN).await?.runs;
    let why = manager.why_waiting(&run).await?;
    let now = broker.now().await?;
    let output = session.output;
    for (name, value) in facts(&run, why, now) {
        output.line(&format!("{name:<10} {value}"))?;
    }
    timeline(session, &attempts, now)?;
    if !children.is_empty() {
        output.line("")?;
        let mut table = Table::new(["CHILD", "TASK", "STATE"]);
        for child in &children {
            table.row([
                (child.id.to_string(), style::STRONG),
                (child.task.to_string(), Style::new()),
                (child.state.to_string(), style::of_state(child.state)),
            ]);
        }
        output.table(&table)?;
    }
    Ok(Exit::Done)
}

fn facts(run: &TaskRun, why: Option<String>, now: Timestamp) -> Vec<(&'static str, String)> {
    let moment = |at: Timestamp| format!("{} ({})", instant(at), relative(at, now));
    let mut facts = vec![
        ("run", style::paint(style::STRONG, run.id)),
        ("task", run.task.to_string()),
        ("state", style::paint(style::of_state(run.state), run.state)),
    ];
    facts.extend(why.map(|why| ("waiting", style::paint(style::WARN, why))));
    if run.cancel_requested {
        facts.push((
            "cancel",
            "asked for; the consumer has been told or will be".to_owned(),
        ));
    }
    facts.extend(run.progress.as_ref().map(|progress| {
        (
            "progress",
            format!("{:.0} % {}", progress.fraction * 100.0, progress.message),
        )
    }));
    facts.extend([
        (
            "queue",
            format!("{} · priority {}", run.queue, run.priority),
        ),
        ("params", run.params.redacted().to_string()),
        ("trigger", run.trigger.as_str().to_owned()),
    ]);
    facts.extend(run.parent.map(|parent| ("parent", parent.to_string())));
    facts.extend(
        run.root
            .filter(|root| Some(*root) != run.parent)
            .map(|root| ("root", root.to_string())),
    );
    facts.extend(run.retry_of.map(|old| ("retry of", old.to_string())));
    facts.push(("created", moment(run.created_at)));
    if run.due_at != run.created_at {
        facts.push(("due", moment(run.due_at)));
    }
    facts.extend(run.started_at.map(|at| ("started", moment(at))));
    facts.extend(
        run.ended_at
            .map(|at| ("ended", format!("{}, took {}", moment(at), took(run, now)))),
    );
    facts.extend(run.execution.as_ref().map(|place| ("where", place.clone())));
    facts.extend(
        run.consumer
            .as_ref()
            .map(|consumer| ("consumer", consumer.to_string())),
    );
    facts.extend(
        run.result
            .as_ref()
            .filter(|result| result.as_str() != "null")
            .map(|result| ("result", result.to_string())),
    );
    facts.extend(run.error.as_ref().map(|error| {
        (
            "error",
            style::paint(style::BAD, format!("[{}] {error}", error.kind)),
        )
    }));
    facts
}

fn timeline(session: &Session, attempts: &[Attempt], now: Timestamp) -> Result<(), Failure> {
    if attempts.is_empty() {
        return Ok(());
    }
    session.output.line("")?;
    let mut table = Table::new([
        "ATTEMPT", "STARTED", "TOOK", "OUTCOME", "WHERE", "CONSUMER", "ERROR",
    ]);
    for attempt in attempts {
        let end = attempt.ended_at.unwrap_or(now);
        let colour = match attempt.outcome {
            AttemptOutcome::Success => style::GOOD,
            AttemptOutcome::Failure => style::BAD,
            AttemptOutcome::Running => style::NOTE,
            _ => style::WARN,
        };
        table.row([
            (attempt.number.to_string(), style::STRONG),
            (time_of(attempt.started_at, now), Style::new()),
            (
                lasted(end.duration_since(attempt.started_at).unsigned_abs()),
                Style::new(),
            ),
            (attempt.outcome.as_str().to_owned(), colour),
            (
                attempt.execution.clone().unwrap_or_else(|| "-".to_owned()),
                Style::new(),
            ),
            (attempt.consumer.to_string(), Style::new()),
            (
                attempt
                    .error
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                style::DIM,
            ),
        ]);
    }
    session.output.table(&table)
}
