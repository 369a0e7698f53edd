//! `runs cancel`, `runs retry` and `runs purge`.

use fluid_core::{Cancelled, RunFilter};
use jiff::Timestamp;
use serde_json::json;

use super::filter;
use crate::args::{PurgeArgs, RetryArgs};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::run_ref::find;
use crate::session::Session;

pub(super) async fn cancel(session: &Session, text: &str) -> Done {
    let manager = session.shared_manager().await?;
    let run = find(manager.broker().as_ref(), text).await?.id;
    let answer = manager.cancel(run).await?;
    let (outcome, state, words) = match answer {
        Cancelled::Aborted => ("aborted", None, "aborted: it had not started".to_owned()),
        Cancelled::Requested => ("requested", None, "told to stop".to_owned()),
        Cancelled::AlreadyFinished(state) => (
            "already_finished",
            Some(state),
            format!("was finished already: {state}"),
        ),
        Cancelled::NotFound => return Err(Failure::not_found(format!("there is no run {text}"))),
    };
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "run": run, "outcome": outcome, "state": state }))?;
    } else {
        session.output.line(&format!("run {run} {words}"))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn retry(session: &Session, args: &RetryArgs) -> Done {
    let manager = session.shared_manager().await?;
    let broker = manager.broker();
    let filter = match &args.run {
        Some(text) => {
            let run = find(broker.as_ref(), text).await?;
            if !run.state.is_terminal() {
                return Err(Failure::usage(format!("run {} is {}", run.id, run.state))
                    .help("only a finished run can be done once more"));
            }
            RunFilter {
                ids: vec![run.id],
                ..RunFilter::default()
            }
        }
        None if args.filter.is_empty() => {
            return Err(Failure::usage("say which runs to retry")
                .help("give the id of one, or choose by --task, --state, --queue or --since"));
        }
        None => filter(&args.filter),
    };
    let runs = manager.retry_matching(&filter, args.limit).await?;
    if session.output.is_json() {
        session.output.json(&json!({ "runs": runs }))?;
    } else {
        for run in &runs {
            session.output.line(&run.to_string())?;
        }
        anstream::eprintln!("{} enqueued once more, each as a new run", runs.len());
    }
    Ok(Exit::Done)
}

pub(super) async fn purge(session: &Session, args: &PurgeArgs) -> Done {
    if args.older_than.is_none() && !args.all {
        return Err(Failure::usage("say which finished runs to delete")
            .help("give --older-than 7d, or --all for all that are finished"));
    }
    let manager = session.shared_manager().await?;
    let broker = manager.broker();
    let mut filter = filter(&args.filter);
    if let Some(age) = args.older_than {
        filter.ended_before = Some(
            broker
                .now()
                .await?
                .checked_sub(age)
                .unwrap_or(Timestamp::MIN),
        );
    }
    let deleted = manager.purge_matching(&filter, usize::MAX).await?;
    if session.output.is_json() {
        session.output.json(&json!({ "deleted": deleted }))?;
    } else {
        let runs = if deleted == 1 { "run" } else { "runs" };
        session
            .output
            .line(&format!("deleted {deleted} finished {runs}"))?;
    }
    Ok(Exit::Done)
}
