//! A new run as the scripts take it.

use std::fmt::Write;
use std::time::Duration;

use fluid_core::{Due, NewRun, Priority, RunId, Trigger};
use redis::Cmd;

use crate::text::escape;

/// The lane of a run: what one thing holds up or lets through together.
pub(crate) fn lane(run: &NewRun) -> String {
    let priority = match run.priority {
        Priority::High => '0',
        Priority::Medium => '1',
        Priority::Low => '2',
    };
    let mut lane = format!("{priority}/{}/{}", run.task, run.queue);
    if !run.concurrency_key.is_empty() {
        lane.push('/');
        lane.push_str(&escape(&run.concurrency_key));
    }
    lane
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// With so many runs that have everything in common, what they have in common is kept once.
const PACKET_FROM: usize = 8;

/// The ids of a packet are this close together, so that it is known where to look for one.
const PACKET_SPAN: u64 = 1000;

/// What a section of runs has in common.
struct Common {
    lane: String,
    due: Due,
    /// `None` for many runs; one with a unique key stands alone.
    unique: Option<(String, String)>,
}

impl Common {
    fn of(run: &NewRun) -> Self {
        Self {
            lane: lane(run),
            due: run.due,
            unique: run.unique.as_ref().map(|unique| {
                let window = unique.window.map(micros).map_or_else(String::new, |window| window.to_string());
                (format!("={}", escape(&unique.key)), window)
            }),
        }
    }
}

/// Runs that follow each other and have everything in common but what they carry.
pub(crate) struct Section {
    common: Common,
    /// The id and the record of each, from its place in the batch on; what comes before only the server knows.
    pub(crate) runs: Vec<(String, String)>,
    /// Its entries, and its largest and smallest id, if it is a packet.
    packet: Option<(String, String)>,
}

/// The milliseconds since the epoch that an id begins with.
fn time_of(id: RunId) -> u64 {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&id.as_bytes()[..6]);
    u64::from_be_bytes(bytes)
}

impl Section {
    /// A section of these runs, of which the first has this place in the batch.
    pub(crate) fn new(runs: &[NewRun], place: usize) -> Option<Self> {
        let first = runs.first()?;
        let mut section = Self {
            common: Common::of(first),
            runs: Vec::with_capacity(runs.len()),
            packet: None,
        };
        let in_packet = section.may_be_packet(first) && runs.len() >= PACKET_FROM;
        let mut entries = String::with_capacity(if in_packet { runs.len() * 40 } else { 0 });
        for (run, place) in runs.iter().zip(place..) {
            let id = run.id.to_string();
            if in_packet {
                let _ = write!(entries, "{place:04}{id}");
            }
            let text = section.text(run, place, in_packet.then_some(place - section.runs.len()));
            section.runs.push((id, text));
        }
        if in_packet {
            let last = section.runs.last().map_or("", |(id, _)| id);
            let span = format!("{last}{}", section.runs[0].0);
            section.packet = Some((entries, span));
        }
        Some(section)
    }

    fn may_be_packet(&self, first: &NewRun) -> bool {
        first.due == Due::Now && first.concurrency_key.is_empty() && self.common.unique.is_none()
    }

    /// Number of runs, lane, due time, unique key and window.
    pub(crate) fn write(&self, command: &mut Cmd) {
        command.arg(&self.common.lane);
        if let Some((entries, span)) = &self.packet {
            command.arg("p").arg(entries).arg("").arg(span);
            return;
        }
        match self.common.due {
            Due::Now => command.arg("n").arg(""),
            Due::After(delay) => command.arg("d").arg(micros(delay)),
            Due::At(instant) => command.arg("a").arg(instant.as_microsecond()),
        };
        match &self.common.unique {
            Some((key, window)) => command.arg(key).arg(window),
            None => command.arg("").arg(""),
        };
    }

    fn text(&self, run: &NewRun, place: usize, packet: Option<usize>) -> String {
        let trigger = match run.trigger {
            Trigger::Request => 'r',
            Trigger::Schedule => 's',
            Trigger::Parent => 'p',
            Trigger::Retry => 't',
        };
        let params = run.params.expose().as_str();
        let mut text = String::with_capacity(self.common.lane.len() + params.len() + 32);
        let _ = write!(text, "{place:04}");
        if let Some(first) = packet {
            let _ = write!(text, "\t{first:04}");
        }
        let _ = write!(text, "\n{}\n{trigger}", self.common.lane);
        for id in [run.parent, run.root, run.retry_of] {
            text.push('\t');
            if let Some(id) = id {
                let _ = write!(text, "{id}");
            }
        }
        let _ = write!(text, "\t{}\t", run.max_interruptions);
        text.push_str(&escape(&run.params.secret_paths().join("\n")));
        text.push('\t');
        text.push_str(self.common.unique.as_ref().map_or("", |(key, _)| key));
        text.push('\n');
        text.push_str(params);
        text
    }
}

/// Whether a run may stand in the section of the run before it, of which `first` is the first.
fn follows(first: &NewRun, before: &NewRun, run: &NewRun) -> bool {
    first.unique.is_none()
        && run.unique.is_none()
        && run.due == first.due
        && run.priority == first.priority
        && run.task == first.task
        && run.queue == first.queue
        && run.concurrency_key == first.concurrency_key
        && before.id < run.id
        && time_of(run.id) - time_of(first.id) <= PACKET_SPAN
}

/// Runs in their order, those that follow each other and have everything in common in one section.
pub(crate) fn sections(runs: &[NewRun]) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut begin = 0;
    for end in 1..=runs.len() {
        let goes_on = runs
            .get(end)
            .is_some_and(|run| follows(&runs[begin], &runs[end - 1], run));
        if !goes_on {
            sections.extend(Section::new(&runs[begin..end], begin));
            begin = end;
        }
    }
    sections
}
