//! One run: all that is known of it, and what can be done with it.

mod timeline;

use askama::Template;
use axum::extract::Path;
use fluid_core::{RunFilter, RunId, RunState, TaskRun};
use jiff::Timestamp;

use super::Answer;
use super::log::{Lines, Tail};
use super::mark::Mark;
use super::page::{Asked, Page, Place};
use super::row::Row;
use super::words::{When, between, short, span};
use crate::api::{Problem, found, once_more};

use timeline::Span;

/// How many children are shown.
const CHILDREN: usize = 20;
/// How much of parameters or a result is shown.
const SHOWN: usize = 20_000;

#[derive(Template)]
#[template(path = "run.html")]
struct Details {
    base: &'static str,
    may_change: bool,
    id: String,
    task: String,
    mark: Mark,
    why: Option<String>,
    cancellable: bool,
    retriable: bool,
    cancel_requested: bool,
    /// In percent, and what is done now.
    progress: Option<(u8, String)>,
    error: Option<(String, String)>,
    facts: Vec<(&'static str, Fact)>,
    params: String,
    result: Option<String>,
    spans: Vec<Span>,
    children: Vec<Row>,
    more_children: bool,
}

/// What is known of a run, and how it is written.
#[derive(Debug)]
enum Fact {
    Text(String),
    When(When),
    Run(RunId),
    Queue(String),
}

#[derive(Template)]
#[template(path = "run_log.html")]
struct Log {
    id: String,
    lines: Lines,
    going_on: bool,
}

pub(super) async fn show(asked: Asked, Path(id): Path<RunId>) -> Answer {
    let live = asked.live(details(&asked, id)).await?;
    let title = format!("Run {}", short(id));
    let page = Page::new(title, Place::Runs).live(live).of_run(id);
    if asked.wants_part() {
        return asked.answer(&page);
    }
    let broker = asked.site.manager.broker();
    let run = found(&asked.site, id).await?;
    let log = Log {
        id: id.to_string(),
        lines: Tail::of(broker.as_ref(), id).await?,
        going_on: !run.state.is_terminal(),
    };
    asked.answer(&page.after(&log)?)
}

async fn details(asked: &Asked, id: RunId) -> Result<Details, Problem> {
    let manager = &asked.site.manager;
    let broker = manager.broker();
    let run = found(&asked.site, id).await?;
    let now = broker.now().await?;
    let why = manager.why_waiting(&run).await?;
    let attempts = broker.attempts(id).await?;
    let children = RunFilter {
        parent: Some(id),
        ..RunFilter::default()
    };
    let children = broker.list(children, None, CHILDREN).await?;
    let progress = run.progress.as_ref().map(|progress| {
        // From 0 to 1, so it fits.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let percent = (progress.fraction * 100.0).round() as u8;
        (percent, progress.message.clone())
    });
    let error = run.error.as_ref().map(|error| {
        let code = error.exit_code.map(|code| format!(", exit code {code}"));
        let signal = error.signal.map(|signal| format!(", signal {signal}"));
        let kind = error.kind.to_string() + &code.or(signal).unwrap_or_default();
        (kind, error.message.clone())
    });
    let result = run
        .result
        .as_ref()
        .filter(|result| result.as_str() != "null");
    Ok(Details {
        base: asked.base,
        may_change: asked.caller.may_change,
        id: id.to_string(),
        task: run.task.to_string(),
        mark: run.state.into(),
        why,
        cancellable: !run.state.is_terminal() && !run.cancel_requested,
        retriable: run.state.is_terminal(),
        cancel_requested: run.cancel_requested,
        progress,
        error,
        facts: facts(&run, now),
        params: pretty(&run.params.redacted()),
        result: result.map(|result| pretty(&result.to_value())),
        spans: timeline::spans(&run, &attempts, now),
        children: Row::all(&children.runs, now),
        more_children: children.next.is_some(),
    })
}

fn facts(run: &TaskRun, now: Timestamp) -> Vec<(&'static str, Fact)> {
    let when = |at| Fact::When(When::new(at, now));
    let text = |text: &str| Fact::Text(text.to_owned());
    let mut facts = vec![("Enqueued", when(run.created_at))];
    if run.due_at != run.created_at {
        facts.push(("Due", when(run.due_at)));
    }
    facts.extend(run.started_at.map(|at| ("Started", when(at))));
    facts.extend(run.ended_at.map(|at| ("Ended", when(at))));
    let end = match run.state {
        RunState::Running => Some(now),
        _ => run.ended_at,
    };
    if let Some((from, to)) = run.started_at.zip(end) {
        let word = if run.state == RunState::Running {
            "Runs for"
        } else {
            "Took"
        };
        facts.push((word, Fact::Text(span(between(from, to)))));
    }
    facts.extend(run.execution.as_deref().map(|place| ("Where", text(place))));
    facts.extend(
        run.consumer
            .as_ref()
            .map(|consumer| ("Consumer", text(consumer.as_str()))),
    );
    facts.push(("Queue", Fact::Queue(run.queue.to_string())));
    facts.push(("Priority", text(run.priority.as_str())));
    facts.push((
        "Asked for by",
        text(match run.trigger.as_str() {
            "request" => "a request",
            "schedule" => "its schedule",
            "parent" => "its parent",
            _ => "a retry",
        }),
    ));
    facts.extend(run.parent.map(|run| ("Parent", Fact::Run(run))));
    facts.extend(
        run.root
            .filter(|root| Some(*root) != run.parent)
            .map(|run| ("Root", Fact::Run(run))),
    );
    facts.extend(run.retry_of.map(|run| ("Retry of", Fact::Run(run))));
    if !run.concurrency_key.is_empty() {
        facts.push(("Concurrency key", text(&run.concurrency_key)));
    }
    if run.failures > 0 {
        facts.push(("Failed attempts", Fact::Text(run.failures.to_string())));
    }
    if run.interruptions > 0 {
        let lost = format!("{} of at most {}", run.interruptions, run.max_interruptions);
        facts.push(("Lost attempts", Fact::Text(lost)));
    }
    facts
}

fn pretty(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("\n… the rest is left out here; the API has it");
    }
    text
}

pub(super) async fn cancel(asked: Asked, Path(run): Path<RunId>) -> Answer {
    asked.may_change()?;
    found(&asked.site, run).await?;
    asked.site.manager.cancel(run).await?;
    asked.changed(&format!("../{run}")).await
}

/// Goes on with the new run.
pub(super) async fn retry(asked: Asked, Path(id): Path<RunId>) -> Answer {
    asked.may_change()?;
    let new = once_more(&asked.site, id).await?;
    asked.changed(&format!("../{new}")).await
}
