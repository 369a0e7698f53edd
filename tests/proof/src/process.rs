//! What a consumer or scheduler of the proofs is made of, wherever it runs.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Broker, BrokerResult, Clock, ConsumerId, ExecutorKind, SystemClock};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{
    ConsumerConfig, Executors, ManagerError, TaskConsumer, TaskManager, TaskScheduler,
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::entry::What;
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::tasks::{Scene, tasks};
use crate::witness::Witness;

/// How long a lease lasts: short, so that many are lost.
pub const LEASE: Duration = Duration::from_secs(2);

/// The machine's clock, off by so much.
#[derive(Debug, Clone, Copy)]
pub struct ClockOff(pub SignedDuration);

impl Clock for ClockOff {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.saturating_add(self.0).unwrap_or(now)
    }
}

/// A process: the proofs' tasks on a broker, and a witness in between.
#[derive(Debug)]
pub struct Process {
    manager: TaskManager,
    ledger: Ledger,
}

impl Process {
    /// A process on this broker that notes everything in this ledger.
    ///
    /// # Errors
    /// When the tasks don't fit together.
    pub fn new(broker: Arc<dyn Broker>, ledger: Ledger, gate: Gate) -> Result<Self, ManagerError> {
        let scene = Scene {
            ledger: ledger.clone(),
            gate,
        };
        let manager = TaskManager::builder()
            .broker(Witness::of(broker, ledger.clone()))
            .tasks(tasks().unwrap_or_default())
            .state(scene)
            .build()?;
        Ok(Self { manager, ledger })
    }

    /// Its way to the broker.
    pub fn manager(&self) -> &TaskManager {
        &self.manager
    }

    /// Claims runs and carries them out until told to stop. The clock is ahead by so much where the broker takes its
    /// time from the process.
    ///
    /// # Errors
    /// Those of [`TaskConsumer::run`].
    pub async fn consume(
        &self,
        id: ConsumerId,
        ahead: SignedDuration,
        stop: CancellationToken,
    ) -> BrokerResult<()> {
        self.ledger.note(What::Began {
            consumer: id.clone(),
            ahead: i64::try_from(ahead.as_micros()).unwrap_or(0),
        });
        let mut config = ConsumerConfig::default();
        config.id = id;
        config.lease = LEASE;
        config.grace = Duration::from_millis(200);
        config.drain_timeout = Duration::from_secs(2);
        config.poll = Duration::from_secs(1);
        let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
        let consumer = TaskConsumer::new(self.manager.clone(), executors, config);
        consumer.run(stop).await
    }

    /// Fires ticks until told to stop.
    ///
    /// # Errors
    /// Those of [`TaskScheduler::run`].
    pub async fn schedule(&self, stop: CancellationToken) -> BrokerResult<()> {
        TaskScheduler::new(self.manager.clone()).run(stop).await
    }
}
