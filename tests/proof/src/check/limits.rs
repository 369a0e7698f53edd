//! No more runs of a task are running than it allows, and none lives beside another of its unique key.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluid_core::{RunId, TaskName};

use super::seen::Seen;
use super::{Promise, Verdict};
use crate::entry::What;

type Lane = (TaskName, Arc<str>);

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    for ((task, lane), spans) in told(seen) {
        let most = seen
            .history
            .limits
            .get(&task)
            .copied()
            .unwrap_or(usize::MAX);
        let found = at_once(spans);
        if found > most {
            let how =
                format!("by the history {found} runs of {task} {lane:?} ran at once, not {most}");
            verdict.add(Promise::LimitsKept, how);
        }
    }
    for ((task, lane), spans) in certain(seen) {
        let most = seen
            .history
            .limits
            .get(&task)
            .copied()
            .unwrap_or(usize::MAX);
        let found = at_once(spans);
        if found > most {
            let how = format!("{found} runs of {task} {lane:?} were leased at once, not {most}");
            verdict.add(Promise::LimitsKept, how);
        }
    }
    for ((task, key), spans) in keys(seen) {
        let found = at_once(spans);
        if found > 1 {
            let how = format!("{found} runs of {task} with the unique key {key:?} lived at once");
            verdict.add(Promise::LimitsKept, how);
        }
    }
}

/// How many of these spans overlap at most. The end of one may be the beginning of the next.
fn at_once<T: Ord>(spans: Vec<(T, T)>) -> usize {
    let ends = spans.into_iter().filter(|(begin, end)| begin < end);
    let mut ends: Vec<(T, bool)> = ends
        .flat_map(|(begin, end)| [(begin, true), (end, false)])
        .collect();
    // At one instant what ends comes first.
    ends.sort();
    let (mut now, mut most) = (0_usize, 0);
    for (_, begins) in ends {
        now = if begins {
            now + 1
        } else {
            now.saturating_sub(1)
        };
        most = most.max(now);
    }
    most
}

/// Attempts by the history's own times.
fn told(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(i128, i128)>> {
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
                let span = (started.as_nanosecond(), ended.as_nanosecond());
                lanes.entry(lane).or_default().push(span);
            }
        }
    }
    lanes
}

/// Attempts while their leases were held for sure.
fn certain(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(u64, u64)>> {
    let mut lanes: BTreeMap<Lane, Vec<_>> = BTreeMap::new();
    for ((run, _), noted) in &seen.noted {
        let Some(run) = seen.run(*run).map(|history| &history.run) else {
            continue;
        };
        if seen.history.limits.contains_key(&run.task) {
            let lane = (run.task.clone(), run.concurrency_key.clone());
            lanes.entry(lane).or_default().extend(noted.certain());
        }
    }
    lanes
}

/// Runs with unique keys, from when they were known to be there until they were known not to have ended.
fn keys(seen: &Seen<'_>) -> BTreeMap<Lane, Vec<(u64, u64)>> {
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
        keys.entry(lane).or_default().extend(lives.get(&run));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::at_once;

    #[test]
    fn only_what_really_overlaps_counts() {
        assert_eq!(at_once::<u64>(vec![]), 0);
        assert_eq!(at_once(vec![(0, 5), (5, 9)]), 1);
        assert_eq!(at_once(vec![(0, 6), (5, 9), (8, 8), (5, 6)]), 3);
    }
}
