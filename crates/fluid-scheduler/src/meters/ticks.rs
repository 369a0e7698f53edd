//! What became of ticks.

use fluid_core::{TaskName, Tick, Ticked};
use jiff::Timestamp;
use metrics::counter;

use super::TICKS;
use crate::scheduler::LATE;

/// Counts ticks by what became of them. Those that another scheduler fired are that one's to count.
#[derive(Debug)]
pub(crate) struct TickMeters;

impl TickMeters {
    /// Makes a task's counts known before its first tick.
    pub(crate) fn announce(task: &TaskName) {
        for outcome in ["fired", "late", "missed", "disabled"] {
            count(task, outcome, 0);
        }
    }

    /// What the broker said to a tick that was noticed at `now`.
    pub(crate) fn answered(tick: &Tick, answer: Ticked, now: Timestamp) {
        match answer {
            Ticked::Fired(_) if now.duration_since(tick.instant) > LATE => {
                count(&tick.task, "late", 1);
            }
            Ticked::Fired(_) => count(&tick.task, "fired", 1),
            Ticked::Disabled => count(&tick.task, "disabled", 1),
            Ticked::AlreadyFired => {}
        }
    }

    /// Ticks that nobody fired in time and that the task's policy leaves out.
    pub(crate) fn missed(task: &TaskName, ticks: u64) {
        count(task, "missed", ticks);
    }
}

fn count(task: &TaskName, outcome: &'static str, ticks: u64) {
    counter!(TICKS, "task" => task.to_string(), "outcome" => outcome).increment(ticks);
}
