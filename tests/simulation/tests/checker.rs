//! The checker sees what is wrong with a history: a good one is spoilt in many ways.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use fluid_core::{AttemptOutcome, JsonText, RunId, RunState, Trigger};
use fluid_proof::{Entry, History, Promise, RunHistory, Tried, What, check};
use fluid_simulation::simulate;

/// Spoils the history of a seed that holds every promise, and asks whether this promise is seen to be broken.
fn sees(promise: Promise, spoil: impl FnOnce(&mut History)) {
    let mut history = simulate(1, None).unwrap().history;
    assert_eq!(check(&history).violations, []);
    spoil(&mut history);
    let verdict = check(&history);
    assert!(verdict.breaks(promise), "{:?}", verdict.violations);
}

fn find(history: &mut History, is_it: impl Fn(&RunHistory) -> bool) -> &mut RunHistory {
    history.runs.values_mut().find(|run| is_it(run)).unwrap()
}

fn succeeded(history: &RunHistory) -> bool {
    history.run.state == RunState::Success && history.run.trigger == Trigger::Request
}

/// What the ledger says of the run that `is_it`.
fn noted(history: &History, is_it: impl Fn(&What) -> bool) -> Entry {
    let entry = history.ledger.iter().find(|entry| is_it(&entry.what));
    entry.unwrap().clone()
}

#[test]
fn an_acknowledged_run_that_is_gone() {
    sees(Promise::NothingLost, |history| {
        let run = find(history, succeeded).run.id;
        history.runs.remove(&run);
    });
}

#[test]
fn a_run_that_never_ended() {
    sees(Promise::NothingLost, |history| {
        find(history, succeeded).run.state = RunState::Queued;
    });
}

#[test]
fn a_success_that_was_never_done() {
    sees(Promise::NothingLost, |history| {
        history
            .ledger
            .retain(|entry| !matches!(entry.what, What::Done { .. }));
    });
}

#[test]
fn a_second_success() {
    sees(Promise::OneEnd, |history| {
        let run = find(history, |run| succeeded(run) && run.attempts.len() > 1);
        run.attempts[0].outcome = AttemptOutcome::Success;
    });
}

#[test]
fn an_end_that_changed_later() {
    sees(Promise::OneEnd, |history| {
        find(history, succeeded).run.state = RunState::Failure;
    });
}

#[test]
fn an_end_that_was_told_twice() {
    sees(Promise::OneEnd, |history| {
        let ended = noted(
            history,
            |what| matches!(what, What::Ended { state, .. } if state.is_terminal()),
        );
        history.ledger.push(ended);
    });
}

#[test]
fn the_result_of_another_attempt() {
    sees(Promise::EndsStand, |history| {
        let run = find(history, succeeded);
        run.run.result = Some(JsonText::parse(r#"{"attempt":77}"#).unwrap());
    });
}

#[test]
fn an_acknowledged_end_that_does_not_stand() {
    sees(Promise::EndsStand, |history| {
        let is_retried = |what: &What| matches!(what, What::Ended { tried: Tried::Retry, state, .. } if !state.is_terminal());
        let What::Ended { run, attempt, .. } = noted(history, is_retried).what else {
            unreachable!("it is one");
        };
        let run = find(history, |history| history.run.id == run);
        let is_it = run.attempts.iter_mut().find(|a| a.number == attempt);
        is_it.unwrap().outcome = AttemptOutcome::Interrupted;
    });
}

#[test]
fn an_end_that_nobody_asked_for() {
    sees(Promise::EndsStand, |history| {
        history
            .ledger
            .retain(|entry| !matches!(entry.what, What::Ending { .. }));
    });
}

#[test]
fn a_gap_between_attempts() {
    sees(Promise::AttemptsInOrder, |history| {
        find(history, |run| run.attempts.len() > 2)
            .attempts
            .remove(1);
    });
}

#[test]
fn attempts_that_overlap_by_the_history() {
    sees(Promise::AttemptsInOrder, |history| {
        let run = find(history, |run| {
            run.attempts.len() > 1 && run.attempts[0].outcome == AttemptOutcome::Failure
        });
        let later = run.attempts[1].started_at + jiff::SignedDuration::from_hours(1);
        run.attempts[0].ended_at = Some(later);
    });
}

#[test]
fn attempts_that_overlap_by_what_their_consumers_know() {
    sees(Promise::AttemptsInOrder, |history| {
        // Its first two attempts were claimed by somebody who heard of it, and the second one was held after that.
        let noted = |wanted: u32, held: bool, run: RunId| {
            history.ledger.iter().any(|entry| match &entry.what {
                What::Claimed {
                    run: of, attempt, ..
                } => !held && (*of, *attempt) == (run, wanted),
                What::Ended {
                    run: of,
                    attempt,
                    asked,
                    ..
                } => held && (*of, *attempt) == (run, wanted) && *asked < entry.at,
                _ => false,
            })
        };
        let both = |run: RunId| noted(1, false, run) && noted(2, false, run) && noted(2, true, run);
        let run = history.runs.keys().copied().find(|run| both(*run)).unwrap();
        let last = history.ledger.last().unwrap().at;
        history.ledger.push(Entry {
            by: Arc::from("test"),
            at: last,
            what: What::Held {
                run,
                attempt: 1,
                asked: last,
            },
        });
    });
}

#[test]
fn more_at_once_than_allowed() {
    let mut history = simulate(1, None).unwrap().history;
    for most in history.limits.values_mut() {
        *most = 0;
    }
    let violations = check(&history).violations;
    for by in ["by the history", "were leased at once"] {
        let seen = violations.iter().any(|violation| {
            violation.promise == Promise::LimitsKept && violation.how.contains(by)
        });
        assert!(seen, "{by}: {violations:?}");
    }
}

#[test]
fn two_of_one_unique_key() {
    sees(Promise::LimitsKept, |history| {
        let mut ended: Vec<RunId> = history
            .ledger
            .iter()
            .filter_map(|entry| match entry.what {
                What::Ended { run, .. } => Some(run),
                _ => None,
            })
            .collect();
        ended.sort();
        ended.dedup();
        let task = history.runs[&ended[0]].run.task.clone();
        for run in [ended[0], ended[1]] {
            let what = What::Enqueued {
                run,
                task: task.clone(),
                inserted: true,
                key: Some(Arc::from("one")),
            };
            let by = Arc::from("test");
            history.ledger.insert(0, Entry { by, at: 0, what });
        }
    });
}

#[test]
fn a_tick_that_fired_twice() {
    sees(Promise::TicksOnce, |history| {
        let tick = find(history, |run| run.run.trigger == Trigger::Schedule);
        let mut again = tick.clone();
        again.run.id = RunId::new();
        history.runs.insert(again.run.id, again);
    });
}

#[test]
fn a_tick_that_is_missing() {
    sees(Promise::TicksOnce, |history| {
        let ticks: Vec<RunId> = history
            .runs
            .values()
            .filter(|run| run.run.task.as_str() == "every")
            .map(|run| run.run.id)
            .collect();
        history.runs.remove(&ticks[ticks.len() / 2]);
    });
}

#[test]
fn a_refused_write_that_left_a_trace() {
    sees(Promise::RefusedIsRefused, |history| {
        let unanswered: Vec<(RunId, u32)> = history
            .ledger
            .iter()
            .filter_map(|entry| match entry.what {
                What::Unanswered { run, attempt } => Some((run, attempt)),
                _ => None,
            })
            .collect();
        let refused = history.ledger.iter().find_map(|entry| match entry.what {
            What::Refused { run, attempt, .. } if !unanswered.contains(&(run, attempt)) => {
                Some((run, attempt))
            }
            _ => None,
        });
        let (run, attempt) = refused.unwrap();
        let run = find(history, |history| history.run.id == run);
        let is_it = run.attempts.iter_mut().find(|a| a.number == attempt);
        is_it.unwrap().outcome = AttemptOutcome::Failure;
    });
}
