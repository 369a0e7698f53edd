//! An end is written once, by the attempt whose end it is.

use std::collections::BTreeMap;

use fluid_core::{Attempt, AttemptOutcome, RunId, RunState, TaskRun};

use super::seen::{Noted, Seen};
use super::{Promise, Verdict};
use crate::entry::Tried;
use crate::history::RunHistory;
use crate::tasks::Given;

pub(super) fn check(seen: &Seen<'_>, verdict: &mut Verdict) {
    for history in seen.runs() {
        successes(history, verdict);
        for attempt in &history.attempts {
            written_by_itself(seen, &history.run, attempt, verdict);
        }
    }
    let mut ends: BTreeMap<RunId, Vec<(u32, RunState)>> = BTreeMap::new();
    for ((run, attempt), noted) in &seen.noted {
        stands(seen, (*run, *attempt), noted, verdict);
        let outcome = seen.attempt(*run, *attempt).map(|attempt| attempt.outcome);
        let ended = noted
            .ended
            .iter()
            .filter(|end| ends_its_run(**end, outcome));
        let ended = ended.map(|(_, state)| (*attempt, *state));
        ends.entry(*run).or_default().extend(ended);
    }
    for (run, ends) in ends {
        if ends.len() > 1 {
            let how = format!("run {run} was told more than once that it ended: {ends:?}");
            verdict.add(Promise::OneEnd, how);
        }
        let state = seen.run(run).map(|history| history.run.state);
        if let Some((attempt, told)) = ends.first()
            && state.is_some_and(|state| state != *told)
        {
            let how =
                format!("run {run} ended as {told} by attempt {attempt} and now is {state:?}");
            verdict.add(Promise::OneEnd, how);
        }
    }
}

/// Whether this end, of an attempt with this outcome, was told to be that of the run. Who asks once more, because the
/// answer got lost, is told how the run is by then: that may be the end by a later attempt.
fn ends_its_run((tried, state): (Tried, RunState), outcome: Option<AttemptOutcome>) -> bool {
    match tried {
        Tried::Success | Tried::Failure | Tried::Aborted => state.is_terminal(),
        Tried::Retry | Tried::Released => outcome == Some(AttemptOutcome::Aborted),
    }
}

/// A run that succeeded did so once, with its last attempt, and has that attempt's result.
fn successes(history: &RunHistory, verdict: &mut Verdict) {
    let run = &history.run;
    let successes: Vec<u32> = history
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Success)
        .map(|attempt| attempt.number)
        .collect();
    let wanted: &[u32] = if run.state == RunState::Success {
        &[run.attempt]
    } else {
        &[]
    };
    if successes != wanted {
        let how = format!(
            "run {} is {} after attempt {}, and its attempts {successes:?} succeeded",
            run.id, run.state, run.attempt
        );
        verdict.add(Promise::OneEnd, how);
    }
    let given: Option<Given> = run.result.as_ref().and_then(|result| result.to().ok());
    let given = given.map(|given| given.attempt);
    if given != successes.first().copied() {
        let how = format!(
            "run {} has the result of attempt {given:?}, and its attempts {successes:?} succeeded",
            run.id
        );
        verdict.add(Promise::EndsStand, how);
    }
}

/// Whether an attempt whose end was to be written so may have this outcome.
fn fits(tried: Tried, outcome: AttemptOutcome) -> bool {
    matches!(
        (tried, outcome),
        (Tried::Success, AttemptOutcome::Success)
            | (Tried::Failure, AttemptOutcome::Failure)
            // A run whose cancellation was asked for ends with the attempt.
            | (Tried::Retry, AttemptOutcome::Failure | AttemptOutcome::Aborted)
            | (Tried::Released, AttemptOutcome::Released | AttemptOutcome::Aborted)
            | (Tried::Aborted, AttemptOutcome::Aborted)
    )
}

/// An outcome that only the attempt itself can bring was asked for by it.
fn written_by_itself(seen: &Seen<'_>, run: &TaskRun, attempt: &Attempt, verdict: &mut Verdict) {
    let lost = matches!(
        attempt.outcome,
        AttemptOutcome::Interrupted | AttemptOutcome::Running | AttemptOutcome::Aborted
    );
    let noted = seen.noted(run.id, attempt.number);
    let tried = noted.map_or(&[][..], |noted| &noted.tried);
    if !lost && !tried.iter().any(|tried| fits(*tried, attempt.outcome)) {
        let how = format!(
            "attempt {} of run {} ended as {}, and all it asked for was {tried:?}",
            attempt.number,
            run.id,
            attempt.outcome.as_str()
        );
        verdict.add(Promise::EndsStand, how);
    }
}

/// What an attempt was told to be written stands in the history.
fn stands(seen: &Seen<'_>, (run, number): (RunId, u32), noted: &Noted, verdict: &mut Verdict) {
    if noted.ended.len() > 1 {
        let how = format!("the end of attempt {number} of run {run} was written more than once");
        verdict.add(Promise::OneEnd, how);
    }
    for (tried, state) in &noted.ended {
        let outcome = seen.attempt(run, number).map(|attempt| attempt.outcome);
        // That a run is gone is told elsewhere.
        if seen.run(run).is_some() && !outcome.is_some_and(|outcome| fits(*tried, outcome)) {
            let how = format!(
                "attempt {number} of run {run} was told that {tried:?} was written and the run is {state}, and the \
                 attempt is {outcome:?}"
            );
            verdict.add(Promise::EndsStand, how);
        }
    }
}
