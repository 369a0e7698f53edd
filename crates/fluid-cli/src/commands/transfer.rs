//! `migrate` and `move`: what an operator does with brokers as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, LogBatch, Progress, RunFilter, RunId,
    RunState, StoredLine,
};
use serde_json::json;

use super::exec::listen;
use crate::args::MoveArgs;
use crate::detector::{BrokerChoice, BrokerUrl, Origin};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::progress::Bar;
use crate::session::{Session, migrate as bring_up, open};

/// Runs that go over in one call.
const RUNS: usize = 200;
/// Lines of a log that go over in one call.
const LINES: usize = 2000;

pub(super) async fn migrate(session: &Session) -> Done {
    let choice = session.broker_choice()?;
    let (from, to) = bring_up(&choice).await?;
    let url = choice.url.to_string();
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "broker": url, "from": from, "to": to }))?;
    } else {
        session.output.line(&match from {
            0 => format!("broker {url} was empty and got version {to}"),
            from if from == to => format!("broker {url} has version {to}: there was nothing to do"),
            from => format!("broker {url} went from version {from} to {to}"),
        })?;
    }
    Ok(Exit::Done)
}

/// What went over.
#[derive(Debug, Default)]
struct Moved {
    /// Runs that were not there.
    new: usize,
    /// Runs that were there.
    known: usize,
    lines: u64,
    schedules: usize,
}

pub(super) async fn transfer(session: &Session, args: &MoveArgs) -> Done {
    let (from, to) = (
        named(session, &args.from, "--from")?,
        named(session, &args.to, "--to")?,
    );
    if from.url == to.url {
        return Err(Failure::usage("--from and --to are the same broker"));
    }
    let source = open(&from).await?;
    let target = open(&to).await?;
    let (from, to) = (from.url, to.url);
    check_idle(source.as_ref(), &from).await?;

    let mut signals = listen()?;
    let mut bar = Bar::new("move".to_owned(), session.output.stderr_is_terminal);
    let moved = tokio::select! {
        moved = move_all(&source, &target, &mut bar) => moved,
        _ = signals.next() => Err(Failure::new(Exit::Interrupted, "interrupted before all had moved")
            .help("call it again: what is there already is passed over")),
    };
    bar.end();
    let moved = moved?;
    if session.output.is_json() {
        session.output.json(&json!({
            "from": from.to_string(), "to": to.to_string(), "runs": moved.new, "known": moved.known,
            "lines": moved.lines, "schedules": moved.schedules,
        }))?;
    } else {
        let known = match moved.known {
            0 => String::new(),
            known => format!(" ({known} were there)"),
        };
        session.output.line(&format!(
            "moved {} runs{known}, {} lines of output and the last ticks of {} schedules from {from} to {to}",
            moved.new, moved.lines, moved.schedules
        ))?;
        anstream::eprintln!("{from} is as it was: start no consumer on it any more");
    }
    Ok(Exit::Done)
}

/// The broker that a flag names, which other processes must be able to see.
fn named(session: &Session, url: &str, flag: &'static str) -> Result<BrokerChoice, Failure> {
    let choice = session.broker_named(url, Origin::Flag(flag))?;
    if choice.url == BrokerUrl::Memory {
        return Err(Failure::usage(format!(
            "{flag} memory: has no runs to keep"
        )));
    }
    Ok(choice)
}

/// Fails while anybody works with the broker.
async fn check_idle(source: &dyn Broker, url: &BrokerUrl) -> Result<(), Failure> {
    let consumers = source.consumers().await?;
    if !consumers.is_empty() {
        let who = consumers
            .iter()
            .map(|one| format!("{} (pid {} on {})", one.id, one.pid, one.host));
        return Err(Failure::usage(format!("consumers still work on {url}"))
            .because(who.collect::<Vec<_>>().join("\n"))
            .help("stop them and call this again; one that was killed is forgotten half a minute later"));
    }
    // A claim of nothing gives back what consumers left that vanished.
    let nothing = ClaimRequest {
        consumer: ConsumerId::parse("move")
            .map_err(|error| Failure::new(Exit::Other, error.to_string()))?,
        queues: Arc::default(),
        tasks: Arc::default(),
        limit: 0,
        lease: DEFAULT_LEASE,
    };
    let next = source.claim(nothing).await?.next;
    let running = RunFilter {
        states: vec![RunState::Running],
        ..RunFilter::default()
    };
    let running = source.list(running, None, 1).await?.runs;
    if let Some(run) = running.first() {
        let until = next.map_or(String::new(), |next| format!(" not before {next}"));
        return Err(
            Failure::usage(format!("run {} is running on {url}", run.id))
                .because("its consumer vanished, and its lease has not run out")
                .help(format!("call this again when it has,{until}")),
        );
    }
    Ok(())
}

async fn move_all(
    source: &Arc<dyn Broker>,
    target: &Arc<dyn Broker>,
    bar: &mut Bar,
) -> Result<Moved, Failure> {
    let settings = source.settings().await?;
    for task in settings.disabled_tasks {
        target.set_task_enabled(task, false).await?;
    }
    for queue in settings.paused_queues {
        target.set_queue_paused(queue, true).await?;
    }
    let ticks = source.last_ticks().await?;
    let mut moved = Moved {
        schedules: ticks.len(),
        ..Moved::default()
    };
    target.import(Vec::new(), ticks).await?;
    let stats = source.stats().await?;
    let all: u64 = stats.tasks.values().flat_map(BTreeMap::values).sum();
    let mut after = None;
    loop {
        let runs = source.export(after, RUNS).await?;
        let Some(last) = runs.last().map(|last| last.run.id) else {
            return Ok(moved);
        };
        after = Some(last);
        let ids: Vec<RunId> = runs.iter().map(|one| one.run.id).collect();
        let new = target.import(runs, BTreeMap::new()).await?;
        for run in &ids {
            // Only a run that was there may have some of its log already.
            let is_new = new == ids.len();
            moved.lines += move_log(source.as_ref(), target.as_ref(), *run, is_new).await?;
        }
        moved.new += new;
        moved.known += ids.len() - new;
        #[expect(clippy::cast_precision_loss, reason = "a share to show")]
        let share = (moved.new + moved.known) as f64 / all.max(1) as f64;
        bar.tell(&Progress::new(
            share,
            format!("{} of {all} runs", moved.new + moved.known),
        ));
        bar.show_when_late();
    }
}

/// How many lines went over.
async fn move_log(
    source: &dyn Broker,
    target: &dyn Broker,
    run: RunId,
    is_new: bool,
) -> Result<u64, Failure> {
    let mut after = if is_new {
        0
    } else {
        end_of_log(target, run).await?
    };
    let mut moved = 0;
    loop {
        let lines = source.read_logs(run, after, LINES).await?;
        let Some(last) = lines.last() else {
            return Ok(moved);
        };
        after = last.position;
        moved += lines.len() as u64;
        target.append_logs(batches(run, lines)).await?;
    }
}

async fn end_of_log(target: &dyn Broker, run: RunId) -> Result<u64, Failure> {
    let mut end = 0;
    while let Some(last) = target.read_logs(run, end, LINES).await?.last() {
        end = last.position;
    }
    Ok(end)
}

/// The lines, apart by attempt.
fn batches(run: RunId, lines: Vec<StoredLine>) -> Vec<LogBatch> {
    let mut batches: Vec<LogBatch> = Vec::new();
    for stored in lines {
        match batches.last_mut() {
            Some(batch) if batch.attempt == stored.attempt => batch.lines.push(stored.line),
            _ => batches.push(LogBatch {
                run,
                attempt: stored.attempt,
                lines: vec![stored.line],
            }),
        }
    }
    batches
}
