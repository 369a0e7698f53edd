//! Programs that are told to stop, and what they started.

use std::time::{Duration, Instant};

use fluid_core::{LogStream, Outcome};
use serde_json::{Value, json};

use super::stage::{LONG_GRACE, Stage};

pub(super) async fn a_program_that_stops_when_asked_is_cancelled(stage: Stage<'_>) {
    for (name, last) in [("stop_program", "stopping"), ("sleep_program", "ready")] {
        let mut attempt = stage.start(name, json!({})).await;
        attempt.until_line("ready").await;
        let begin = Instant::now();
        attempt.cancel(LONG_GRACE).await;
        assert_eq!(attempt.outcome().await, Outcome::Cancelled, "{name}");
        assert!(begin.elapsed() < LONG_GRACE, "the grace was waited for");
        let lines = attempt.news.lines_of(LogStream::Stdout);
        assert_eq!(lines.last(), Some(&last), "{name}");
    }
}

pub(super) async fn a_program_that_ignores_the_signal_is_killed_after_the_grace(stage: Stage<'_>) {
    let mut attempt = stage.start("ignore_stop", json!({})).await;
    attempt.until_line("ready").await;
    let grace = Duration::from_millis(200);
    let begin = Instant::now();
    attempt.cancel(grace).await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    assert!(begin.elapsed() >= grace, "the grace was not given");
}

pub(super) async fn what_a_program_started_is_asked_to_stop_too(stage: Stage<'_>) {
    let mut attempt = stage.start("grandchild_stops", json!({})).await;
    attempt.until_line("ready").await;
    attempt.cancel(LONG_GRACE).await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    let lines = attempt.news.lines_of(LogStream::Stdout);
    assert_eq!(lines, ["ready", "grandchild stops"]);
}

pub(super) async fn a_grandchild_that_holds_the_output_does_not_hold_up_the_run(stage: Stage<'_>) {
    let mut attempt = stage.start("grandchild_holds", json!({})).await;
    assert_eq!(attempt.result().await, Value::Null);
    assert_eq!(attempt.news.lines_of(LogStream::Stdout), ["left"]);
}
