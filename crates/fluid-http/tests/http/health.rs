//! What `/healthz` and `/readyz` mean.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use fluid_core::{BrokerResult, ExecutorKind, Task, TaskContext, TaskError};
use fluid_exec_local::InlineExecutor;
use fluid_http::{Access, HttpOptions, routes};
use fluid_proof::{Around, Wrapped};
use fluid_scheduler::{ConsumerConfig, Executors, MemoryBroker, TaskConsumer, TaskManager};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Answers no call while it is away.
#[derive(Debug, Clone, Default)]
struct Away(Arc<AtomicBool>);

impl Around for Away {
    async fn call<T: Send>(
        &self,
        _: &'static str,
        work: impl Future<Output = BrokerResult<T>> + Send,
    ) -> BrokerResult<T> {
        if self.0.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        work.await
    }
}

struct Stage {
    manager: TaskManager,
    away: Away,
    entered: Arc<Semaphore>,
    options: HttpOptions,
}

/// One task, which tells when it began and goes on until it is told to stop.
fn stage() -> Stage {
    let (away, entered) = (Away::default(), Arc::new(Semaphore::new(0)));
    let enters = entered.clone();
    let long = Task::function("long", move |ctx: TaskContext| {
        enters.add_permits(1);
        async move {
            ctx.cancelled().cancelled().await;
            Ok::<_, TaskError>(())
        }
    });
    let broker = Wrapped::of(Arc::new(MemoryBroker::new()), away.clone());
    let manager = TaskManager::builder().broker(broker).task(long.unwrap());
    // Asked without a socket, so nothing says whence.
    let mut options = HttpOptions::default();
    options.access = Access::Open;
    Stage {
        manager: manager.build().unwrap(),
        away,
        entered,
        options,
    }
}

impl Stage {
    fn consumer(&self) -> TaskConsumer {
        let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
        TaskConsumer::new(self.manager.clone(), executors, ConsumerConfig::default())
    }

    /// The status and what was looked at.
    async fn ask(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path)
            .header("Host", "localhost")
            .header("Accept", "application/json");
        let app = routes(self.manager.clone(), self.options.clone());
        let answer = app.oneshot(request.body(Body::empty()).unwrap()).await;
        let answer = answer.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn scrape(&self) -> String {
        let request = Request::get("/metrics").header("Host", "localhost");
        let app = routes(self.manager.clone(), self.options.clone());
        let answer = app.oneshot(request.body(Body::empty()).unwrap()).await;
        let body = to_bytes(answer.unwrap().into_body(), 1_000_000).await;
        String::from_utf8(body.unwrap().to_vec()).unwrap()
    }
}

fn failing(answer: &Value) -> Vec<&str> {
    let checks = answer["checks"].as_array();
    let checks = checks.unwrap_or_else(|| panic!("{answer} has no checks"));
    let failing = checks.iter().filter(|check| check["ok"] == false);
    failing
        .map(|check| check["what"].as_str().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_come_round_is_no_health() {
    let stage = stage();
    let consumer = stage.consumer();
    let mut work = Box::pin(consumer.run(CancellationToken::new()));
    assert!(futures_util::poll!(&mut work).is_pending());
    let (status, answer) = stage.ask("/healthz").await;
    assert_eq!((status, failing(&answer)), (200, vec![]), "{answer}");
    // Nobody polls it any more.
    tokio::time::advance(Duration::from_secs(75)).await;
    let (status, answer) = stage.ask("/healthz").await;
    assert_eq!(
        (status, failing(&answer)),
        (503, vec!["consumer", "leases"]),
        "{answer}"
    );
    drop(work);
    let (status, answer) = stage.ask("/healthz").await;
    assert_eq!((status, failing(&answer)), (200, vec![]), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_not_ready_but_no_reason_to_restart() {
    let stage = stage();
    let consumer = stage.consumer();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let work = tokio::spawn(async move { consumer.run(stopped).await });
    let (status, answer) = stage.ask("/readyz").await;
    assert_eq!((status, failing(&answer)), (200, vec![]), "{answer}");
    stage.away.0.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let (status, answer) = stage.ask("/readyz").await;
    assert_eq!(
        (status, failing(&answer)),
        (503, vec!["broker"]),
        "{answer}"
    );
    let (status, answer) = stage.ask("/healthz").await;
    assert_eq!((status, failing(&answer)), (200, vec![]), "{answer}");
    let scrape = stage.scrape().await;
    assert!(
        scrape.contains("fluid_broker_up{scheme=\"memory\"} 0\n"),
        "{scrape}"
    );
    assert!(!scrape.contains("fluid_task_runs"), "{scrape}");
    work.abort();
}

#[tokio::test(start_paused = true)]
async fn a_process_that_drains_is_healthy_but_not_ready() {
    let stage = stage();
    let consumer = stage.consumer();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let work = tokio::spawn(async move { consumer.run(stopped).await });
    let params = serde_json::json!({});
    let queued = stage.manager.queue_named("long", &params).await;
    queued.unwrap();
    stage.entered.acquire().await.unwrap().forget();
    stop.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (status, answer) = stage.ask("/readyz").await;
    assert_eq!((status, failing(&answer)), (503, vec!["work"]), "{answer}");
    let (status, answer) = stage.ask("/healthz").await;
    assert_eq!((status, failing(&answer)), (200, vec![]), "{answer}");
    work.await.unwrap().unwrap();
}
