//! `runs logs`.

use fluid_core::StoredLine;

use super::super::exec::listen;
use super::super::follow::{LogReader, news, painted};
use crate::args::LogsArgs;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::output::style;
use crate::run_ref::find;
use crate::session::Session;

pub(super) async fn logs(session: &Session, args: &LogsArgs) -> Done {
    let manager = session.shared_manager().await?;
    let run = find(manager.broker().as_ref(), &args.run.run).await?.id;
    let mut events = manager.events();
    let mut signals = listen()?;
    let mut log = LogReader::default();
    let mut lines = log.more(manager, run).await?;
    if let Some(attempt) = args.attempt {
        lines.retain(|line| line.attempt == attempt);
    }
    if let Some(tail) = args.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    loop {
        for line in lines
            .iter()
            .filter(|line| args.attempt.is_none_or(|attempt| line.attempt == attempt))
        {
            print(session, args, line)?;
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        let record = manager.broker().get(run).await?;
        let ended = record.is_none_or(|record| record.state.is_terminal());
        if !ended {
            tokio::select! {
                () = news(&mut events, run) => {}
                _ = signals.next() => return Ok(Exit::Interrupted),
            }
        }
        lines = log.more(manager, run).await?;
        if ended && lines.is_empty() {
            return Ok(Exit::Done);
        }
    }
}

fn print(session: &Session, args: &LogsArgs, line: &StoredLine) -> Result<(), Failure> {
    if session.output.is_json() {
        return session.output.json(line);
    }
    let text = painted(line);
    if args.timestamps {
        let at = style::paint(style::DIM, line.line.at);
        return session.output.line(&format!("{at} {text}"));
    }
    session.output.line(&text)
}
