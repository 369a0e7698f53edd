//! Nothing that was acknowledged is lost.

use fluid_core::{AttemptOutcome, RunState};

use super::seen::Seen;
use super::{Promise, Verdict};
use crate::entry::{Tried, What};

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    for entry in &seen.history.ledger {
        let (run, told) = match &entry.what {
            What::Enqueued { run, .. } => (*run, "enqueued"),
            What::Fired { run, .. } => (*run, "fired by a tick"),
            What::Claimed { run, .. } => (*run, "claimed"),
            What::Cancelled { run } => {
                let state = seen.run(*run).map(|history| history.run.state);
                if state != Some(RunState::Aborted) {
                    let how = format!("run {run} was cancelled and is {state:?}");
                    verdict.add(Promise::NothingLost, how);
                }
                continue;
            }
            _ => continue,
        };
        if seen.run(run).is_none() {
            let how = format!(
                "run {run} was {told}, {} was told, and it is gone",
                entry.by
            );
            verdict.add(Promise::NothingLost, how);
        }
    }
    for history in seen.runs() {
        let run = &history.run;
        if !run.state.is_terminal() {
            let how = format!("run {} of {} is still {}", run.id, run.task, run.state);
            verdict.add(Promise::NothingLost, how);
        }
        for attempt in &history.attempts {
            let noted = seen.noted(run.id, attempt.number);
            let done = noted.is_some_and(|noted| noted.done);
            if attempt.outcome == AttemptOutcome::Success && !done {
                let how = format!(
                    "attempt {} of run {} succeeded, and its task was never done",
                    attempt.number, run.id
                );
                verdict.add(Promise::NothingLost, how);
            }
        }
    }
    for ((run, attempt), noted) in &seen.noted {
        let acknowledged = noted
            .ended
            .iter()
            .any(|(tried, _)| *tried == Tried::Success);
        if acknowledged && !noted.done {
            let how = format!(
                "the success of attempt {attempt} of run {run} was acknowledged, and its task was never done"
            );
            verdict.add(Promise::NothingLost, how);
        }
    }
}
