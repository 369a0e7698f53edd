//! A broker that does not look at what was switched off.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fluid_core::{Broker, BrokerResult, ClaimRequest, Claimed};
use tokio::time::Instant;

use crate::around::Around;

/// Each switch wakes all consumers, and they would do nothing else.
const EVERY: Duration = Duration::from_millis(500);

/// Claims from paused queues, and runs of disabled tasks, now and then.
#[derive(Debug, Default)]
pub(super) struct AlwaysOn {
    last: Mutex<Option<Instant>>,
}

impl AlwaysOn {
    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

impl Around for AlwaysOn {
    async fn claim(&self, broker: &dyn Broker, request: ClaimRequest) -> BrokerResult<Claimed> {
        let off = broker.settings().await?;
        let nothing = off.paused_queues.is_empty() && off.disabled_tasks.is_empty();
        if nothing || !self.is_due() {
            return broker.claim(request).await;
        }
        for queue in &off.paused_queues {
            broker.set_queue_paused(queue.clone(), false).await?;
        }
        for task in &off.disabled_tasks {
            broker.set_task_enabled(task.clone(), true).await?;
        }
        let claimed = broker.claim(request).await;
        for queue in off.paused_queues {
            broker.set_queue_paused(queue, true).await?;
        }
        for task in off.disabled_tasks {
            broker.set_task_enabled(task, false).await?;
        }
        claimed
    }
}
