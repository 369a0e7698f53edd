//! A broker around another one, which changes a few calls and passes on the rest.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    Attempt, Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, ConsumerId, ConsumerInfo,
    Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef, LeaseStatus, LogBatch, NewRun, Page,
    QueueName, Report, RunFilter, RunId, RunState, Settings, Stats, StoredLine, TaskName, TaskRun,
    Tick, Ticked,
};
use jiff::Timestamp;
use tokio::sync::broadcast;

/// What is done around the calls of a broker; left as it is, nothing.
pub trait Around: Send + Sync + Debug + 'static {
    /// Every call passes here, with its name, and happens when `work` is awaited.
    fn call<T: Send>(
        &self,
        name: &'static str,
        work: impl Future<Output = BrokerResult<T>> + Send,
    ) -> impl Future<Output = BrokerResult<T>> + Send {
        let _ = name;
        work
    }

    /// [`Broker::enqueue`].
    fn enqueue(
        &self,
        broker: &dyn Broker,
        runs: Vec<NewRun>,
    ) -> impl Future<Output = BrokerResult<Vec<Enqueued>>> + Send {
        broker.enqueue(runs)
    }

    /// [`Broker::claim`].
    fn claim(
        &self,
        broker: &dyn Broker,
        request: ClaimRequest,
    ) -> impl Future<Output = BrokerResult<Claimed>> + Send {
        broker.claim(request)
    }

    /// [`Broker::extend`].
    fn extend(
        &self,
        broker: &dyn Broker,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> impl Future<Output = BrokerResult<Vec<LeaseStatus>>> + Send {
        broker.extend(leases, lease)
    }

    /// [`Broker::report_and_finish`], and [`Broker::finish`], which is the same without reports.
    fn finish(
        &self,
        broker: &dyn Broker,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> impl Future<Output = BrokerResult<Vec<Finished>>> + Send {
        broker.report_and_finish(reports, batch)
    }

    /// [`Broker::tick`].
    fn tick(
        &self,
        broker: &dyn Broker,
        ticks: Vec<Tick>,
    ) -> impl Future<Output = BrokerResult<Vec<Ticked>>> + Send {
        broker.tick(ticks)
    }

    /// [`Broker::cancel`].
    fn cancel(
        &self,
        broker: &dyn Broker,
        run: RunId,
    ) -> impl Future<Output = BrokerResult<Cancelled>> + Send {
        broker.cancel(run)
    }

    /// [`Broker::subscribe`].
    fn subscribe(&self, broker: &dyn Broker) -> broadcast::Receiver<Event> {
        broker.subscribe()
    }
}

/// A broker with something around its calls.
#[derive(Debug)]
pub struct Wrapped<A> {
    broker: Arc<dyn Broker>,
    around: A,
}

impl<A: Around> Wrapped<A> {
    /// Puts something around a broker.
    pub fn of(broker: Arc<dyn Broker>, around: A) -> Arc<dyn Broker> {
        Arc::new(Self { broker, around })
    }
}

#[async_trait]
impl<A: Around> Broker for Wrapped<A> {
    fn describe(&self) -> String {
        self.broker.describe()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        self.around.call("now", self.broker.now()).await
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        let work = self.around.enqueue(&*self.broker, runs);
        self.around.call("enqueue", work).await
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        let work = self.around.claim(&*self.broker, request);
        self.around.call("claim", work).await
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        let work = self.around.extend(&*self.broker, leases, lease);
        self.around.call("extend", work).await
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        self.report_and_finish(Vec::new(), batch).await
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        self.around
            .call("report", self.broker.report(reports))
            .await
    }

    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        let work = self.around.finish(&*self.broker, reports, batch);
        self.around.call("finish", work).await
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        let work = self.around.tick(&*self.broker, ticks);
        self.around.call("tick", work).await
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        let work = self.broker.last_ticks();
        self.around.call("last_ticks", work).await
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        let work = self.around.cancel(&*self.broker, run);
        self.around.call("cancel", work).await
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        let work = self.broker.retry(filter, limit);
        self.around.call("retry", work).await
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        let work = self.broker.purge(filter, limit);
        self.around.call("purge", work).await
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        self.around.call("get", self.broker.get(run)).await
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        let work = self.broker.attempts(run);
        self.around.call("attempts", work).await
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        let work = self.broker.list(filter, before, limit);
        self.around.call("list", work).await
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        let work = self.broker.export(after, limit);
        self.around.call("export", work).await
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        let work = self.broker.import(runs, ticks);
        self.around.call("import", work).await
    }

    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        let work = self.broker.ended(from, before);
        self.around.call("ended", work).await
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        self.around.call("stats", self.broker.stats()).await
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        let work = self.broker.append_logs(batches);
        self.around.call("append_logs", work).await
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        let work = self.broker.read_logs(run, after, limit);
        self.around.call("read_logs", work).await
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        let work = self.broker.set_task_enabled(task, enabled);
        self.around.call("set_task_enabled", work).await
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        let work = self.broker.set_queue_paused(queue, paused);
        self.around.call("set_queue_paused", work).await
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        self.around.call("settings", self.broker.settings()).await
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        let work = self.broker.heartbeat(consumer, ttl);
        self.around.call("heartbeat", work).await
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        let work = self.broker.farewell(consumer);
        self.around.call("farewell", work).await
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        self.around.call("consumers", self.broker.consumers()).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.around.subscribe(&*self.broker)
    }
}
