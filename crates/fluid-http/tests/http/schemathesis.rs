//! The API answers what its description says, whatever it is asked: held by schemathesis.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{ParamsSchema, RunFilter, RunState, Schedule, Task, TaskContext, TaskError};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::python::{file, python};
use crate::served::{Served, serving_app, task_manager};

/// How long it may search.
const BUDGET: Duration = Duration::from_secs(20);
/// Longer than anything else here takes.
const DEADLINE: Duration = Duration::from_secs(20);
/// So long a stream goes on: schemathesis reads an answer to its end.
const STREAM: Duration = Duration::from_millis(200);

fn tasks() -> [Task; 3] {
    let resize = async |ctx: TaskContext<Value>| {
        ctx.progress(0.5, "half of it");
        Ok::<_, TaskError>(ctx.params.clone())
    };
    let schema = json!({
        "$defs": { "Size": { "type": "object", "properties": { "width": { "type": "integer", "minimum": 1 } }, "required": ["width"] } },
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 20 },
            "sizes": { "type": "array", "items": { "$ref": "#/$defs/Size" }, "maxItems": 3 },
            "token": { "type": "string", "writeOnly": true },
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    let resize = Task::function("resize", resize).unwrap();
    let fail = Task::function("fail", async |_: TaskContext| {
        Err::<(), _>(TaskError::fatal("it broke"))
    });
    let tick = Task::function("tick", async |_: TaskContext| Ok::<_, TaskError>(1));
    [
        resize
            .params(ParamsSchema::from_value(schema).unwrap())
            .tag("images"),
        fail.unwrap().description("Fails."),
        tick.unwrap()
            .schedule(Schedule::cron("0 3 * * *", "Europe/Zurich").unwrap()),
    ]
}

/// Runs in every state that a consumer leaves them in, and some that wait.
async fn fill(served: &Served) {
    let consumer = served.consume();
    for number in 0..40 {
        let params = json!({ "name": format!("n{number}"), "token": "hunter2" });
        served.manager.queue_named("resize", &params).await.unwrap();
        served
            .manager
            .queue_named("fail", &json!({}))
            .await
            .unwrap();
    }
    let finished = RunFilter::default().finished().unwrap();
    let all = async {
        while served
            .manager
            .count_matching(&finished, 100)
            .await
            .unwrap()
            .count
            < 80
        {
            let _ = served.manager.events().recv().await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("they end");
    drop(consumer);
    for _ in 0..20 {
        served
            .manager
            .queue_named("tick", &json!({}))
            .await
            .unwrap();
    }
    let waiting = RunFilter {
        states: vec![RunState::Queued],
        ..RunFilter::default()
    };
    served.manager.cancel_matching(&waiting, 5).await.unwrap();
}

/// Ends streams soon.
async fn end_streams(response: Response<Body>) -> Response<Body> {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "text/event-stream") {
        return response;
    }
    response.map(|body| {
        let end = Box::pin(tokio::time::sleep(STREAM));
        Body::from_stream(body.into_data_stream().take_until(end))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_is_answered_as_described() {
    let seed = std::env::var("FLUID_SCHEMATHESIS_SEED");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = seed.unwrap_or_else(|_| now.as_secs().to_string());
    println!("seed {seed}: set FLUID_SCHEMATHESIS_SEED={seed} to search alike");
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(SqliteOptions::new(folder.path().join("fluid.db")))
        .await
        .unwrap();
    let manager = task_manager(Arc::new(broker), tasks());
    let app = fluid_http::routes(manager.clone(), fluid_http::HttpOptions::default());
    let served = serving_app(manager, app.layer(map_response(end_streams))).await;
    fill(&served).await;
    let _consumer = served.consume();
    let mut search = Command::new(python());
    search
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(file("schemathesis.toml"));
    search.arg("run").arg(served.url("/api/v1/openapi.json"));
    search.args(["--url", &served.url("/api/v1")]);
    search.args(["--seed", &seed, "--max-time", &BUDGET.as_secs().to_string()]);
    search.env("PYTHONPATH", file(""));
    search
        .env("SCHEMATHESIS_HOOKS", "api_hooks")
        .env("FLUID_API", served.url("/api/v1"));
    // What it remembers of one search is of no use to the next.
    search
        .current_dir(folder.path())
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path());
    let found = tokio::task::spawn_blocking(move || search.output())
        .await
        .unwrap()
        .unwrap();
    let told = String::from_utf8_lossy(&found.stdout);
    assert!(
        found.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&found.stderr)
    );
    println!("{told}");
}
