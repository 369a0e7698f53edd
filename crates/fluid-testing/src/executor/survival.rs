//! Executions whose consumer went away.

use std::sync::Arc;

use fluid_core::{LogStream, Outcome, StoredOutput};
use serde_json::json;

use super::stage::Stage;

pub(super) async fn an_execution_that_was_let_go_goes_on_and_is_adopted(stage: Stage<'_>) {
    let mut first = stage.start("take_time", json!({})).await;
    first.until_line("begin").await;
    let mut second = stage.start_again(&first, None).await;
    let places = first.news.places.clone();
    drop(first);
    second.result().await;
    assert_eq!(second.news.lines_of(LogStream::Stdout), ["begin", "end"]);
    assert_eq!(second.news.places, places, "it was started anew");
}

pub(super) async fn an_adopter_tells_only_the_output_that_was_not_stored(stage: Stage<'_>) {
    let mut first = stage.start("take_time", json!({})).await;
    first.until_line("begin").await;
    let at = first.news.last_line_at.unwrap();
    let stored = Some(StoredOutput { at, lines: 1 });
    let mut second = stage.start_again(&first, stored).await;
    drop(first);
    second.result().await;
    assert_eq!(second.news.lines_of(LogStream::Stdout), ["end"]);
}

pub(super) async fn starting_twice_at_once_is_one_execution(stage: Stage<'_>) {
    let mut first = stage.start("take_time", json!({})).await;
    let mut second = stage.start_again(&first, None).await;
    // The result is a number that no other execution would give.
    let (first, second) = futures_util::join!(first.result(), second.result());
    assert_eq!(first, second);
}

pub(super) async fn an_execution_that_has_ended_is_adopted_with_its_outcome(stage: Stage<'_>) {
    for name in ["result", "exit_3", "panic"] {
        let mut first = stage.start(name, json!({})).await;
        let outcome = first.outcome().await;
        let mut second = stage.start_again(&first, None).await;
        assert_eq!(second.outcome().await, outcome, "{name}");
        assert_eq!(second.news.lines, first.news.lines, "{name}");
        // Nobody stops what has ended.
        second.cancel(std::time::Duration::ZERO).await;
        assert_eq!(second.outcome().await, outcome, "{name}");
    }
}

pub(super) async fn the_next_attempt_is_another_execution(stage: Stage<'_>) {
    let mut first = stage.start("take_time", json!({})).await;
    let mut run = (*first.run).clone();
    run.attempt += 1;
    let next = stage.start_run(first.task.clone(), Arc::new(run), None);
    let mut next = next.await.unwrap();
    let (one, other) = futures_util::join!(first.outcome(), next.outcome());
    assert!(matches!(&one, Outcome::Success(_)), "{one:?}");
    assert!(matches!(&other, Outcome::Success(_)), "{other:?}");
    assert_ne!(one, other);
    assert_ne!(first.news.places, next.news.places);
}
