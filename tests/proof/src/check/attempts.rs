//! Attempts are numbered without gaps and follow one another.

use fluid_core::{AttemptOutcome, RunState};

use super::seen::Seen;
use super::{Promise, Verdict};
use crate::history::RunHistory;

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    for history in seen.runs() {
        numbers(history, verdict);
        counters(history, verdict);
        order(seen, history, verdict);
    }
}

fn numbers(history: &RunHistory, verdict: &mut Verdict) {
    let run = &history.run;
    let numbers: Vec<u32> = history.attempts.iter().map(|a| a.number).collect();
    let wanted: Vec<u32> = (1..=run.attempt).collect();
    if numbers != wanted {
        let how = format!(
            "run {} is at attempt {}, and has the attempts {numbers:?}",
            run.id, run.attempt
        );
        verdict.add(Promise::AttemptsInOrder, how);
    }
    let running = history
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Running);
    if run.state.is_terminal() && running.count() > 0 {
        let how = format!("run {} is {} and an attempt runs", run.id, run.state);
        verdict.add(Promise::AttemptsInOrder, how);
    }
}

fn counters(history: &RunHistory, verdict: &mut Verdict) {
    let run = &history.run;
    let count = |outcome| {
        let of = history.attempts.iter().filter(|a| a.outcome == outcome);
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    };
    let (failed, interrupted) = (
        count(AttemptOutcome::Failure),
        count(AttemptOutcome::Interrupted),
    );
    if (run.failures, run.interruptions) != (failed, interrupted) {
        let how = format!(
            "run {} counts {} failures and {} interruptions, and its attempts {failed} and {interrupted}",
            run.id, run.failures, run.interruptions
        );
        verdict.add(Promise::AttemptsInOrder, how);
    }
    let over = interrupted > run.max_interruptions;
    if over != (run.state == RunState::Interrupted) {
        let how = format!(
            "run {} may be interrupted {} times, was {interrupted} times, and is {}",
            run.id, run.max_interruptions, run.state
        );
        verdict.add(Promise::AttemptsInOrder, how);
    }
}

/// By the history's own times, and by when leases were held for sure.
fn order(seen: &Seen<'_>, history: &RunHistory, verdict: &mut Verdict) {
    let run = history.run.id;
    for attempt in &history.attempts {
        if let (Some(started), Some(ended)) = (seen.started(attempt), seen.ended(run, attempt))
            && ended < started
        {
            let how = format!(
                "attempt {} of run {run} ended at {ended}, before it started at {started}",
                attempt.number
            );
            verdict.add(Promise::AttemptsInOrder, how);
        }
    }
    for pair in history.attempts.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        let overlap = || {
            format!(
                "attempts {} of {} and {} of {} of run {run} overlap",
                first.number, first.consumer, second.number, second.consumer
            )
        };
        if let (Some(ended), Some(started)) = (seen.ended(run, first), seen.started(second))
            && started < ended
        {
            let how = format!("{}: {started} is before {ended}", overlap());
            verdict.add(Promise::AttemptsInOrder, how);
        }
        let certain = |number| seen.noted(run, number)?.certain();
        if let (Some((_, held)), Some((claimed, _))) =
            (certain(first.number), certain(second.number))
            && claimed < held
        {
            let how = format!(
                "{}: the first held its lease when the second had it for {} µs",
                overlap(),
                held - claimed
            );
            verdict.add(Promise::AttemptsInOrder, how);
        }
    }
}
