//! `enqueue`: ask for a run, and wait for it if wanted.

use std::path::Path;
use std::time::Duration;

use clap::FromArgMatches;
use fluid_core::child::{ROOT_ID_VARIABLE, RUN_ID_VARIABLE};
use fluid_core::{Due, Enqueued, QueueRequest, RunId, Task, TaskRun};
use fluid_scheduler::TaskManager;
use serde_json::json;
use tokio::time::Instant;

use super::exec::listen;
use super::follow::{LogReader, exit_of, failed, news, painted, print_result};
use crate::args::{EnqueueArgs, TaskCall, read_all, read_one, read_params};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::output::style;
use crate::progress::Bar;
use crate::run_ref::short;
use crate::session::Session;

/// Runs that are enqueued in one transaction: all of them or none.
const BATCH: usize = 10_000;

pub(super) async fn enqueue(session: &Session, call: &TaskCall) -> Done {
    let task = session.task(&call.task)?;
    let args = EnqueueArgs::from_arg_matches(&call.matches)
        .map_err(|error| Failure::usage(error.to_string()))?;
    if let Some(path) = &args.many {
        return enqueue_many(session, task, &args, path).await;
    }
    let params = read_params(task, &call.matches)?;
    let mut request = request(task, params.expose().clone(), &args);
    request.unique_key.clone_from(&args.unique_key);
    let manager = session.shared_manager().await?;
    let answer = manager.queue_request(request).await?;
    let run = answer.run();
    if args.wait || args.wait_timeout.is_some() || args.follow {
        return wait(session, manager, task, run, &args).await;
    }
    let duplicate = matches!(answer, Enqueued::Duplicate(_));
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "run": run, "duplicate": duplicate }))?;
    } else {
        session.output.line(&run.to_string())?;
        if duplicate {
            anstream::eprintln!("this run was there already: nothing new was enqueued");
        }
        if session.output.stderr_is_terminal
            && let Some(record) = manager.broker().get(run).await?
            && let Some(why) = manager.why_waiting(&record).await?
        {
            anstream::eprintln!("{}", style::paint(style::DIM, format!("waiting: {why}")));
        }
    }
    Ok(Exit::Done)
}

fn request(task: &Task, params: fluid_core::JsonText, args: &EnqueueArgs) -> QueueRequest {
    let mut request = QueueRequest::new(task.name.clone(), params);
    request.priority = args.priority;
    request.queue.clone_from(&args.queue);
    request.due = match (args.delay, args.at) {
        (Some(delay), _) => Due::After(delay),
        (None, Some(at)) => Due::At(at),
        (None, None) => Due::Now,
    };
    let asking = |variable| std::env::var(variable).ok()?.parse::<RunId>().ok();
    request.parent = asking(RUN_ID_VARIABLE);
    request.root = asking(ROOT_ID_VARIABLE).or(request.parent);
    request
}

async fn enqueue_many(session: &Session, task: &Task, args: &EnqueueArgs, path: &Path) -> Done {
    let text = read_all(path)?;
    let mut requests = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let params = read_one(task, line, &format!("line {}", index + 1))?;
        requests.push(request(task, params.expose().clone(), args));
    }
    let manager = session.shared_manager().await?;
    let mut answers = Vec::with_capacity(requests.len());
    for batch in requests.chunks(BATCH) {
        answers.extend(manager.queue_many(batch.iter().cloned()).await?);
    }
    let duplicates = answers
        .iter()
        .filter(|answer| matches!(answer, Enqueued::Duplicate(_)))
        .count();
    let runs: Vec<RunId> = answers.iter().map(|answer| answer.run()).collect();
    if session.output.is_json() {
        let enqueued = runs.len() - duplicates;
        session
            .output
            .json(&json!({ "enqueued": enqueued, "duplicates": duplicates, "runs": runs }))?;
    } else {
        for run in runs {
            session.output.line(&run.to_string())?;
        }
    }
    Ok(Exit::Done)
}

async fn wait(
    session: &Session,
    manager: &TaskManager,
    task: &Task,
    run: RunId,
    args: &EnqueueArgs,
) -> Done {
    let mut signals = listen()?;
    let wanted = session.output.stderr_is_terminal && !args.no_progress;
    let mut bar = Bar::new(task.name.to_string(), wanted);
    let record = tokio::select! {
        record = until_ended(manager, run, args, &mut bar) => record,
        _ = signals.next() => Err(Failure::new(Exit::Interrupted, format!("interrupted; run {run} goes on"))
            .help(format!("cancel it: {} runs cancel {run}", session.name))),
    };
    bar.end();
    let record = record?;
    if session.output.is_json() {
        session.output.json(&record)?;
        return Ok(exit_of(&record));
    }
    let what = format!("run {run} of {}", task.name);
    if let Some(failure) = failed(&record, &what) {
        return Err(failure.help(format!(
            "`{} runs show {}` tells more",
            session.name,
            short(run)
        )));
    }
    print_result(session, &record)?;
    Ok(Exit::Done)
}

async fn until_ended(
    manager: &TaskManager,
    run: RunId,
    args: &EnqueueArgs,
    bar: &mut Bar,
) -> Result<TaskRun, Failure> {
    let begin = Instant::now();
    let mut events = manager.events();
    let mut log = LogReader::default();
    loop {
        let record = manager.broker().get(run).await?;
        let record =
            record.ok_or_else(|| Failure::not_found(format!("run {run} was deleted meanwhile")))?;
        if args.follow {
            for line in log.more(manager, run).await? {
                bar.line(&painted(&line));
            }
        }
        if record.state.is_terminal() {
            return Ok(record);
        }
        match &record.progress {
            Some(progress) => bar.tell(progress),
            None if bar.is_shown() => {
                let why = manager.why_waiting(&record).await?;
                bar.say(why.unwrap_or_else(|| record.state.to_string()));
            }
            None => {}
        }
        let left = args
            .wait_timeout
            .map(|limit| limit.saturating_sub(begin.elapsed()));
        if left == Some(Duration::ZERO) {
            let failure = Failure::new(
                Exit::TimedOut,
                format!("run {run} is still {}", record.state),
            );
            return Err(match manager.why_waiting(&record).await? {
                Some(why) => failure.because(why),
                None => failure,
            });
        }
        tokio::select! {
            () = news(&mut events, run) => {}
            () = bar.late() => bar.show(),
            () = tokio::time::sleep(left.unwrap_or(Duration::MAX)) => {}
        }
    }
}
