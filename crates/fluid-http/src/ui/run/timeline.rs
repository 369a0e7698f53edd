//! Attempts along the time from the enqueueing of their run to its end.

use fluid_core::{Attempt, TaskRun};
use jiff::Timestamp;

use crate::ui::mark::Mark;
use crate::ui::row::first_line;
use crate::ui::words::{When, between, span};

/// How wide the whole time is drawn.
const WIDTH: f64 = 1000.0;
/// The narrowest that is still to be seen.
const NARROWEST: u32 = 6;

/// An attempt and where it stands in time.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) number: u32,
    pub(super) mark: Mark,
    pub(super) started: When,
    pub(super) took: String,
    pub(super) place: String,
    pub(super) consumer: String,
    pub(super) error: String,
    pub(super) x: u32,
    pub(super) width: u32,
}

pub(super) fn spans(run: &TaskRun, attempts: &[Attempt], now: Timestamp) -> Vec<Span> {
    let begin = run.created_at;
    let end = run.ended_at.unwrap_or(now);
    let whole = between(begin, end).as_secs_f64().max(0.001);
    let at = |instant: Timestamp| {
        let part = between(begin, instant).as_secs_f64() / whole;
        // From 0 to 1000, so it fits.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let x = (part.min(1.0) * WIDTH).round() as u32;
        x
    };
    let one = |attempt: &Attempt| {
        let end = attempt.ended_at.unwrap_or(now);
        let width = at(end)
            .saturating_sub(at(attempt.started_at))
            .max(NARROWEST);
        Span {
            number: attempt.number,
            mark: attempt.outcome.into(),
            started: When::new(attempt.started_at, now),
            took: span(between(attempt.started_at, end)),
            place: attempt.execution.clone().unwrap_or_default(),
            consumer: attempt.consumer.to_string(),
            error: attempt
                .error
                .as_ref()
                .map_or_else(String::new, |error| first_line(&error.message)),
            x: at(attempt.started_at).min(1000 - NARROWEST),
            width,
        }
    };
    attempts.iter().map(one).collect()
}
