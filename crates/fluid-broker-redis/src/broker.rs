//! The broker: each call is one script on the server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::doubts::Doubts;
use fluid_core::{
    Attempt, Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, ConsumerId, ConsumerInfo,
    Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef, LeaseStatus, LeaseToken, LogBatch,
    LogCap, NewRun, Page, QueueName, Report, RunFilter, RunId, RunState, Settings, Stats,
    StoredLine, TaskName, TaskRun, Tick, Ticked,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::answer;
use crate::check::SCHEMA;
use crate::claim::Claims;
use crate::events::{self, EVENTS};
use crate::fault::Outcome;
use crate::link::{Lasts, Link};
use crate::listen::listen;
use crate::options::RedisOptions;
use crate::record::instant;
use crate::script;

/// A broker on Redis or Valkey; see the [crate](crate).
pub struct RedisBroker {
    pub(crate) link: Arc<Link>,
    pub(crate) log_cap: LogCap,
    pub(crate) claims: Claims,
    /// Ends that were asked for and not answered.
    pub(crate) ends: Doubts<LeaseRef, ()>,
    /// Output that was told and not answered: by what it is, the number that it was told under.
    pub(crate) logs: Doubts<u64, i64>,
    events: broadcast::Sender<Event>,
    runtime: Handle,
    /// The one that listens to the server, from the first subscription on; it ends with the broker.
    listener: Mutex<JoinSet<()>>,
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker")
            .field("url", &self.link.url())
            .finish_non_exhaustive()
    }
}

impl RedisBroker {
    /// Connects to the server and checks it. Must be called, and the broker used, within a tokio runtime.
    ///
    /// It writes a warning to the log when the server may evict what fluid keeps, and says so when it keeps nothing on
    /// disk at once. Cancellation safe.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`](fluid_core::BrokerError::Unreachable) when nothing answers,
    /// [`Invalid`](fluid_core::BrokerError::Invalid) for a wrong user, password, database or version, for TLS that does
    /// not work out and an ACL that allows too little, [`ReadOnly`](fluid_core::BrokerError::ReadOnly) for a replica, and
    /// [`SchemaTooNew`](fluid_core::BrokerError::SchemaTooNew).
    pub async fn open(options: RedisOptions) -> BrokerResult<Self> {
        let (link, _) = connect(&options).await?;
        let (events, _) = broadcast::channel(EVENTS);
        Ok(Self {
            link: Arc::new(link),
            log_cap: options.log_cap,
            claims: Claims::default(),
            ends: Doubts::default(),
            logs: Doubts::default(),
            events,
            runtime: Handle::current(),
            listener: Mutex::new(JoinSet::new()),
        })
    }

    /// Marks keys with this build's version where there are none yet. The version that was found, 0 when there was none,
    /// and the one that they have.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrate(options: &RedisOptions) -> BrokerResult<(u32, u32)> {
        let (_, found) = connect(options).await?;
        Ok((found, SCHEMA))
    }

    /// Reads an answer; what does not add up is told in the broker's words.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> Outcome<T>) -> BrokerResult<T> {
        read().map_err(|fault| self.link.error(&fault))
    }

    /// Tells this handle's own listeners; the script told the others.
    pub(crate) fn tell(&self, said: &str) {
        events::tell(&self.events, said);
    }
}

async fn connect(options: &RedisOptions) -> BrokerResult<(Link, u32)> {
    let me = format!("{:x}", LeaseToken::random().as_i64());
    // What connecting takes is not to be part of every future that opens a broker.
    Link::open(options, me).boxed().await
}

#[async_trait]
impl Broker for RedisBroker {
    fn describe(&self) -> String {
        self.link.url().to_owned()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        let answer = self.link.run(&script::NOW, Lasts::No, |_| {}).await?;
        self.read(|| instant(&answer::text(answer)?))
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        self.enqueue_all(&runs).await
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        self.lease(&request).await
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        self.extend_all(&leases, lease).await
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        self.end_all(&[], &batch).await
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        self.end_all(&reports, &[]).await.map(drop)
    }

    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        self.end_all(&reports, &batch).await
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        self.fire(&ticks).await
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        self.latest_ticks().await
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        self.cancel_one(run).await
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        self.once_more(&filter, limit).await
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        self.delete(&filter, limit).await
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        self.look_up(run).await
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        Ok(self
            .history(run, true)
            .await?
            .map_or_else(Vec::new, |(_, attempts)| attempts))
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        self.page(&filter, before, limit).await
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        self.give(after, limit).await
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        self.take_over(&runs, &ticks).await
    }

    async fn ended(
        &self,
        _: Timestamp,
        _: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        Ok(None)
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        self.count().await
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        self.append(&batches).await
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        self.read_lines(run, after, limit).await
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        self.switch("disabled", task.as_str(), !enabled).await
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        self.switch("paused", queue.as_str(), paused).await
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        self.switched().await
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        self.beat(&consumer, ttl).await
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        self.forget(&consumer).await
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        self.alive().await
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        let receiver = self.events.subscribe();
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if listener.is_empty() {
            listener.spawn_on(
                listen(Arc::clone(&self.link), self.events.clone()),
                &self.runtime,
            );
        }
        receiver
    }
}
