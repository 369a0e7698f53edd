//! The dashboard, asked without a browser: what it weighs, and what it makes of what people wrote.

use fluid_core::{Task, TaskContext, TaskError};
use serde_json::json;

use crate::served::{served, serving};

/// All files of a first visit, over the wire.
const BUDGET: usize = 60 * 1024;

async fn packed(url: String) -> (reqwest::header::HeaderMap, usize) {
    let request = reqwest::Client::new().get(&url);
    let answer = request
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    let headers = answer.headers().clone();
    (headers, answer.bytes().await.unwrap().len())
}

async fn page(url: String) -> String {
    let answer = reqwest::get(url).await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_first_visit_costs_at_most_60_kb_and_the_files_are_kept_for_good() {
    let served = served().await;
    for first in ["", "tasks/hello", "runs"] {
        let address = served.url(&format!("/ui/{first}"));
        let html = page(address.clone()).await;
        let (_, mut bytes) = packed(address).await;
        let mut files = 0;
        for part in html
            .split(['"', '\''])
            .filter(|part| part.contains("assets/"))
        {
            let file = part.trim_start_matches("./").trim_start_matches("../");
            let (headers, size) = packed(served.url(&format!("/ui/{file}"))).await;
            assert!(
                headers["cache-control"]
                    .to_str()
                    .unwrap()
                    .contains("immutable")
            );
            assert!(headers.contains_key("etag"));
            bytes += size;
            files += 1;
        }
        assert_eq!(files, 5, "{html}");
        assert!(bytes <= BUDGET, "{first:?} weighs {bytes} bytes");
    }
}

#[tokio::test]
async fn what_ended_in_the_last_hour_is_told_where_the_broker_counts_it() {
    let served = served().await;
    let run = served.manager.queue_named("hello", &json!({})).await;
    served.manager.cancel(run.unwrap().run()).await.unwrap();
    let html = page(served.url("/ui/")).await;
    assert!(html.contains("1 run ended, 0 of them failed"), "{html}");
}

#[tokio::test]
async fn what_people_wrote_is_shown_as_text() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let evil = Task::function("evil", async |_: TaskContext<serde_json::Value>| {
        Err::<(), _>(TaskError::new(EVIL))
    })
    .unwrap()
    .description(EVIL)
    .tag(EVIL);
    let served = serving([evil]).await;
    let _consumes = served.consume();
    let run = served
        .manager
        .queue_named("evil", &json!({ EVIL: EVIL }))
        .await
        .unwrap()
        .run();
    served.manager.wait(run, None).await.unwrap();
    for path in [
        String::new(),
        "tasks".to_owned(),
        "tasks/evil".to_owned(),
        "runs".to_owned(),
        format!("runs/{run}"),
        format!("runs/{run}/log?q=%3Cscript%3Ealert(1)"),
        "tasks?tag=%3Cscript%3Ealert(1)".to_owned(),
        "runs?since=%3Cscript%3Ealert(1)".to_owned(),
    ] {
        let html = page(served.url(&format!("/ui/{path}"))).await;
        assert!(!html.contains("<script>alert"), "{path}: {html}");
        assert!(!html.contains("<img"), "{path}: {html}");
    }
}

#[tokio::test]
async fn nothing_is_sent_when_nothing_changed() {
    let served = served().await;
    let part = async |seen: &str| {
        let request = reqwest::Client::new().get(served.url("/ui/consumers"));
        let request = request
            .header("hx-request", "true")
            .header("fluid-seen", seen);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, html) = part("").await;
    assert_eq!((status, html.contains("<html")), (200, false));
    let print = html.split('"').nth(3).unwrap();
    assert_eq!(part(print).await, (204, String::new()));
}

#[tokio::test]
async fn a_page_that_is_not_there_is_said_on_a_page_wherever_the_routes_are_mounted() {
    let served = served().await;
    for path in [
        "/ui/nothing",
        "/fluid/ui/nothing",
        "/fluid/ui/runs/nothing/more",
    ] {
        let html = page(served.url(path)).await;
        assert!(html.contains("<h1>No such page</h1>"), "{path}: {html}");
    }
}
