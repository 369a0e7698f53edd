//! Lists of runs come in pages that stay right while runs are added.

use serde_json::{Value, json};

use super::asked::{get, post};
use crate::served::{Served, served};

async fn enqueue(served: &Served, count: usize) {
    for _ in 0..count {
        assert_eq!(
            post(served, "/runs", &json!({"task": "hello"}))
                .await
                .status,
            201
        );
    }
}

fn ids(page: &Value) -> Vec<String> {
    let runs = page["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| run["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_hold_each_run_once_while_runs_are_added() {
    let served = served().await;
    enqueue(&served, 7).await;
    let mut seen = Vec::new();
    let mut path = "/runs?task=hello&limit=3".to_owned();
    loop {
        let page = get(&served, &path).await;
        assert_eq!(page.status, 200, "{}", page.json);
        seen.extend(ids(&page.json));
        enqueue(&served, 1).await;
        let link = page.header("link");
        let Some(next) = page.json["next"].as_str() else {
            assert_eq!(link, "", "the last page leads nowhere");
            break;
        };
        assert_eq!(
            link,
            format!("<?task=hello&limit=3&cursor={next}>; rel=\"next\"")
        );
        path = format!("/runs{}", link.split(['<', '>']).nth(1).unwrap());
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
}

#[tokio::test]
async fn a_filter_says_the_same_to_the_list_and_to_the_count() {
    let served = served().await;
    enqueue(&served, 3).await;
    let run = get(&served, "/runs?limit=1").await.json["runs"][0]["id"].clone();
    let run = run.as_str().unwrap();
    post(&served, &format!("/runs/{run}/cancel"), &json!(null)).await;
    for (query, count) in [
        ("", 3),
        ("state=queued", 2),
        ("state=queued&state=aborted", 3),
        ("task=other", 0),
        ("queue=default&state=aborted", 1),
        ("since=1h", 3),
        ("until=1h", 0),
        ("since=&until=", 3),
        (&format!("root={run}"), 1),
        (&format!("parent={run}"), 0),
    ] {
        let page = get(&served, &format!("/runs?{query}")).await;
        assert_eq!(ids(&page.json).len(), count, "{query}");
        let counted = get(&served, &format!("/runs/count?{query}")).await;
        assert_eq!(
            counted.json,
            json!({"count": count, "exact": true}),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_slip_in_a_query_is_refused_and_not_taken_for_everything() {
    let served = served().await;
    for (query, told) in [
        (
            "stat=queued",
            "there is no parameter \"stat\" here; there are task, state,",
        ),
        ("state=queud", "state"),
        ("limit=0", "\"0\" is not a number from 1 to 1000"),
        ("limit=1001", "\"1001\" is not a number from 1 to 1000"),
        ("since=yesterday", "\"yesterday\" is neither an instant"),
        ("cursor=abc", "this is no cursor"),
        ("parent=nope", "parent"),
    ] {
        let refused = get(&served, &format!("/runs?{query}")).await;
        assert_eq!(refused.problem(), (400, "invalid-query"), "{query}");
        let detail = refused.json["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{query}: {detail}");
    }
    let refused = post(&served, "/runs/cancel?stat=queued", &json!(null)).await;
    assert_eq!(refused.problem(), (400, "invalid-query"));
}
