//! Events as text, for other processes: one a line.

use std::fmt::Write as _;

use fluid_core::{Event, RunId, RunState, TaskName};

use crate::code::Coded;

/// The largest payload of a notification: PostgreSQL takes less than 8000 bytes.
const LARGEST: usize = 7800;
/// More payloads than this are one that says that something changed.
const PAYLOADS: usize = 8;

/// Adds an event to the text.
fn write(event: &Event, text: &mut String) {
    // Writing to a string does not fail.
    let _ = match event {
        Event::Enqueued { run, task } => writeln!(text, "e {run} {task}"),
        Event::Started { run, task, attempt } => writeln!(text, "s {run} {attempt} {task}"),
        Event::Finished { run, task, state } => writeln!(text, "f {run} {} {task}", state.code()),
        Event::CancelRequested { run } => writeln!(text, "c {run}"),
        Event::Progress { run } => writeln!(text, "p {run}"),
        Event::Log { run } => writeln!(text, "l {run}"),
        // What this version does not know yet is a change all the same.
        _ => writeln!(text, "x"),
    };
}

/// The payloads that tell of these events; `origin` is who tells.
pub(crate) fn payloads(origin: &str, events: &[Event]) -> Vec<String> {
    let mut payloads = Vec::new();
    let mut text = format!("{origin}\n");
    for event in events {
        let before = text.len();
        write(event, &mut text);
        if text.len() > LARGEST {
            let line = text.split_off(before);
            payloads.push(std::mem::replace(&mut text, format!("{origin}\n{line}")));
        }
    }
    payloads.push(text);
    if payloads.len() > PAYLOADS {
        return vec![format!("{origin}\nx")];
    }
    payloads
}

/// The events of a payload, and who told; what can't be read is a change.
pub(crate) fn read_payload(payload: &str) -> (&str, Vec<Event>) {
    let (origin, lines) = payload.split_once('\n').unwrap_or((payload, "x"));
    (origin, read(lines))
}

/// The events of some lines.
pub(crate) fn read(lines: &str) -> Vec<Event> {
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| read_line(line).unwrap_or(Event::Changed))
        .collect()
}

fn read_line(line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let run: RunId = words.next()?.parse().ok()?;
    let task = |word: Option<&str>| TaskName::parse(word?).ok();
    Some(match kind {
        "e" => Event::Enqueued {
            run,
            task: task(words.next())?,
        },
        "s" => Event::Started {
            run,
            attempt: words.next()?.parse().ok()?,
            task: task(words.next())?,
        },
        "f" => Event::Finished {
            run,
            state: RunState::from_code(words.next()?.parse().ok()?)?,
            task: task(words.next())?,
        },
        "c" => Event::CancelRequested { run },
        "p" => Event::Progress { run },
        "l" => Event::Log { run },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Event> {
        let run = RunId::new();
        let task = TaskName::parse("übung").unwrap();
        vec![
            Event::Enqueued {
                run,
                task: task.clone(),
            },
            Event::Started {
                run,
                task: task.clone(),
                attempt: 7,
            },
            Event::Finished {
                run,
                task,
                state: RunState::RateLimited,
            },
            Event::CancelRequested { run },
            Event::Progress { run },
            Event::Log { run },
            Event::Changed,
        ]
    }

    #[test]
    fn events_read_back() {
        let events = all();
        let payloads = payloads("me", &events);
        assert_eq!(payloads.len(), 1);
        assert_eq!(read_payload(&payloads[0]), ("me", events));
        assert_eq!(read("e nonsense"), [Event::Changed]);
        assert_eq!(read_payload("me").1, [Event::Changed]);
    }

    #[test]
    fn many_events_are_several_payloads_and_very_many_are_a_change() {
        let events: Vec<Event> = std::iter::repeat_with(all).take(50).flatten().collect();
        let several = payloads("me", &events);
        assert!(several.len() > 1 && several.iter().all(|payload| payload.len() < 8000));
        let read: Vec<Event> = several
            .iter()
            .flat_map(|payload| read_payload(payload).1)
            .collect();
        assert_eq!(read, events);
        let events: Vec<Event> = std::iter::repeat_with(all).take(500).flatten().collect();
        assert_eq!(payloads("me", &events), ["me\nx"]);
    }
}
