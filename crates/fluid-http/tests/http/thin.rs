//! The thinnest path through every layer.

use serde_json::{Value, json};

use crate::served::served;

async fn get(url: String) -> (u16, Value) {
    let answer = reqwest::get(url).await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

#[tokio::test]
async fn a_run_is_found_by_its_id() {
    let served = served().await;
    let run = served
        .manager
        .queue_named("hello", &json!({}))
        .await
        .unwrap()
        .run();
    let (status, found) = get(served.url(&format!("/api/v1/runs/{run}"))).await;
    assert_eq!(
        (status, &found["state"]),
        (200, &json!("queued")),
        "{found}"
    );
}

#[tokio::test]
async fn a_run_that_is_not_there_is_a_problem_that_says_so() {
    let served = served().await;
    let run = fluid_core::RunId::new();
    let (status, problem) = get(served.url(&format!("/api/v1/runs/{run}"))).await;
    assert_eq!(
        (status, &problem["type"]),
        (404, &json!("urn:fluid:problem:no-such-run"))
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains(&run.to_string()),
        "{problem}"
    );
}

#[tokio::test]
async fn the_description_resolves_in_itself() {
    let served = served().await;
    let (status, document) = get(served.url("/api/v1/openapi.json")).await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
    }
}
