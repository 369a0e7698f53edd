//! What happened to a run since it was enqueued, and its attempts, as the scripts give them.

use fluid_core::{
    Attempt, AttemptOutcome, JsonText, LeaseToken, Progress, RunError, RunId, RunState, TaskRun,
};

use crate::fault::Outcome;
use crate::record::{Names, corrupt, enqueued, instant, number, state, until, utf8};
use crate::text::unescape;

/// What happened to a run since: fills it in. The token of its lease, whether its attempt goes on, and whether its last
/// attempt ended with it.
pub(crate) struct Course {
    pub(crate) token: LeaseToken,
    goes_on: bool,
    ended_attempt: bool,
}

/// The length of the fields of a course that have a fixed one: state, token, flags, place, id.
const FIXED: usize = 1 + 19 + 1 + 16 + 36;

pub(crate) fn course(run: &mut TaskRun, bytes: &[u8], names: &mut Names) -> Outcome<Course> {
    let fault = || corrupt("an attempt", bytes);
    let text = utf8(bytes)?;
    let (fixed, mut text) = text.split_at_checked(FIXED).ok_or_else(fault)?;
    let letter = fixed.as_bytes()[0];
    let token = fixed[1..20].parse().map_err(|_| fault())?;
    let flags = u8::from_str_radix(&fixed[20..21], 16).map_err(|_| fault())?;
    until(&mut text, '\t')?;
    run.state = state(letter)?;
    let due = until(&mut text, '\t')?;
    if !due.is_empty() {
        run.due_at = instant(due)?;
    }
    let started = until(&mut text, '\t')?;
    run.started_at = if started.is_empty() {
        None
    } else {
        Some(instant(started)?)
    };
    run.attempt = number(until(&mut text, '\t')?)?;
    run.failures = number(until(&mut text, '\t')?)?;
    run.interruptions = number(until(&mut text, '\t')?)?;
    let consumer = until(&mut text, '\n')?;
    run.consumer = if consumer.is_empty() {
        None
    } else {
        Some(names.consumer(consumer)?)
    };
    run.cancel_requested = flags & 1 != 0;
    while let Some(tag) = text.chars().next() {
        text = &text[tag.len_utf8()..];
        if tag == 'y' {
            run.result = Some(JsonText::trusted(text));
            break;
        }
        let line = until(&mut text, '\n')?;
        match tag {
            'z' => run.ended_at = Some(instant(line)?),
            'e' => run.execution = Some(unescape(line).into_owned()),
            'w' => run.waiting = Some(unescape(line).into_owned()),
            'p' => {
                run.progress = Some(serde_json::from_str::<Progress>(line).map_err(|_| fault())?);
            }
            'x' => run.error = Some(error(line)?),
            _ => {}
        }
    }
    Ok(Course {
        token: LeaseToken::from_i64(token),
        goes_on: matches!(letter, b'r' | b'o'),
        ended_attempt: run.state.is_terminal() && flags & 8 == 0,
    })
}

fn error(text: &str) -> Outcome<RunError> {
    serde_json::from_str(text).map_err(|_| corrupt("an error", text.as_bytes()))
}

/// A run from both its records; the second is empty for one that never started.
pub(crate) fn run(
    id: RunId,
    fixed: &[u8],
    att: &[u8],
    names: &mut Names,
) -> Outcome<(TaskRun, Option<Course>)> {
    let mut run = enqueued(id, fixed, names)?;
    let course = if att.is_empty() {
        None
    } else {
        Some(course(&mut run, att, names)?)
    };
    Ok((run, course))
}

/// The current attempt of a run, or the one with which it ended.
pub(crate) fn last_attempt(run: &TaskRun, course: &Course) -> Option<Attempt> {
    if !course.goes_on && !course.ended_attempt {
        return None;
    }
    let mut attempt = Attempt::running(run.attempt, run.consumer.clone()?, run.started_at?);
    attempt.execution.clone_from(&run.execution);
    attempt.outcome = match run.state {
        RunState::Success => AttemptOutcome::Success,
        RunState::Failure => AttemptOutcome::Failure,
        RunState::Aborted => AttemptOutcome::Aborted,
        RunState::Interrupted => AttemptOutcome::Interrupted,
        _ => AttemptOutcome::Running,
    };
    if attempt.outcome != AttemptOutcome::Running {
        attempt.ended_at = run.ended_at;
        attempt.error.clone_from(&run.error);
    }
    Some(attempt)
}

/// An attempt that was followed by another one, or by a wait.
pub(crate) fn past_attempt(bytes: &[u8], names: &mut Names) -> Outcome<Attempt> {
    let mut text = utf8(bytes)?;
    let number = number(until(&mut text, '\t')?)?;
    let outcome = match until(&mut text, '\t')? {
        "f" => AttemptOutcome::Failure,
        "i" => AttemptOutcome::Interrupted,
        "r" => AttemptOutcome::Released,
        other => return Err(corrupt("an outcome", other.as_bytes())),
    };
    let started_at = instant(until(&mut text, '\t')?)?;
    let ended_at = instant(until(&mut text, '\t')?)?;
    let consumer = names.consumer(until(&mut text, '\t')?)?;
    let execution = until(&mut text, '\n')?;
    let mut attempt = Attempt::running(number, consumer, started_at);
    attempt.execution = execution
        .strip_prefix('=')
        .map(|place| unescape(place).into_owned());
    attempt.ended_at = Some(ended_at);
    attempt.outcome = outcome;
    attempt.error = if text.is_empty() {
        None
    } else {
        Some(error(text)?)
    };
    Ok(attempt)
}
