//! A new run as the scripts take it.

use std::fmt::Write;
use std::time::Duration;

use fluid_core::{Due, NewRun, Params, Priority, QueueName, RunId, TaskName, TaskRun, Trigger};
use redis::Cmd;

use crate::text::escape;

/// The lane of a run: what one thing holds up or lets through together.
pub(crate) fn lane(run: &NewRun) -> String {
    lane_text(run.priority, &run.task, &run.queue, &run.concurrency_key)
}

/// The same of a run that is there.
pub(crate) fn lane_of(run: &TaskRun) -> String {
    lane_text(run.priority, &run.task, &run.queue, &run.concurrency_key)
}

fn lane_text(priority: Priority, task: &TaskName, queue: &QueueName, key: &str) -> String {
    let priority = match priority {
        Priority::High => '0',
        Priority::Medium => '1',
        Priority::Low => '2',
    };
    let mut lane = format!("{priority}/{task}/{queue}");
    if !key.is_empty() {
        lane.push('/');
        lane.push_str(&escape(key));
    }
    lane
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// With so many runs that have everything in common, what they have in common is kept once.
const PACKET_FROM: usize = 8;

/// A packet has so many at the most: some of it is copied with each claim.
const PACKET_MOST: usize = 500;

/// What the runs of a packet carry is read together, so it is not much in all.
const PACKET_BYTES: usize = 64 * 1024;

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
                let window = unique
                    .window
                    .map(micros)
                    .map_or_else(String::new, |window| window.to_string());
                (format!("={}", escape(&unique.key)), window)
            }),
        }
    }
}

/// Runs that follow each other and have everything in common but what they carry.
pub(crate) struct Section {
    common: Common,
    size: usize,
    form: Form,
}

enum Form {
    /// The id of each, and its record from its place in the batch on; what comes before only the server knows.
    Alone(Vec<(String, String)>),
    /// The place of the first, the ids of all, and what they carry.
    Packet(String, String, String),
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
        let common = Common::of(first);
        let fits =
            first.due == Due::Now && first.concurrency_key.is_empty() && common.unique.is_none();
        let form = if fits && runs.len() >= PACKET_FROM {
            let mut ids = String::with_capacity(runs.len() * 36);
            for run in runs {
                let _ = write!(ids, "{}", run.id);
            }
            Form::Packet(format!("{place:04}"), ids, texts(runs))
        } else {
            let alone = runs.iter().zip(place..).map(|(run, place)| {
                let mut text = format!("{place:04}{}\n{}\n", run.id, common.lane);
                write_text(
                    &mut text,
                    run,
                    common.unique.as_ref().map_or("", |(key, _)| key),
                );
                (run.id.to_string(), text)
            });
            Form::Alone(alone.collect())
        };
        Some(Self {
            common,
            size: runs.len(),
            form,
        })
    }

    /// How many there are, which a tick leaves out: it has one.
    pub(crate) fn write_size(&self, command: &mut Cmd) {
        command.arg(self.size);
    }

    /// Lane, due time, unique key and window, and the runs.
    pub(crate) fn write(&self, command: &mut Cmd) {
        command.arg(&self.common.lane);
        let runs = match &self.form {
            Form::Packet(place, ids, texts) => {
                command.arg("p").arg(place).arg("").arg(ids).arg(texts);
                return;
            }
            Form::Alone(runs) => runs,
        };
        match self.common.due {
            Due::Now => command.arg("n").arg(""),
            Due::After(delay) => command.arg("d").arg(micros(delay)),
            Due::At(instant) => command.arg("a").arg(instant.as_microsecond()),
        };
        match &self.common.unique {
            Some((key, window)) => command.arg(key).arg(window),
            None => command.arg("").arg(""),
        };
        for (id, text) in runs {
            command.arg(id).arg(text);
        }
    }
}

/// What a run carries, with its unique key if it has one.
fn write_text(text: &mut String, run: &NewRun, unique: &str) {
    let others = [run.parent, run.root, run.retry_of];
    write_head(
        text,
        run.trigger,
        others,
        run.max_interruptions,
        &run.params,
    );
    text.push_str(unique);
    text.push('\n');
    text.push_str(run.params.expose().as_str());
}

/// What stands before the unique key: of the parent, the root and the run that this one does once more, too.
pub(crate) fn write_head(
    text: &mut String,
    trigger: Trigger,
    others: [Option<RunId>; 3],
    max_interruptions: u32,
    params: &Params,
) {
    text.push(match trigger {
        Trigger::Request => 'r',
        Trigger::Schedule => 's',
        Trigger::Parent => 'p',
        Trigger::Retry => 't',
    });
    for id in others {
        text.push('\t');
        if let Some(id) = id {
            let _ = write!(text, "{id}");
        }
    }
    let _ = write!(text, "\t{max_interruptions}\t");
    text.push_str(&escape(&params.secret_paths().join("\n")));
    text.push('\t');
}

/// What the runs of a packet carry: once if they carry the same, otherwise one behind the other.
fn texts(runs: &[NewRun]) -> String {
    fn carried(run: &NewRun) -> impl PartialEq + use<'_> {
        let ids = (run.trigger, run.parent, run.root, run.retry_of);
        (ids, run.max_interruptions, &run.params)
    }
    let mut texts = String::new();
    if runs
        .windows(2)
        .all(|pair| carried(&pair[0]) == carried(&pair[1]))
    {
        texts.push('s');
        write_text(&mut texts, &runs[0], "");
        return texts;
    }
    let mut data = String::new();
    texts.push('e');
    for run in runs {
        write_text(&mut data, run, "");
        let _ = write!(texts, "{:08}", data.len());
    }
    texts.push_str(&data);
    texts
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
    let (mut begin, mut bytes) = (0, 0);
    for end in 1..=runs.len() {
        bytes += runs[end - 1].params.expose().as_str().len();
        let goes_on = runs.get(end).is_some_and(|run| {
            let fits = bytes + run.params.expose().as_str().len() <= PACKET_BYTES;
            fits && end - begin < PACKET_MOST && follows(&runs[begin], &runs[end - 1], run)
        });
        if !goes_on {
            sections.extend(Section::new(&runs[begin..end], begin));
            (begin, bytes) = (end, 0);
        }
    }
    sections
}
