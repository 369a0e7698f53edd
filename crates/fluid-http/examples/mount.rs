//! A service of one's own with fluid below `/jobs`: `cargo run -p fluid-http --example mount [ADDRESS]`.
//!
//! It carries its runs out itself and keeps them in memory. A POST to `/welcome/ada` enqueues one; `/jobs/` shows it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use fluid_core::{ExecutorKind, Task, TaskContext, TaskError};
use fluid_exec_local::InlineExecutor;
use fluid_http::{HttpOptions, routes};
use fluid_scheduler::{ConsumerConfig, Executors, MemoryBroker, TaskConsumer, TaskManager};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
struct Guest {
    name: String,
}

async fn greet(ctx: TaskContext<Guest>) -> Result<String, TaskError> {
    Ok(format!("welcome, {}", ctx.params.name))
}

/// The service's own route: it answers at once, and the work is done by a run.
async fn welcome(
    State(tasks): State<TaskManager>,
    Path(name): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let queued = tasks.queue_named("greet", &Guest { name }).await;
    let queued = queued.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(format!("{}\n", queued.run()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let tasks = TaskManager::builder()
        .broker(Arc::new(MemoryBroker::new()))
        .task(Task::function("greet", greet)?.description("Welcomes a guest."))
        .build()?;
    let mut options = HttpOptions::default();
    options.name = String::from("guest book");
    let app = Router::new()
        .route("/welcome/{name}", post(welcome))
        .with_state(tasks.clone())
        .nest("/jobs", routes(tasks.clone(), options));

    // Who asks is of interest: without tokens only this machine is answered.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("http://{}/jobs/", listener.local_addr()?);
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    let consumer = TaskConsumer::new(tasks, executors, ConsumerConfig::default());
    tokio::select! {
        served = axum::serve(listener, service) => Ok(served?),
        worked = consumer.run(CancellationToken::new()) => Ok(worked?),
    }
}
