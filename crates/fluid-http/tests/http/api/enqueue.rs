//! A request for a run is taken once, and answered with the run that stands for it.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{ParamsSchema, Task, TaskContext, TaskError, UniquePolicy};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::asked::{Answer, answer, get, post, request};
use crate::served::{Served, served, serving};

fn echo() -> Task {
    let echo = async |ctx: TaskContext<Value>| Ok::<_, TaskError>(ctx.params.clone());
    let schema = json!({
        "type": "object",
        "properties": { "n": { "type": "integer" }, "token": { "type": "string", "writeOnly": true } },
        "required": ["n"],
    });
    let task = Task::function("echo", echo).unwrap();
    task.params(ParamsSchema::from_value(schema).unwrap())
}

async fn keyed(served: &Served, key: &str, body: &Value) -> Answer {
    let request = request(served, Method::POST, "/runs").header("Idempotency-Key", key);
    answer(request.json(body)).await
}

#[tokio::test]
async fn a_new_run_is_where_its_location_says_behind_any_prefix() {
    let served = served().await;
    for prefix in ["", "/fluid"] {
        let url = served.url(&format!("{prefix}/api/v1/runs"));
        let made = reqwest::Client::new()
            .post(&url)
            .json(&json!({ "task": "hello" }));
        let made = made.send().await.unwrap();
        assert_eq!(made.status(), 201);
        let location = made.headers()["location"].to_str().unwrap().to_owned();
        let place = made.url().join(&location).unwrap();
        let made: Value = made.json().await.unwrap();
        let found: Value = reqwest::get(place).await.unwrap().json().await.unwrap();
        assert_eq!(
            (&found["id"], &found["state"]),
            (&made["id"], &json!("queued"))
        );
        assert_eq!(made["duplicate"], false);
    }
}

#[tokio::test]
async fn what_is_asked_for_beside_the_task_is_kept() {
    let served = serving([echo()]).await;
    let body = json!({
        "task": "echo", "params": {"n": 1, "token": "hunter2"}, "queue": "gpu", "priority": "high", "delay": "1h",
    });
    let made = post(&served, "/runs", &body).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let run = &made.json;
    assert_eq!(
        (&run["queue"], &run["priority"], &run["state"]),
        (&json!("gpu"), &json!("high"), &json!("scheduled"))
    );
    assert_eq!(run["params"], json!({"n": 1, "token": "[redacted]"}));
    let due = json!({"task": "echo", "params": {"n": 1}, "due_at": "2100-01-01T00:00:00Z"});
    let made = post(&served, "/runs", &due).await;
    assert_eq!(made.json["due_at"], "2100-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_wait_ends_with_the_run_or_with_its_time() {
    let open = Arc::new(Semaphore::new(0));
    let gate = open.clone();
    let held = Task::function("held", move |_: TaskContext| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(TaskError::from)?.forget();
            Ok::<_, TaskError>(7)
        }
    });
    let served = serving([held.unwrap()]).await;
    let _consumer = served.consume();

    let over = post(&served, "/runs?wait=10ms", &json!({"task": "held"})).await;
    assert_eq!(over.status, 202, "{}", over.json);
    let run = over.json["id"].as_str().unwrap();
    let waiting = get(&served, &format!("/runs/{run}?wait=1ms")).await;
    assert_eq!(waiting.status, 200);
    assert_ne!(waiting.json["state"], "success");

    open.add_permits(2);
    let ended = get(&served, &format!("/runs/{run}?wait=20s")).await;
    assert_eq!(
        (&ended.json["state"], &ended.json["result"]),
        (&json!("success"), &json!(7))
    );
    let made = post(&served, "/runs?wait=20s", &json!({"task": "held"})).await;
    assert_eq!((made.status, &made.json["state"]), (201, &json!("success")));
}

#[tokio::test]
async fn one_key_makes_one_run_whatever_became_of_it() {
    let served = serving([echo()]).await;
    let body = json!({"task": "echo", "params": {"n": 1}, "delay": 60});
    let first = keyed(&served, "k-1", &body).await;
    assert_eq!(
        (first.status, &first.json["duplicate"]),
        (201, &json!(false))
    );
    let run = first.json["id"].as_str().unwrap();
    // Written otherwise, and the same.
    let again = json!({"params": {"n": 1}, "task": "echo", "delay": "1m"});
    let second = keyed(&served, "k-1", &again).await;
    assert_eq!(
        (second.status, &second.json["duplicate"]),
        (200, &json!(true))
    );
    assert_eq!(second.json["id"], run);
    assert_eq!(second.header("location"), format!("runs/{run}"));

    post(&served, &format!("/runs/{run}/cancel"), &json!(null)).await;
    let third = keyed(&served, "k-1", &body).await;
    assert_eq!(
        (third.status, &third.json["state"]),
        (200, &json!("aborted"))
    );
    assert_eq!(keyed(&served, "k-2", &body).await.status, 201);
}

#[tokio::test]
async fn a_key_is_not_for_another_request() {
    let served = serving([echo()]).await;
    let body = json!({"task": "echo", "params": {"n": 1, "token": "hunter2"}});
    assert_eq!(keyed(&served, "k", &body).await.status, 201);
    for (member, other) in [
        ("params", json!({"n": 2, "token": "hunter2"})),
        ("queue", json!("gpu")),
        ("priority", json!("low")),
        ("delay", json!("5m")),
    ] {
        let mut body = body.clone();
        body[member] = other;
        let refused = keyed(&served, "k", &body).await;
        assert_eq!(
            refused.problem(),
            (422, "idempotency-key-reused"),
            "{member}"
        );
        assert!(!refused.json.to_string().contains("hunter2"));
    }
    let mut own = body.clone();
    own["unique_key"] = json!("mine");
    let own = keyed(&served, "k", &own).await;
    assert_eq!(own.status, 201, "a key of its own goes before");
    let long = "k".repeat(256);
    assert_eq!(
        keyed(&served, &long, &body).await.problem(),
        (400, "invalid-header")
    );
}

#[tokio::test]
async fn a_task_that_knows_when_requests_are_the_same_decides_alone() {
    let mut policy = UniquePolicy::default();
    policy.window = Some(Duration::from_secs(60));
    let served = serving([echo().unique(policy)]).await;
    let body = json!({"task": "echo", "params": {"n": 1}});
    let first = keyed(&served, "a", &body).await;
    let second = keyed(&served, "b", &body).await;
    assert_eq!(
        (second.status, &second.json["id"]),
        (200, &first.json["id"])
    );
    let other = json!({"task": "echo", "params": {"n": 2}});
    assert_eq!(keyed(&served, "a", &other).await.status, 201);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_where_it_is_and_never_by_value() {
    let served = serving([echo()]).await;
    let body = json!({"task": "echo", "params": {"n": "hunter2"}});
    let refused = post(&served, "/runs", &body).await;
    assert_eq!(refused.problem(), (422, "invalid-params"));
    assert_eq!(refused.json["errors"][0]["pointer"], "/params/n");
    assert!(
        !refused.json.to_string().contains("hunter2"),
        "{}",
        refused.json
    );

    let unknown = post(&served, "/runs", &json!({"task": "ech"})).await;
    assert_eq!(unknown.problem(), (422, "unknown-task"));
    assert!(
        unknown.json["detail"]
            .as_str()
            .unwrap()
            .ends_with("did you mean echo?")
    );

    for (body, told) in [
        (json!({"params": {}}), "missing field `task`"),
        (
            json!({"task": "echo", "prams": {}}),
            "unknown field `prams`",
        ),
        (json!({"task": "echo", "priority": "urgent"}), "priority"),
        (
            json!({"task": "echo", "delay": "soon"}),
            "is not a duration",
        ),
        (
            json!({"task": "echo", "delay": 4_000_000_000_u64}),
            "longer than 100 years",
        ),
        (
            json!({"task": "echo", "delay": 1, "due_at": "2100-01-01T00:00:00Z"}),
            "not both",
        ),
        (json!({"task": "a b"}), "invalid task name"),
    ] {
        let refused = post(&served, "/runs", &body).await;
        assert_eq!(refused.problem(), (422, "invalid-body"), "{body}");
        let detail = refused.json["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{body}: {detail}");
    }
}
