//! `serve`: consumer, scheduler and dashboard in one process.

use std::time::Duration;

use anstyle::Style;
use fluid_core::{QueueName, duration};
use fluid_scheduler::{ConsumerConfig, TaskConsumer, TaskManager, TaskScheduler};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exec::listen;
use super::story::Story;
use super::tasks::schedule_of;
use crate::args::ServeArgs;
use crate::detector::{BrokerChoice, ExecutorChoice};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::http::Http;
use crate::output::{Table, relative, style};
use crate::session::Session;
use crate::signals::Signals;

/// How long finished runs are kept unless told otherwise.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) async fn serve(session: &Session, args: &ServeArgs) -> Done {
    session.require_file()?;
    if session.tasks.is_empty() {
        return Err(Failure::usage("there are no tasks to run").help("declare one in fluid.toml"));
    }
    let (broker, executor) = (session.broker_choice()?, session.executor_choice()?);
    let manager = session.manager().await?;
    let signals = listen()?;
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let http = open_http(session, args, manager, &stop).await?;
    let mut config = config(session, args);
    config.http.clone_from(&http.url);
    tracing::info!(
        broker = %broker.url, broker_because = broker.why,
        executor = %executor.kind, executor_because = executor.why,
        http = http.url.as_deref().unwrap_or("none"), http_because = http.why,
        "serving"
    );
    let drain_timeout = config.drain_timeout;
    // Who schedules also deletes.
    let retention = retention(session, args).filter(|_| !args.no_scheduler);
    if !args.quiet {
        let chosen = Chosen {
            broker: &broker,
            executor: &executor,
            http: &http,
        };
        banner(session, manager, &chosen, &config, retention)?;
    } else if http.in_vain {
        tracing::warn!(because = http.why, "no dashboard is served");
    }
    // A task of its own: who asks is not held up by what the consumer does, nor the other way round.
    let answering = tokio::spawn(http.run(over.clone()));
    let story = (!args.quiet).then(|| Story::begin(manager.clone(), session.output));
    let executors = session.executors(&executor, Some(config.grace)).await?;
    let consumer = TaskConsumer::new(manager.clone(), executors, config);
    let force = consumer.force();
    let consume = async {
        let result = consumer.run(stop.clone()).await;
        stop.cancel();
        over.cancel();
        result
    };
    let schedule = async {
        if args.no_scheduler {
            return Ok(());
        }
        let mut scheduler = TaskScheduler::new(manager.clone());
        if let Some(retention) = retention {
            scheduler = scheduler.retention(retention);
        }
        let result = scheduler.run(stop.clone()).await;
        stop.cancel();
        result
    };
    let tell = async {
        if let Some(story) = story {
            story.tell(&over).await;
        }
    };
    let (consumed, scheduled, (), answered, ()) = tokio::join!(
        consume,
        schedule,
        tell,
        answering,
        obey(session, signals, &stop, &force, &over, drain_timeout)
    );
    consumed?;
    scheduled?;
    answered.map_err(|error| {
        Failure::new(Exit::Other, "HTTP could not be served any more").caused_by(&error)
    })?;
    if session.output.is_json() {
        session.output.json(&json!({ "event": "stopped" }))?;
    } else if !args.quiet {
        session.output.line("stopped")?;
    }
    Ok(Exit::Done)
}

/// What serves HTTP beside the consumer; `--no-http` goes before all that asks for it.
async fn open_http(
    session: &Session,
    args: &ServeArgs,
    manager: &TaskManager,
    draining: &CancellationToken,
) -> Result<Http, Failure> {
    if args.no_http {
        return Ok(Http::none("--no-http says so".to_owned(), false));
    }
    Http::open(session, &args.http, manager, draining).await
}

/// The first signal drains, the second one stops at once.
async fn obey(
    session: &Session,
    mut signals: Signals,
    stop: &CancellationToken,
    force: &CancellationToken,
    over: &CancellationToken,
    drain_timeout: Duration,
) {
    tokio::select! {
        signal = signals.next() => {
            let limit = duration::format(drain_timeout);
            if session.output.is_json() {
                // A reader that is gone must not hold up the end.
                let _ = session.output.json(&json!({ "event": "stopping", "signal": signal }));
            } else {
                if session.output.stderr_is_terminal && signal == "Ctrl-C" {
                    // The terminal shows ^C where the cursor is.
                    anstream::eprintln!();
                }
                anstream::eprintln!("{signal}: no more runs are taken; those that run have {limit} (once more to give them back at once)");
            }
            stop.cancel();
        }
        () = over.cancelled() => return,
    }
    tokio::select! {
        _ = signals.next() => force.cancel(),
        () = over.cancelled() => {}
    }
}

fn config(session: &Session, args: &ServeArgs) -> ConsumerConfig {
    let settings = &session.settings;
    let mut config = ConsumerConfig::default();
    config.queues = args
        .queues
        .clone()
        .or_else(|| settings.queues.clone())
        .unwrap_or_else(|| {
            let mut queues = vec![QueueName::default()];
            queues.extend(session.tasks.iter().map(|task| task.queue.clone()));
            queues.sort();
            queues.dedup();
            queues
        });
    if let Some(concurrency) = args.concurrency.or(settings.concurrency) {
        config.max_concurrent_tasks = concurrency.get();
    }
    config.lease = args.lease.or(settings.lease).unwrap_or(config.lease);
    config.grace = args.grace.or(settings.grace).unwrap_or(config.grace);
    config.drain_timeout = args
        .drain_timeout
        .or(settings.drain_timeout)
        .unwrap_or(config.drain_timeout);
    config
}

fn retention(session: &Session, args: &ServeArgs) -> Option<Duration> {
    match args.retention.or(session.settings.retention) {
        Some(limit) => limit.0,
        None => Some(RETENTION),
    }
}

/// What was chosen for this process, and why.
struct Chosen<'a> {
    broker: &'a BrokerChoice,
    executor: &'a ExecutorChoice,
    http: &'a Http,
}

fn banner(
    session: &Session,
    manager: &TaskManager,
    chosen: &Chosen<'_>,
    config: &ConsumerConfig,
    retention: Option<Duration>,
) -> Result<(), Failure> {
    let Chosen {
        broker,
        executor,
        http,
    } = chosen;
    let output = session.output;
    let now = Timestamp::now();
    let next = manager.next_ticks(now);
    if output.is_json() {
        return output.json(&json!({
            "event": "serving", "consumer": config.id, "version": session.version,
            "broker": { "url": broker.url.to_string(), "why": broker.why }, "executor": executor,
            "http": { "url": http.url, "why": http.why },
            "queues": config.queues, "concurrency": config.max_concurrent_tasks,
            "lease": duration::format(config.lease), "grace": duration::format(config.grace),
            "drain_timeout": duration::format(config.drain_timeout), "retention": retention.map(duration::format),
            "next": next,
        }));
    }
    let name = style::paint(
        style::STRONG,
        format!("{} {}", session.name, session.version),
    );
    output.line(&format!("{name} serves as {}", config.id))?;
    output.line(&format!("  broker    {} ({})", broker.url, broker.why))?;
    output.line(&format!(
        "  executor  {} for cpu_bound tasks ({})",
        executor.kind, executor.why
    ))?;
    let url = http.url.as_deref().unwrap_or("none");
    output.line(&format!("  http      {url} ({})", http.why))?;
    let queues: Vec<_> = config.queues.iter().map(QueueName::as_str).collect();
    output.line(&format!(
        "  queues    {}, {} runs at once",
        queues.join(", "),
        config.max_concurrent_tasks
    ))?;
    output.line("")?;
    let mut table = Table::new(["TASK", "EXECUTOR", "SCHEDULE", "NEXT"]);
    for task in manager.tasks() {
        let next = next.get(&task.name);
        table.row([
            (task.name.to_string(), style::of_task(task.name.as_str())),
            (task.executor_with(executor.kind).to_string(), Style::new()),
            (schedule_of(task), Style::new()),
            (
                next.map_or_else(|| "-".to_owned(), |next| relative(*next, now)),
                Style::new(),
            ),
        ]);
    }
    output.table(&table)?;
    output.line("")
}
