//! A manager on a memory broker, and consumers to start and stop.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    Executor, ExecutorKind, JsonText, QueueRequest, RunId, Task, TaskContext, TaskError, TaskName,
    TaskRun,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, MemoryBroker, TaskConsumer, TaskManager};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn name(text: &str) -> TaskName {
    TaskName::parse(text).unwrap()
}

/// A task without parameters.
pub(crate) fn task<F, Fut, T>(text: &str, function: F) -> Task
where
    F: Fn(TaskContext<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
    T: serde::Serialize,
{
    Task::function(text, function).unwrap()
}

pub(crate) fn manager(tasks: impl IntoIterator<Item = Task>) -> TaskManager {
    manager_on(Arc::new(MemoryBroker::new()), tasks)
}

pub(crate) fn manager_on(
    broker: Arc<dyn fluid_core::Broker>,
    tasks: impl IntoIterator<Item = Task>,
) -> TaskManager {
    TaskManager::builder()
        .broker(broker)
        .tasks(tasks)
        .build()
        .unwrap()
}

pub(crate) async fn queue(manager: &TaskManager, task: &str) -> RunId {
    manager
        .queue_named(task, &serde_json::json!({}))
        .await
        .unwrap()
        .run()
}

pub(crate) fn request(task: &str, params: Value) -> QueueRequest {
    QueueRequest::new(name(task), JsonText::from(params))
}

pub(crate) async fn ended(manager: &TaskManager, run: RunId) -> TaskRun {
    manager.wait(run, Some(DEADLINE)).await.unwrap()
}

/// A consumer at work.
pub(crate) struct AtWork {
    pub(crate) stop: CancellationToken,
    pub(crate) force: CancellationToken,
    work: JoinHandle<fluid_core::BrokerResult<()>>,
}

impl AtWork {
    pub(crate) fn start(manager: &TaskManager) -> Self {
        Self::with(manager, ConsumerConfig::default(), Arc::new(InlineExecutor))
    }

    pub(crate) fn with(
        manager: &TaskManager,
        config: ConsumerConfig,
        executor: Arc<dyn Executor>,
    ) -> Self {
        let executors = Executors::new(ExecutorKind::Inline).with(executor);
        let consumer = TaskConsumer::new(manager.clone(), executors, config);
        let (stop, force) = (CancellationToken::new(), consumer.force());
        let stopped = stop.clone();
        let work = tokio::spawn(async move { consumer.run(stopped).await });
        Self { stop, force, work }
    }

    /// Dies without a word, as a process that is killed.
    pub(crate) async fn kill(self) {
        self.work.abort();
        let _ = self.work.await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.end().await;
    }

    pub(crate) async fn end(self) {
        tokio::time::timeout(DEADLINE, self.work)
            .await
            .expect("it drains in time")
            .unwrap()
            .unwrap();
    }
}
