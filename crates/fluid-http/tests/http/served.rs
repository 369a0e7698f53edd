//! A server of its own for each test, on a free port of loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use fluid_core::{Broker, ExecutorKind, Task, TaskContext, TaskError};
use fluid_exec_local::InlineExecutor;
use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::{ConsumerConfig, Executors, MemoryBroker, TaskConsumer, TaskManager};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Served {
    pub(crate) manager: TaskManager,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

/// Serves one task, `hello`, on a broker in memory.
pub(crate) async fn served() -> Served {
    let hello = Task::function("hello", async |_: TaskContext| Ok::<_, TaskError>("hi")).unwrap();
    serving([hello]).await
}

/// Serves these tasks on a broker in memory, below `/fluid` of somebody's own router too.
pub(crate) async fn serving(tasks: impl IntoIterator<Item = Task>) -> Served {
    let manager = task_manager(Arc::new(MemoryBroker::new()), tasks);
    let app = routes(manager.clone(), HttpOptions::default());
    let below = routes(manager.clone(), HttpOptions::default());
    serving_app(manager, app.nest("/fluid", below)).await
}

pub(crate) fn task_manager(
    broker: Arc<dyn Broker>,
    tasks: impl IntoIterator<Item = Task>,
) -> TaskManager {
    let manager = TaskManager::builder().broker(broker).tasks(tasks);
    manager.build().unwrap()
}

/// Serves the routes of a manager, however they were mounted.
pub(crate) async fn serving_app(manager: TaskManager, app: Router) -> Served {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), app).await.unwrap();
    let address = server.address().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(stop.clone()));
    Served {
        manager,
        address,
        _stop: stop.drop_guard(),
    }
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Carries out what is queued, until it is dropped.
    pub(crate) fn consume(&self) -> DropGuard {
        let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
        let config = ConsumerConfig::default();
        let consumer = TaskConsumer::new(self.manager.clone(), executors, config);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { consumer.run(stopped).await });
        stop.drop_guard()
    }
}
