//! A server of its own for each test, on a free port of loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use fluid_core::{Task, TaskContext, TaskError};
use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::{MemoryBroker, TaskManager};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Served {
    pub(crate) manager: TaskManager,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

/// Serves one task, `hello`, on a broker in memory.
pub(crate) async fn served() -> Served {
    let hello = Task::function("hello", async |_: TaskContext| Ok::<_, TaskError>("hi")).unwrap();
    let manager = TaskManager::builder()
        .broker(Arc::new(MemoryBroker::new()))
        .task(hello)
        .build()
        .unwrap();
    let app = routes(manager.clone(), HttpOptions::default());
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
}
