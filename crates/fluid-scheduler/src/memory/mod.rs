//! The broker that keeps everything in memory: for tests, and for programs whose runs may end with them.

mod attempt;
mod claim;
mod entry;
mod index;
mod intake;
mod log;
mod presence;
mod query;
mod rates;
mod store;
mod ticks;
mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    Attempt, Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, Clock, ConsumerId,
    ConsumerInfo, Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef, LeaseStatus, LogBatch,
    LogCap, NewRun, Page, QueueName, Report, RunFilter, RunId, RunState, Settings, Stats,
    StoredLine, SystemClock, TaskName, TaskRun, Tick, Ticked,
};
use jiff::Timestamp;
use tokio::sync::broadcast;

use store::Store;

/// What the broker calls itself in messages.
const NAME: &str = "memory:";

/// How many events a slow subscriber may fall behind.
const EVENTS: usize = 1024;

/// A broker in memory. Clones share one store, which is gone with the last of them.
///
/// ```
/// use std::sync::Arc;
/// use fluid_core::{Broker, NewRun, Params, RunState, TaskName};
/// use fluid_scheduler::MemoryBroker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
/// let run = NewRun::new(TaskName::parse("resize")?, Params::default());
/// let enqueued = broker.enqueue(vec![run]).await?;
/// let stored = broker.get(enqueued[0].run()).await?;
/// assert_eq!(stored.map(|run| run.state), Some(RunState::Queued));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    store: Mutex<Store>,
    events: broadcast::Sender<Event>,
}

impl MemoryBroker {
    /// An empty broker on the clock of the system.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty broker on another clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Mutex::new(Store::default()),
                events: broadcast::Sender::new(EVENTS),
            }),
            clock,
        }
    }

    /// Another handle on the same store, with its own clock: as a process would be whose clock is off.
    #[must_use]
    pub fn handle_with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            clock,
        }
    }

    /// Keeps so much of each run's output from now on, for every handle on the store;
    /// [`LogCap::default`] unless set.
    #[must_use]
    pub fn log_cap(self, cap: LogCap) -> Self {
        self.with(|store, _| store.log_cap = cap);
        self
    }

    /// One atomic operation on the store; its events go out after it.
    fn with<T>(&self, operation: impl FnOnce(&mut Store, Timestamp) -> T) -> T {
        let (answer, events) = {
            // What panics under the lock has changed nothing yet, or is a fault that no lock can mend.
            let mut store = self
                .shared
                .store
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Asked under the lock, so that calls on one clock have their times in their order.
            let answer = operation(&mut store, self.clock.now());
            (answer, std::mem::take(&mut store.events))
        };
        for event in events {
            // Nobody may be listening.
            let _ = self.shared.events.send(event);
        }
        answer
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// The instant `by` after `at`, or the last one there is.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl Broker for MemoryBroker {
    fn describe(&self) -> String {
        NAME.to_owned()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        Ok(self.clock.now())
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        Ok(self.with(|store, now| store.enqueue(&runs, now)))
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        self.with(|store, now| store.claim(&request, now))
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        Ok(self.with(|store, now| {
            let until = later(now, lease);
            leases.iter().map(|l| store.extend(*l, until)).collect()
        }))
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        self.with(|store, now| {
            let finish = |(lease, finish)| store.finish(lease, finish, now);
            batch.into_iter().map(finish).collect()
        })
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        self.with(|store, _| reports.into_iter().for_each(|r| store.report(r)));
        Ok(())
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        Ok(self.with(|store, now| ticks.iter().map(|t| store.tick(t, now)).collect()))
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        Ok(self.with(|store, _| store.ticks.last()))
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        self.with(|store, now| store.cancel(run, now))
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        Ok(self.with(|store, now| store.retry(&filter, limit, now)))
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        Ok(self.with(|store, _| store.purge(&filter, limit)))
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        Ok(self.with(|store, _| store.get(run)))
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        Ok(self.with(|store, _| store.attempts(run)))
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        Ok(self.with(|store, _| store.list(&filter, before, limit)))
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        Ok(self.with(|store, now| store.export(after, limit, now)))
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        self.with(|store, now| store.import(runs, ticks, now))
    }

    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        Ok(Some(self.with(|store, _| store.ended(from, before))))
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        Ok(self.with(|store, _| store.stats()))
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        self.with(|store, now| batches.into_iter().for_each(|b| store.append_log(b, now)));
        Ok(())
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        Ok(self.with(|store, _| store.read_log(run, after, limit)))
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        self.with(|store, _| store.set_task_enabled(task, enabled));
        Ok(())
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        self.with(|store, _| store.set_queue_paused(queue, paused));
        Ok(())
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        Ok(self.with(|store, _| store.settings()))
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        self.with(|store, now| store.presence.heartbeat(consumer, now, later(now, ttl)));
        Ok(())
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        self.with(|store, _| store.presence.farewell(&consumer));
        Ok(())
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        Ok(self.with(|store, now| store.presence.alive(now)))
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
}
