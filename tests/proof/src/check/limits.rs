//! No more runs of a task are running than it allows, and none lives beside another of its unique key.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluid_core::{RunId, TaskName};

use super::seen::Seen;
use super::{Promise, Verdict};
use crate::entry::What;

type Lane = (TaskName, Arc<str>);

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    let limit = |task: &TaskName| seen.history.limits.get(task).copied().unwrap_or(usize::MAX);
    for ((task, lane), spans) in told(seen) {
        let most = limit(&task);
        if let Some(Excess { found, micros }) = excess(spans, most) {
            let how = format!(
                "by the history {found} runs of {task} {lane:?} ran at once, not {most}, for up to {micros} µs"
            );
            verdict.add(Promise::LimitsKept, how);
        }
    }
    for ((task, lane), spans) in certain(seen) {
        let most = limit(&task);
        if let Some(Excess { found, micros }) = excess(spans, most) {
            let how = format!(
                "{found} runs of {task} {lane:?} were leased at once, not {most}, for up to {micros} µs"
            );
            verdict.add(Promise::LimitsKept, how);
        }
    }
    for ((task, key), spans) in keys(seen) {
        if let Some(Excess { found, micros }) = excess(spans, 1) {
            let how = format!(
                "{found} runs of {task} with the unique key {key:?} lived at once for up to {micros} µs"
            );
            verdict.add(Promise::LimitsKept, how);
        }
    }
}

/// Too many at once.
#[derive(Debug, PartialEq, Eq)]
struct Excess {
    /// How many at most.
    found: usize,
    /// For how long there were too many at most.
    micros: i64,
}

/// Whether more than `most` of these spans, in microseconds, overlap. The end of one may be the beginning of the next.
fn excess(spans: Vec<(i64, i64)>, most: usize) -> Option<Excess> {
    let spans = spans.into_iter().filter(|(begin, end)| begin < end);
    let mut ends: Vec<(i64, bool)> = spans
        .flat_map(|(begin, end)| [(begin, true), (end, false)])
        .collect();
    // At one instant what ends comes first.
    ends.sort_unstable();
    let (mut now, mut since) = (0_usize, 0);
    let mut excess: Option<Excess> = None;
    for (at, begins) in ends {
        let before = now;
        now = if begins { now + 1 } else { now - 1 };
        if before <= most && now > most {
            since = at;
        }
        if before > most {
            let so_far = excess.get_or_insert(Excess {
                found: 0,
                micros: 0,
            });
            so_far.found = so_far.found.max(before);
            so_far.micros = so_far.micros.max(at - since);
        }
    }
    excess
}

/// Attempts by the history's own times.
fn told(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(i64, i64)>> {
    let mut lanes: BTreeMap<Lane, Vec<_>> = BTreeMap::new();
    for history in seen.runs() {
        let run = &history.run;
        if !seen.history.limits.contains_key(&run.task) {
            continue;
        }
        for attempt in &history.attempts {
            if let (Some(started), Some(ended)) =
                (seen.started(attempt), seen.ended(run.id, attempt))
            {
                let lane = (run.task.clone(), run.concurrency_key.clone());
                let span = (started.as_microsecond(), ended.as_microsecond());
                lanes.entry(lane).or_default().push(span);
            }
        }
    }
    lanes
}

/// Attempts while their leases were held for sure.
fn certain(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(i64, i64)>> {
    let mut lanes: BTreeMap<Lane, Vec<_>> = BTreeMap::new();
    for ((run, _), noted) in &seen.noted {
        let Some(run) = seen.run(*run).map(|history| &history.run) else {
            continue;
        };
        if seen.history.limits.contains_key(&run.task) {
            let lane = (run.task.clone(), run.concurrency_key.clone());
            let span = noted.certain().map(signed);
            lanes.entry(lane).or_default().extend(span);
        }
    }
    lanes
}

/// Runs with unique keys, from when they were known to be there until they were known not to have ended.
fn keys(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(i64, i64)>> {
    let mut lives: BTreeMap<RunId, (u64, u64)> = BTreeMap::new();
    let mut key_of: BTreeMap<RunId, Lane> = BTreeMap::new();
    for entry in &seen.history.ledger {
        // What an answer tells was so once; only what a lease let through was so when it was asked for.
        let (run, there, alive) = match &entry.what {
            What::Enqueued {
                run,
                task,
                key: Some(key),
                inserted: true,
            } => {
                key_of.insert(*run, (task.clone(), key.clone()));
                (*run, entry.at, 0)
            }
            What::Claimed { run, .. } => (*run, entry.at, 0),
            What::Held { run, asked, .. } | What::Ended { run, asked, .. } => {
                (*run, *asked, *asked)
            }
            _ => continue,
        };
        let life = lives.entry(run).or_insert((there, alive));
        *life = (life.0.min(there), life.1.max(alive));
    }
    let mut keys: BTreeMap<Lane, Vec<_>> = BTreeMap::new();
    for (run, lane) in key_of {
        let life = lives.get(&run).copied().map(signed);
        keys.entry(lane).or_default().extend(life);
    }
    keys
}

fn signed((begin, end): (u64, u64)) -> (i64, i64) {
    let signed = |micros| i64::try_from(micros).unwrap_or(i64::MAX);
    (signed(begin), signed(end))
}

#[cfg(test)]
mod tests {
    use super::{Excess, excess};

    #[test]
    fn only_what_really_overlaps_counts() {
        assert_eq!(excess(vec![], 0), None);
        assert_eq!(excess(vec![(0, 5), (5, 9)], 1), None);
        let spans = vec![(0, 6), (5, 9), (8, 8), (5, 6)];
        assert_eq!(excess(spans.clone(), 3), None);
        let found = Excess {
            found: 3,
            micros: 1,
        };
        assert_eq!(excess(spans.clone(), 1), Some(found));
        let found = Excess {
            found: 3,
            micros: 9,
        };
        assert_eq!(excess(spans, 0), Some(found));
    }
}
