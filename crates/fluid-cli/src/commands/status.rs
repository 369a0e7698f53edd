//! `status`.

use anstyle::Style;
use fluid_core::{QueueName, RunState};
use jiff::Timestamp;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Done;
use crate::output::{Table, ago, relative, style};
use crate::session::Session;

/// How many of the next scheduled runs are told.
const NEXT: usize = 5;

pub(super) async fn status(session: &Session) -> Done {
    let broker_choice = session.broker_choice()?;
    let executor = session.executor_choice()?;
    let manager = session.shared_manager().await?;
    let broker = manager.broker();
    let (stats, consumers, settings) = (
        broker.stats().await?,
        broker.consumers().await?,
        broker.settings().await?,
    );
    let now = broker.now().await?;
    let next = manager.next_ticks(now);
    let output = session.output;
    if output.is_json() {
        let states: serde_json::Map<_, _> = RunState::ALL
            .into_iter()
            .map(|state| (state.as_str().to_owned(), stats.count(state).into()))
            .collect();
        output.json(&json!({
            "broker": { "url": broker_choice.url.to_string(), "why": broker_choice.why },
            "executor": executor,
            "states": states,
            "queues": stats.queues,
            "oldest_queued": stats.oldest_queued,
            "consumers": consumers,
            "next": next,
            "disabled_tasks": settings.disabled_tasks,
            "paused_queues": settings.paused_queues,
        }))?;
        return Ok(Exit::Done);
    }
    output.line(&format!(
        "broker    {} ({})",
        broker_choice.url, broker_choice.why
    ))?;
    output.line(&format!(
        "executor  {} for cpu_bound tasks ({})",
        executor.kind, executor.why
    ))?;
    let counts: Vec<_> = RunState::ALL
        .into_iter()
        .filter(|state| stats.count(*state) > 0)
        .map(|state| {
            style::paint(
                style::of_state(state),
                format!("{} {state}", stats.count(state)),
            )
        })
        .collect();
    let counts = if counts.is_empty() {
        "none yet".to_owned()
    } else {
        counts.join(" · ")
    };
    output.line(&format!("runs      {counts}"))?;
    if let Some(oldest) = stats.oldest_queued {
        output.line(&format!("oldest    queued {}", ago(Some(oldest), now)))?;
    }
    for queue in &settings.paused_queues {
        output.line(&style::paint(
            style::WARN,
            format!("paused    queue {queue}"),
        ))?;
    }
    for task in &settings.disabled_tasks {
        output.line(&style::paint(style::WARN, format!("disabled  task {task}")))?;
    }
    let mut soonest: Vec<_> = next.iter().collect();
    soonest.sort_by_key(|(_, instant)| **instant);
    for (task, instant) in soonest.into_iter().take(NEXT) {
        output.line(&format!("next      {task} {}", relative(*instant, now)))?;
    }
    if consumers.is_empty() {
        let hint = format!("consumers none: start one with `{} serve`", session.name);
        return output
            .line(&style::paint(style::WARN, hint))
            .map(|()| Exit::Done);
    }
    let mut table = Table::new([
        "CONSUMER", "QUEUES", "RUNNING", "PID", "HOST", "STARTED", "SEEN", "HTTP",
    ]);
    for consumer in &consumers {
        let queues: Vec<_> = consumer.queues.iter().map(QueueName::as_str).collect();
        let draining = if consumer.draining { ", stopping" } else { "" };
        table.row([
            (consumer.id.to_string(), style::STRONG),
            (queues.join(","), Style::new()),
            (
                format!(
                    "{}/{}{draining}",
                    consumer.running, consumer.max_concurrent_tasks
                ),
                Style::new(),
            ),
            (consumer.pid.to_string(), Style::new()),
            (consumer.host.clone(), Style::new()),
            (
                relative(consumer.started_at, Timestamp::now()),
                Style::new(),
            ),
            (relative(consumer.seen_at, now), Style::new()),
            (
                consumer.http.clone().unwrap_or_else(|| "-".to_owned()),
                Style::new(),
            ),
        ]);
    }
    output.table(&table)?;
    Ok(Exit::Done)
}
