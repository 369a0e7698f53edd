//! A new run as the scripts take it.

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

/// What a section of runs has in common.
#[derive(PartialEq, Eq)]
pub(crate) struct Section {
    lane: String,
    due: Due,
    /// `None` for many runs; one with a unique key stands alone.
    unique: Option<(String, String)>,
}

impl Section {
    pub(crate) fn of(run: &NewRun) -> Self {
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

    /// Whether another run may follow in the same section.
    fn takes(&self, run: &NewRun, lane_of: &str) -> bool {
        self.unique.is_none() && run.unique.is_none() && self.due == run.due && self.lane == lane_of
    }

    /// Lane, due time, unique key and window.
    pub(crate) fn write(&self, command: &mut Cmd) {
        command.arg(&self.lane);
        match self.due {
            Due::Now => command.arg("n").arg(""),
            Due::After(delay) => command.arg("d").arg(micros(delay)),
            Due::At(instant) => command.arg("a").arg(instant.as_microsecond()),
        };
        match &self.unique {
            Some((key, window)) => command.arg(key).arg(window),
            None => command.arg("").arg(""),
        };
    }
}

fn optional(id: Option<RunId>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

/// The record of a run from its place in the batch on; what comes before only the server knows.
pub(crate) fn text(run: &NewRun, place: usize, section: &Section) -> String {
    let head = head(
        run.trigger,
        [run.parent, run.root, run.retry_of],
        run.max_interruptions,
        &run.params,
    );
    let unique = section.unique.as_ref().map_or("", |(key, _)| key.as_str());
    let params = run.params.expose().as_str();
    format!("{place:04}\n{}\n{head}{unique}\n{params}", section.lane)
}

/// What stands before the unique key: of the parent, the root and the run that this one does once more, too.
pub(crate) fn head(
    trigger: Trigger,
    others: [Option<RunId>; 3],
    max_interruptions: u32,
    params: &Params,
) -> String {
    let trigger = match trigger {
        Trigger::Request => 'r',
        Trigger::Schedule => 's',
        Trigger::Parent => 'p',
        Trigger::Retry => 't',
    };
    let secrets = match params.secret_paths() {
        [] => String::new(),
        paths => escape(&paths.join("\n")).into_owned(),
    };
    let [parent, root, retry_of] = others.map(optional);
    format!("{trigger}\t{parent}\t{root}\t{retry_of}\t{max_interruptions}\t{secrets}\t")
}

/// Runs in their order, those that follow each other and have everything in common in one section.
pub(crate) fn sections(runs: &[NewRun]) -> Vec<(Section, &[NewRun])> {
    let mut sections: Vec<(Section, &[NewRun])> = Vec::new();
    let mut begin = 0;
    for (end, run) in runs.iter().enumerate() {
        let fits = sections
            .last()
            .is_some_and(|(section, _)| section.takes(run, &lane(run)));
        if !fits {
            sections.push((Section::of(run), &[]));
            begin = end;
        }
        if let Some((_, members)) = sections.last_mut() {
            *members = &runs[begin..=end];
        }
    }
    sections
}
