//! Events: told to this handle's own listeners at once, and to others by the server.

use fluid_core::{Event, TaskName};
use tokio::sync::broadcast;

use crate::record::{run_id, state};

/// How many events a slow subscriber may fall behind.
pub(crate) const EVENTS: usize = 1024;

/// Reads one line; `None` for what a newer fluid may tell.
fn event(line: &str) -> Option<Event> {
    let mut fields = line.split('\t');
    let kind = fields.next()?;
    if kind == "C" {
        return Some(Event::Changed);
    }
    let run = run_id(fields.next()?).ok()?;
    let mut task = || TaskName::parse(fields.next()?).ok();
    Some(match kind {
        "e" => Event::Enqueued { run, task: task()? },
        "s" => {
            let attempt = fields.next()?.parse().ok()?;
            let task = TaskName::parse(fields.next()?).ok()?;
            Event::Started { run, task, attempt }
        }
        "f" => {
            let state = state(*fields.next()?.as_bytes().first()?).ok()?;
            let task = TaskName::parse(fields.next()?).ok()?;
            Event::Finished { run, task, state }
        }
        "c" => Event::CancelRequested { run },
        "p" => Event::Progress { run },
        "l" => Event::Log { run },
        _ => return None,
    })
}

/// Tells what a script said.
pub(crate) fn tell(events: &broadcast::Sender<Event>, said: &str) {
    if said.is_empty() || events.receiver_count() == 0 {
        return;
    }
    for line in said.split('\n') {
        // Nobody listening any more is no fault.
        let _ = events.send(event(line).unwrap_or(Event::Changed));
    }
}
