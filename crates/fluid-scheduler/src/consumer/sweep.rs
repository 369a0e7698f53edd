//! Has executors end what outlived its run.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::Task;
use tokio_util::sync::CancellationToken;

use super::TaskConsumer;

const EVERY: Duration = Duration::from_secs(30);

impl TaskConsumer {
    pub(super) async fn sweep(&self, over: &CancellationToken) {
        let swept: Vec<_> = self
            .executors
            .all()
            .filter(|executor| executor.survives_consumer())
            .map(|executor| {
                let is_its = |task: &&Arc<Task>| {
                    let of_task = self.executors.of(task);
                    of_task.is_ok_and(|of_task| of_task.kind() == executor.kind())
                };
                let tasks: Vec<_> = self.manager.tasks().filter(is_its).cloned().collect();
                (executor, tasks)
            })
            .filter(|(_, tasks)| !tasks.is_empty())
            .collect();
        if swept.is_empty() {
            return;
        }
        let broker = self.manager.broker();
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            for (executor, tasks) in &swept {
                tokio::select! {
                    biased;
                    () = over.cancelled() => return,
                    () = executor.sweep(tasks, &**broker) => {}
                }
            }
        }
    }
}
