//! Whatever is refused is refused by a problem that says what to do.

use reqwest::Method;
use serde_json::json;

use super::asked::{answer, get, post, request};
use crate::served::served;

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let served = served().await;
    let run = fluid_core::RunId::new();
    for (path, kind) in [
        ("/nothing".to_owned(), "no-such-route"),
        (String::new(), "no-such-route"),
        ("/tasks/nope".to_owned(), "no-such-task"),
        (format!("/runs/{run}"), "no-such-run"),
        (format!("/runs/{run}/logs"), "no-such-run"),
    ] {
        assert_eq!(get(&served, &path).await.problem(), (404, kind), "{path}");
    }
    for deed in ["cancel", "retry"] {
        let refused = post(&served, &format!("/runs/{run}/{deed}"), &json!(null)).await;
        assert_eq!(refused.problem(), (404, "no-such-run"), "{deed}");
    }
    assert_eq!(
        get(&served, "/runs/nope").await.problem(),
        (400, "invalid-path")
    );
}

#[tokio::test]
async fn a_method_that_means_nothing_is_a_problem_that_lists_those_that_do() {
    let served = served().await;
    let refused = answer(request(&served, Method::PUT, "/runs")).await;
    assert_eq!(refused.problem(), (405, "method-not-allowed"));
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
}

#[tokio::test]
async fn options_and_head_are_answered_without_a_body() {
    let served = served().await;
    let options = answer(request(&served, Method::OPTIONS, "/tasks/hello")).await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, "GET,HEAD,PATCH")
    );
    let head = request(&served, Method::HEAD, "/tasks")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status().as_u16(), head.text().await.unwrap()),
        (200, String::new())
    );
    let options = answer(request(&served, Method::OPTIONS, "/nothing")).await;
    assert_eq!(options.problem(), (404, "no-such-route"));
}

#[tokio::test]
async fn a_body_that_can_not_be_read_is_a_problem() {
    let served = served().await;
    let runs = || request(&served, Method::POST, "/runs");
    let json = |body: &str| {
        let body = body.to_owned();
        runs().header("content-type", "application/json").body(body)
    };
    let broken = answer(json("{\"task\": hello}")).await;
    assert_eq!(broken.problem(), (400, "invalid-json"));
    assert!(
        broken.json["detail"]
            .as_str()
            .unwrap()
            .contains("line 1 column 10")
    );
    let form = answer(runs().header("content-type", "text/plain").body("{}")).await;
    assert_eq!(form.problem(), (415, "unsupported-media-type"));
    let none = answer(runs()).await;
    assert_eq!(none.problem(), (415, "unsupported-media-type"));
    let large = format!("{{\"task\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(answer(json(&large)).await.problem(), (413, "too-large"));
}

#[tokio::test]
async fn a_run_that_goes_on_is_not_done_once_more() {
    let served = served().await;
    let made = post(&served, "/runs", &json!({"task": "hello"})).await;
    let run = made.json["id"].as_str().unwrap();
    let refused = post(&served, &format!("/runs/{run}/retry"), &json!(null)).await;
    assert_eq!(refused.problem(), (409, "not-finished"));
    let cancelled = post(&served, &format!("/runs/{run}/cancel"), &json!(null)).await;
    assert_eq!(cancelled.json["outcome"], "aborted");
    let again = post(&served, &format!("/runs/{run}/cancel"), &json!(null)).await;
    let expected = json!({"run": run, "outcome": "already_finished", "state": "aborted"});
    assert_eq!(again.json, expected);
    let new = post(&served, &format!("/runs/{run}/retry"), &json!(null)).await;
    assert_eq!((new.status, &new.json["retry_of"]), (201, &json!(run)));
    let id = new.json["id"].as_str().unwrap();
    assert_eq!(new.header("location"), format!("../{id}"));
}
