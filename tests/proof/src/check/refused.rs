//! A write that was refused left no trace.

use fluid_core::AttemptOutcome;

use super::seen::Seen;
use super::{Promise, Verdict};

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    for ((run, number), noted) in &seen.noted {
        // After a call that failed, a refusal may mean that this very call was carried out.
        if noted.refused == 0 || noted.unanswered {
            continue;
        }
        let Some(attempt) = seen.attempt(*run, *number) else {
            continue;
        };
        let lost = matches!(
            attempt.outcome,
            AttemptOutcome::Interrupted | AttemptOutcome::Aborted
        );
        if !lost || !noted.ended.is_empty() {
            let how = format!(
                "attempt {number} of run {run} was refused {} times, and it ended as {}",
                noted.refused,
                attempt.outcome.as_str()
            );
            verdict.add(Promise::RefusedIsRefused, how);
        }
    }
}
