//! Secret parameters of functions.

use fluid_core::{ErrorKind, REDACTED};
use serde_json::json;

use super::stage::Stage;

/// What must be seen nowhere. It takes escapes in JSON and quotes in a shell.
pub(super) const SECRET: &str = "hunter\"2\\ $HOME 'x'";

pub(super) async fn a_secret_arrives_at_the_function(stage: Stage<'_>) {
    let length = stage
        .result_of("secret_length", json!({"token": SECRET}))
        .await;
    assert_eq!(length, json!(SECRET.len()));
}

pub(super) async fn a_secret_is_in_no_result(stage: Stage<'_>) {
    let params = json!({"token": SECRET, "user": "ada"});
    let result = stage.result_of("secret_result", params).await;
    assert_eq!(
        result["params"],
        json!({"token": REDACTED, "user": "ada"}),
        "{result}"
    );
    assert!(!result.to_string().contains("hunter"), "{result}");
}

pub(super) async fn a_secret_is_in_no_error(stage: Stage<'_>) {
    let mut attempt = stage.start("secret_error", json!({"token": SECRET})).await;
    let error = attempt.error().await;
    assert!(error.message.contains(REDACTED), "{error:?}");
    let seen = format!("{error:?} {:?}", attempt.news);
    assert!(!seen.contains("hunter"), "{seen}");
}

pub(super) async fn a_secret_is_in_no_panic(stage: Stage<'_>) {
    let mut attempt = stage.start("secret_panic", json!({"token": SECRET})).await;
    let error = attempt.error().await;
    assert_eq!(error.kind, ErrorKind::Panic);
    assert!(error.message.contains(REDACTED), "{error:?}");
    let seen = format!("{error:?} {:?}", attempt.news);
    assert!(!seen.contains("hunter"), "{seen}");
}

pub(super) async fn a_secret_is_in_no_progress(stage: Stage<'_>) {
    let mut attempt = stage
        .start("secret_progress", json!({"token": SECRET}))
        .await;
    attempt.result().await;
    let seen = format!("{:?}", attempt.news.progress);
    assert!(
        seen.contains(REDACTED) && !seen.contains("hunter"),
        "{seen}"
    );
}
