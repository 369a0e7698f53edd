//! How it stands, and what can be switched.

use std::time::Duration;

use fluid_core::{MissedTicks, Schedule, Task, TaskContext, TaskError};
use serde_json::json;

use super::asked::{get, patch, post};
use crate::served::{served, serving};

fn task(name: &str) -> Task {
    Task::function(name, async |_: TaskContext| Ok::<_, TaskError>(())).unwrap()
}

#[tokio::test]
async fn tasks_are_found_by_their_tags_and_switched() {
    let served = serving([task("a").tag("x").tag("y"), task("b").tag("x")]).await;
    let names = async |query: &str| {
        let found = get(&served, &format!("/tasks{query}")).await.json;
        let names = found.as_array().unwrap().iter();
        names
            .map(|task| task["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["a", "b"]);
    assert_eq!(names("?tag=x").await, ["a", "b"]);
    assert_eq!(names("?tag=x&tag=y").await, ["a"]);
    assert_eq!(names("?tag=z").await, [""; 0]);

    let off = patch(&served, "/tasks/a", &json!({"enabled": false})).await;
    assert_eq!((off.status, &off.json["enabled"]), (200, &json!(false)));
    assert_eq!(get(&served, "/tasks/a").await.json["enabled"], false);
    let status = get(&served, "/status").await.json;
    assert_eq!(status["disabled_tasks"], json!(["a"]));
    patch(&served, "/tasks/a", &json!({"enabled": true})).await;
    assert_eq!(get(&served, "/tasks/a").await.json["enabled"], true);
    let refused = patch(&served, "/tasks/a", &json!({"enabled": 1})).await;
    assert_eq!(refused.problem(), (422, "invalid-body"));
}

#[tokio::test]
async fn queues_are_those_that_somebody_uses_and_can_be_paused() {
    let served = served().await;
    post(&served, "/runs", &json!({"task": "hello", "queue": "gpu"})).await;
    let paused = patch(&served, "/queues/gpu", &json!({"paused": true})).await;
    let gpu = json!({"name": "gpu", "paused": true, "consumers": 0, "scheduled": 0, "queued": 1, "running": 0});
    assert_eq!(paused.json, gpu);
    let queues = get(&served, "/queues").await.json;
    assert_eq!((&queues[0]["name"], &queues[1]), (&json!("default"), &gpu));
    let refused = patch(&served, "/queues/gqu", &json!({"paused": true})).await;
    assert_eq!(refused.problem(), (404, "no-such-queue"));
}

#[tokio::test]
async fn a_schedule_tells_its_next_last_and_missed_ticks() {
    let minutely = Schedule::every(Duration::from_secs(60)).unwrap();
    let ticking = task("ticking")
        .schedule(minutely.clone())
        .missed(MissedTicks::All);
    let served = serving([ticking, task("never")]).await;
    let before = get(&served, "/schedules").await.json;
    assert_eq!(
        (&before[0]["last"], &before[0]["missed"]),
        (&json!(null), &json!(0))
    );
    assert_eq!(before.as_array().unwrap().len(), 1);

    let broker = served.manager.broker();
    let now = broker.now().await.unwrap();
    let last = minutely.next_after(now - Duration::from_secs(600)).unwrap();
    let seen = [(fluid_core::TaskName::parse("ticking").unwrap(), last)];
    broker.import(Vec::new(), seen.into()).await.unwrap();
    let after = get(&served, "/schedules").await.json;
    assert_eq!(after[0]["last"], json!(last));
    assert_eq!(after[0]["when_missed"], "all");
    // Ten minutes ago, and none of the last minute counts; the clock may have gone on by one since.
    let missed = after[0]["missed"].as_u64().unwrap();
    assert!((8..=9).contains(&missed), "{missed}");
    assert!(after[0]["next"].is_string());
}

#[tokio::test]
async fn a_run_is_shown_with_why_it_waits_its_attempts_and_its_children() {
    let served = served().await;
    let made = post(&served, "/runs", &json!({"task": "hello"})).await;
    let run = made.json["id"].as_str().unwrap();
    let shown = get(&served, &format!("/runs/{run}")).await.json;
    assert_eq!(
        shown["why_waiting"],
        "no consumer is running: start one with `serve`"
    );
    assert_eq!(
        (&shown["attempts"], &shown["children"]),
        (&json!([]), &json!([]))
    );
    let _consumer = served.consume();
    let ended = get(&served, &format!("/runs/{run}?wait=20s")).await.json;
    assert_eq!(ended["attempts"][0]["outcome"], "success");
    assert_eq!(ended.get("why_waiting"), None);
    let consumers = get(&served, "/consumers").await.json;
    assert_eq!(consumers[0]["tasks"][0]["name"], "hello");
    let status = get(&served, "/status").await.json;
    assert_eq!(
        (&status["states"]["success"], &status["consumers"]),
        (&json!(1), &json!(1))
    );
}
