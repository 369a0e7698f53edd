//! Runs as they were enqueued, as the scripts give them.

use std::sync::Arc;

use fluid_core::{
    ConsumerId, JsonText, Params, Priority, QueueName, RunId, RunState, TaskName, TaskRun, Trigger,
};
use jiff::Timestamp;

use crate::fault::{Fault, Outcome};
use crate::text::unescape;

pub(crate) fn corrupt(what: &str, text: &[u8]) -> Fault {
    let shown: String = String::from_utf8_lossy(text).chars().take(120).collect();
    Fault::Corrupt(format!("{what} reads {shown:?}"))
}

pub(crate) fn instant(text: &str) -> Outcome<Timestamp> {
    let micros: i64 = text
        .parse()
        .map_err(|_| corrupt("an instant", text.as_bytes()))?;
    Ok(
        Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        }),
    )
}

pub(crate) fn number(text: &str) -> Outcome<u32> {
    text.parse()
        .map_err(|_| corrupt("a number", text.as_bytes()))
}

pub(crate) fn run_id(text: &str) -> Outcome<RunId> {
    text.parse()
        .map_err(|_| corrupt("a run's id", text.as_bytes()))
}

fn optional_id(text: &str) -> Outcome<Option<RunId>> {
    if text.is_empty() {
        return Ok(None);
    }
    run_id(text).map(Some)
}

pub(crate) fn state(letter: u8) -> Outcome<RunState> {
    Ok(match letter {
        b's' => RunState::Scheduled,
        b'q' | b'o' => RunState::Queued,
        b'r' => RunState::Running,
        b'S' => RunState::Success,
        b'F' => RunState::Failure,
        b'A' => RunState::Aborted,
        b'I' => RunState::Interrupted,
        b'L' => RunState::RateLimited,
        other => return Err(corrupt("a state", &[other])),
    })
}

/// The letter of a state in filters and counts.
pub(crate) fn letter(state: RunState) -> &'static str {
    match state {
        RunState::Scheduled => "s",
        RunState::Queued => "q",
        RunState::Running => "r",
        RunState::Success => "S",
        RunState::Failure => "F",
        RunState::Aborted => "A",
        RunState::Interrupted => "I",
        RunState::RateLimited => "L",
    }
}

/// What runs that are read together mostly have in common, so that it is checked and allocated once.
#[derive(Default)]
pub(crate) struct Names {
    lane: Option<(String, Lane)>,
    consumer: Option<ConsumerId>,
}

#[derive(Clone)]
struct Lane {
    priority: Priority,
    task: TaskName,
    queue: QueueName,
    key: Arc<str>,
}

impl Names {
    fn lane(&mut self, text: &str) -> Outcome<Lane> {
        if let Some((known, lane)) = &self.lane
            && known == text
        {
            return Ok(lane.clone());
        }
        let fault = || corrupt("a lane", text.as_bytes());
        let mut parts = text.splitn(4, '/');
        let mut next = || parts.next().ok_or_else(fault);
        let priority = match next()? {
            "0" => Priority::High,
            "1" => Priority::Medium,
            "2" => Priority::Low,
            _ => return Err(fault()),
        };
        let lane = Lane {
            priority,
            task: TaskName::parse(next()?).map_err(|_| fault())?,
            queue: QueueName::parse(next()?).map_err(|_| fault())?,
            key: unescape(parts.next().unwrap_or_default()).as_ref().into(),
        };
        self.lane = Some((text.to_owned(), lane.clone()));
        Ok(lane)
    }

    pub(crate) fn consumer(&mut self, text: &str) -> Outcome<ConsumerId> {
        if let Some(known) = &self.consumer
            && known.as_str() == text
        {
            return Ok(known.clone());
        }
        let consumer =
            ConsumerId::parse(text).map_err(|_| corrupt("a consumer", text.as_bytes()))?;
        self.consumer = Some(consumer.clone());
        Ok(consumer)
    }
}

/// Takes text up to a separator off the front.
pub(crate) fn until<'t>(text: &mut &'t str, separator: char) -> Outcome<&'t str> {
    let (field, rest) = text
        .split_once(separator)
        .ok_or_else(|| corrupt("a record", text.as_bytes()))?;
    *text = rest;
    Ok(field)
}

pub(crate) fn utf8(bytes: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(bytes).map_err(|_| corrupt("a record", bytes))
}

/// A run as it was enqueued.
pub(crate) fn enqueued(id: RunId, bytes: &[u8], names: &mut Names) -> Outcome<TaskRun> {
    let mut text = utf8(bytes)?;
    let created_at = instant(until(&mut text, '\t')?)?;
    let due_at = instant(until(&mut text, '\t')?)?;
    let first_state = until(&mut text, '\t')?;
    until(&mut text, '\n')?;
    let lane = names.lane(until(&mut text, '\n')?)?;
    let mut run = carried(id, text, lane, created_at)?;
    run.state = state(first_state.bytes().next().unwrap_or_default())?;
    run.due_at = due_at;
    Ok(run)
}

/// A run that was due at once, from what it carries.
fn carried(id: RunId, text: &str, lane: Lane, created_at: Timestamp) -> Outcome<TaskRun> {
    let mut text = text;
    let trigger = match until(&mut text, '\t')? {
        "r" => Trigger::Request,
        "s" => Trigger::Schedule,
        "p" => Trigger::Parent,
        "t" => Trigger::Retry,
        other => return Err(corrupt("a trigger", other.as_bytes())),
    };
    let parent = optional_id(until(&mut text, '\t')?)?;
    let root = optional_id(until(&mut text, '\t')?)?;
    let retry_of = optional_id(until(&mut text, '\t')?)?;
    let max_interruptions = number(until(&mut text, '\t')?)?;
    let secrets = until(&mut text, '\t')?;
    until(&mut text, '\n')?;
    let secrets: Vec<String> = match secrets {
        "" => Vec::new(),
        paths => unescape(paths).split('\n').map(str::to_owned).collect(),
    };
    let params = Params::stored(JsonText::trusted(text), secrets);
    let mut run = TaskRun::new(id, lane.task, lane.queue, params, created_at);
    run.priority = lane.priority;
    run.concurrency_key = lane.key;
    run.trigger = trigger;
    (run.parent, run.root, run.retry_of) = (parent, root, retry_of);
    run.max_interruptions = max_interruptions;
    Ok(run)
}

/// Runs of a packet: their ids, when they were enqueued, their lane, and what they carry.
pub(crate) fn in_packet(
    ids: &[u8],
    created_at: Timestamp,
    lane: &str,
    texts: &[u8],
    names: &mut Names,
) -> Outcome<Vec<TaskRun>> {
    let lane = names.lane(lane)?;
    let ids = utf8(ids)?.as_bytes().chunks_exact(ID);
    let size = ids.len();
    let (kind, texts) = utf8(texts)?
        .split_at_checked(1)
        .ok_or_else(|| corrupt("a packet", texts))?;
    let mut runs: Vec<TaskRun> = Vec::with_capacity(size);
    for (place, id) in ids.enumerate() {
        let id = run_id(utf8(id)?)?;
        let run = match runs.first() {
            // All carry the same.
            Some(run) if kind == "s" => {
                let mut run = run.clone();
                run.id = id;
                run
            }
            None if kind == "s" => carried(id, texts, lane.clone(), created_at)?,
            _ => carried(id, text_in(texts, size, place)?, lane.clone(), created_at)?,
        };
        runs.push(run);
    }
    Ok(runs)
}

/// The length of an id, and of the number that says where a text of a packet ends.
const ID: usize = 36;
const END: usize = 8;

/// One of the texts of a packet of so many.
fn text_in(texts: &str, size: usize, place: usize) -> Outcome<&str> {
    let fault = || corrupt("a packet", texts.as_bytes());
    let end = |place: usize| -> Outcome<usize> {
        let digits = texts
            .get(place * END..(place + 1) * END)
            .ok_or_else(fault)?;
        digits.parse().map_err(|_| fault())
    };
    let from = if place == 0 { 0 } else { end(place - 1)? };
    texts
        .get(size * END + from..size * END + end(place)?)
        .ok_or_else(fault)
}
