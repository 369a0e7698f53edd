//! Functions that are told to stop.

use std::time::{Duration, Instant};

use fluid_core::Outcome;
use serde_json::json;

use super::stage::{LONG_GRACE, Stage};

pub(super) async fn a_function_that_listens_stops_within_the_grace(stage: Stage<'_>) {
    let mut attempt = stage.start("stop", json!({})).await;
    attempt.until_progress().await;
    let begin = Instant::now();
    attempt.cancel(LONG_GRACE).await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    assert!(begin.elapsed() < LONG_GRACE, "the grace was waited for");
}

pub(super) async fn a_function_that_was_told_to_stop_may_still_succeed(stage: Stage<'_>) {
    let mut attempt = stage.start("succeed_when_stopped", json!({})).await;
    attempt.until_progress().await;
    attempt.cancel(LONG_GRACE).await;
    assert_eq!(attempt.result().await, json!("just in time"));
}

pub(super) async fn a_function_that_never_listens_is_gone_after_the_grace(stage: Stage<'_>) {
    let mut attempt = stage.start("sleep", json!({})).await;
    attempt.until_progress().await;
    let grace = Duration::from_millis(200);
    let begin = Instant::now();
    attempt.cancel(grace).await;
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    assert!(begin.elapsed() >= grace, "the grace was not given");
}

pub(super) async fn an_error_after_the_wish_to_stop_is_no_failure(stage: Stage<'_>) {
    let mut attempt = stage.start("stop", json!({})).await;
    attempt.until_progress().await;
    attempt.cancel(LONG_GRACE).await;
    let outcome = attempt.outcome().await;
    assert!(!matches!(outcome, Outcome::Failure(_)), "{outcome:?}");
}

pub(super) async fn a_cancellation_after_the_end_changes_nothing(stage: Stage<'_>) {
    let mut attempt = stage.start("result", json!({})).await;
    let ended = attempt.outcome().await;
    assert_eq!(ended, Outcome::Success(json!({"answer": 42}).into()));
    let begin = Instant::now();
    attempt.cancel(LONG_GRACE).await;
    assert!(begin.elapsed() < LONG_GRACE, "the grace was waited for");
}
