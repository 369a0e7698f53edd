//! What was paused or disabled is not claimed.

use super::seen::Seen;
use super::{Promise, Verdict};
use crate::entry::What;

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    let off: Vec<_> = seen
        .history
        .ledger
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Off { queue, task, from } => Some((queue, task, *from, entry.at)),
            _ => None,
        })
        .collect();
    for entry in &seen.history.ledger {
        let What::Claimed { run, asked, .. } = &entry.what else {
            continue;
        };
        let Some(record) = seen.run(*run).map(|history| &history.run) else {
            continue;
        };
        // The broker was at it some time between question and answer.
        let broken = off.iter().find(|(queue, task, from, till)| {
            let is_meant = queue.as_ref().is_none_or(|queue| *queue == record.queue)
                && task.as_ref().is_none_or(|task| *task == record.task);
            is_meant && from < asked && entry.at < *till
        });
        if let Some((queue, task, from, till)) = broken {
            let how = format!(
                "run {run} of {} was claimed between {asked} and {} µs, while {} was off from {from} to {till} µs",
                record.task,
                entry.at,
                match (queue, task) {
                    (Some(queue), _) => format!("queue {queue}"),
                    (None, Some(task)) => format!("task {task}"),
                    (None, None) => "everything".to_owned(),
                },
            );
            verdict.add(Promise::OffIsOff, how);
        }
    }
}
