//! What is done to all runs of a filter is bounded, and never done to all by a slip.

use serde_json::json;

use super::asked::{get, post};
use crate::served::served;

#[tokio::test]
async fn a_query_that_chooses_nothing_is_refused_unless_all_are_meant() {
    let served = served().await;
    post(&served, "/runs", &json!({"task": "hello"})).await;
    for deed in ["cancel", "retry", "purge"] {
        for query in ["", "?limit=10", "?all=false"] {
            let refused = post(&served, &format!("/runs/{deed}{query}"), &json!(null)).await;
            assert_eq!(refused.problem(), (400, "filter-required"), "{deed}{query}");
        }
    }
    assert_eq!(
        get(&served, "/runs/count?state=queued").await.json["count"],
        1
    );
    let done = post(&served, "/runs/cancel?all=true", &json!(null)).await;
    assert_eq!((done.status, &done.json["aborted"]), (200, &json!(1)));
}

#[tokio::test]
async fn runs_are_cancelled_retried_and_deleted_up_to_a_limit() {
    let served = served().await;
    for _ in 0..5 {
        post(&served, "/runs", &json!({"task": "hello"})).await;
    }
    let done = post(&served, "/runs/cancel?task=hello&limit=3", &json!(null)).await;
    let expected = json!({"aborted": 3, "requested": 0, "finished": 0, "more": true});
    assert_eq!(done.json, expected);
    let done = post(&served, "/runs/retry?state=aborted&limit=2", &json!(null)).await;
    let made = done.json["runs"].as_array().unwrap();
    assert_eq!(made.len(), 2);
    let new = get(&served, &format!("/runs/{}", made[0].as_str().unwrap())).await;
    assert_eq!(new.json["trigger"], "retry");
    let done = post(&served, "/runs/purge?since=1h", &json!(null)).await;
    assert_eq!(done.json, json!({"deleted": 3}), "only what is finished");
    assert_eq!(get(&served, "/runs/count").await.json["count"], 4);
}
