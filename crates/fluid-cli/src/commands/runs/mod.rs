//! `runs …`.

mod change;
mod list;
mod logs;
mod show;

use fluid_core::RunFilter;

use crate::args::{FilterArgs, RunsAction};
use crate::failure::Done;
use crate::session::Session;

pub(super) async fn run(session: &Session, action: RunsAction) -> Done {
    match action {
        RunsAction::List(args) => list::list(session, &args).await,
        RunsAction::Show { run } => show::show(session, &run.run).await,
        RunsAction::Logs(args) => logs::logs(session, &args).await,
        RunsAction::Cancel { run } => change::cancel(session, &run.run).await,
        RunsAction::Retry(args) => change::retry(session, &args).await,
        RunsAction::Purge(args) => change::purge(session, &args).await,
    }
}

fn filter(args: &FilterArgs) -> RunFilter {
    RunFilter {
        tasks: args.task.clone(),
        states: args.state.clone(),
        queues: args.queue.clone(),
        created_from: args.since,
        ..RunFilter::default()
    }
}
