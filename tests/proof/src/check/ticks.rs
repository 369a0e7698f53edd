//! Each due instant of a schedule gives one run.

use std::collections::BTreeMap;

use fluid_core::{TaskName, Trigger};
use jiff::Timestamp;

use super::seen::Seen;
use super::{Promise, Verdict};

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    let mut fired: BTreeMap<&TaskName, BTreeMap<Timestamp, usize>> = BTreeMap::new();
    for history in seen.runs() {
        let run = &history.run;
        // The schedules here have no jitter, so a run is due at the instant of its tick.
        if run.trigger == Trigger::Schedule {
            let ticks = fired.entry(&run.task).or_default();
            *ticks.entry(run.due_at).or_default() += 1;
        }
    }
    for (task, schedule) in &seen.history.schedules {
        let Some(ticks) = fired.get(task) else {
            verdict.add(Promise::TicksOnce, format!("{task} never ticked"));
            continue;
        };
        for (tick, count) in ticks.iter().filter(|(_, count)| **count > 1) {
            let how = format!("the tick of {task} at {tick} gave {count} runs");
            verdict.add(Promise::TicksOnce, how);
        }
        let (Some(first), Some(last)) = (ticks.keys().next(), ticks.keys().next_back()) else {
            continue;
        };
        let mut next = Some(*first);
        while let Some(tick) = next.filter(|tick| tick <= last) {
            if !ticks.contains_key(&tick) {
                let how = format!("the tick of {task} at {tick} gave no run");
                verdict.add(Promise::TicksOnce, how);
            }
            next = schedule.next_after(tick);
        }
    }
}
