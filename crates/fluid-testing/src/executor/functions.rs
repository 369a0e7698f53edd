//! Functions: what goes in and what comes out.

use std::time::Duration;

use fluid_core::{ErrorKind, Outcome, RetryHint};
use serde_json::{Value, json};

use super::stage::Stage;
use super::tasks::RETRY_AFTER;

pub(super) async fn a_result_comes_back(stage: Stage<'_>) {
    assert_eq!(
        stage.result_of("result", json!({})).await,
        json!({"answer": 42})
    );
}

pub(super) async fn an_error_comes_back_with_its_hint(stage: Stage<'_>) {
    let error = stage.error_of("error", json!({})).await;
    assert_eq!(
        (error.kind, error.message.as_str(), error.retry),
        (ErrorKind::Error, "no luck", RetryHint::After(RETRY_AFTER))
    );
}

pub(super) async fn a_fatal_error_is_not_to_be_retried(stage: Stage<'_>) {
    let error = stage.error_of("fatal", json!({})).await;
    assert_eq!(
        (error.kind, error.message.as_str(), error.retry),
        (ErrorKind::Error, "no such thing", RetryHint::Never)
    );
}

pub(super) async fn an_abort_comes_back_as_one(stage: Stage<'_>) {
    let error = stage.error_of("abort", json!({})).await;
    assert_eq!(
        (error.kind, error.message.as_str(), error.retry),
        (ErrorKind::Aborted, "no need", RetryHint::Abort)
    );
}

pub(super) async fn a_panic_is_an_error_that_says_why(stage: Stage<'_>) {
    let error = stage.error_of("panic", json!({})).await;
    assert_eq!(error.kind, ErrorKind::Panic);
    assert!(error.message.contains("out of cheese"), "{error}");
}

pub(super) async fn parameters_arrive_as_they_were_sent(stage: Stage<'_>) {
    let params = json!({
        "text": "größer \"als\" \n\0 '$HOME' `id` 😀", "number": -1.5, "large": u64::MAX,
        "list": [null, true, {"deep": []}], "": "",
    });
    assert_eq!(stage.result_of("echo", params.clone()).await, params);
}

pub(super) async fn a_function_without_parameters_gets_none(stage: Stage<'_>) {
    let mut attempt = stage.start("progress", json!({})).await;
    assert_eq!(attempt.result().await, Value::Null);
}

pub(super) async fn a_function_knows_its_run(stage: Stage<'_>) {
    let mut attempt = stage.start("know_run", json!({})).await;
    let run = attempt.run.clone();
    assert_eq!(
        attempt.result().await,
        json!({"id": run.id, "task": "know_run", "attempt": run.attempt})
    );
}

pub(super) async fn a_large_result_comes_back_whole(stage: Stage<'_>) {
    // Two quotes are part of it.
    let size = stage.result_size(3 * 1024 * 1024) - 2;
    let result = stage.result_of("large", json!({"size": size})).await;
    let text = result.as_str().unwrap();
    assert!(text.len() == size && text.bytes().all(|byte| byte == b'x'));
}

pub(super) async fn large_parameters_arrive_whole(stage: Stage<'_>) {
    let text = "x".repeat(stage.params_size(3 * 1024 * 1024) - 100);
    let length = stage
        .result_of("count_letters", json!({"text": text}))
        .await;
    assert_eq!(length, json!(text.len()));
}

pub(super) async fn progress_is_told_before_the_outcome(stage: Stage<'_>) {
    let mut attempt = stage.start("progress", json!({})).await;
    attempt.result().await;
    let told: Vec<_> = attempt.news.progress.iter().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((told[0].fraction - 0.5).abs() < 1e-9 && told[0].message == "halfway");
}

pub(super) async fn the_place_of_execution_is_told_at_most_once(stage: Stage<'_>) {
    let mut attempt = stage.start("result", json!({})).await;
    attempt.result().await;
    let places = &attempt.news.places;
    assert!(places.len() <= 1, "{places:?}");
    assert!(places.iter().all(|place| !place.is_empty()));
}

pub(super) async fn executions_of_one_executor_do_not_mix(stage: Stage<'_>) {
    let numbers = 0..10;
    let attempts = numbers.clone().map(|number| {
        let stage = &stage;
        async move { stage.result_of("echo", json!({"number": number})).await }
    });
    let results = futures_util::future::join_all(attempts).await;
    let expected: Vec<_> = numbers.map(|number| json!({"number": number})).collect();
    assert_eq!(results, expected);
}

pub(super) async fn waiting_for_the_outcome_may_be_given_up_and_taken_up_again(stage: Stage<'_>) {
    let mut attempt = stage.start("echo", json!({"a": 1})).await;
    for _ in 0..1000 {
        let soon = tokio::time::timeout(Duration::ZERO, attempt.execution.outcome()).await;
        if let Ok(outcome) = soon {
            assert_eq!(outcome, Outcome::Success(json!({"a": 1}).into()));
            return;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(attempt.result().await, json!({"a": 1}));
}
