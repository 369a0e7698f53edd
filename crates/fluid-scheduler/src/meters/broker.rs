//! The broker that a manager works with: the one it was given, with a clock beside each call.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fluid_core::{
    Attempt, Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, ConsumerId, ConsumerInfo,
    Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef, LeaseStatus, LogBatch, NewRun, Page,
    QueueName, Report, RunFilter, RunId, RunState, Settings, Stats, StoredLine, TaskName, TaskRun,
    Tick, Ticked, Trigger,
};
use jiff::Timestamp;
use metrics::{Histogram, counter, histogram};
use tokio::sync::broadcast;

use super::{BROKER_CALL, ENQUEUED, RETRIED};

/// Measures how long each call of a broker takes and how it ends, and counts the runs that are enqueued. It changes
/// nothing else.
#[derive(Debug)]
pub struct MeasuredBroker {
    broker: Arc<dyn Broker>,
    calls: Calls,
}

impl MeasuredBroker {
    /// Measures this broker.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self {
            broker,
            calls: Calls::default(),
        }
    }
}

/// The meter of one call. Successes have a handle, which is resolved at the first; failures are rare.
struct Call {
    name: &'static str,
    succeeded: OnceLock<Histogram>,
}

impl Call {
    async fn time<T>(&self, call: impl Future<Output = BrokerResult<T>> + Send) -> BrokerResult<T> {
        let begin = Instant::now();
        let answer = call.await;
        let took = begin.elapsed();
        match &answer {
            Ok(_) => self
                .succeeded
                .get_or_init(|| self.histogram("ok"))
                .record(took),
            Err(error) if error.is_transient() => self.histogram("unavailable").record(took),
            Err(_) => self.histogram("error").record(took),
        }
        answer
    }

    fn histogram(&self, outcome: &'static str) -> Histogram {
        histogram!(BROKER_CALL, "call" => self.name, "outcome" => outcome)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! calls {
    ($($name:ident),* $(,)?) => {
        #[derive(Debug)]
        struct Calls {
            $($name: Call,)*
        }

        impl Default for Calls {
            fn default() -> Self {
                Self {
                    $($name: Call { name: stringify!($name), succeeded: OnceLock::new() },)*
                }
            }
        }
    };
}

calls!(
    append_logs,
    attempts,
    cancel,
    claim,
    consumers,
    ended,
    enqueue,
    export,
    extend,
    farewell,
    finish,
    get,
    heartbeat,
    import,
    last_ticks,
    list,
    now,
    purge,
    read_logs,
    report,
    retry,
    set_queue_paused,
    set_task_enabled,
    settings,
    stats,
    tick
);

/// What is told apart of runs that are enqueued.
fn kinds<'a>(runs: impl Iterator<Item = &'a NewRun>) -> Vec<(TaskName, Trigger)> {
    runs.map(|run| (run.task.clone(), run.trigger)).collect()
}

/// Counts those of a batch that were inserted, each kind once: mostly there is one.
fn count_enqueued(asked: &[(TaskName, Trigger)], inserted: impl Iterator<Item = bool>) {
    let mut counts: Vec<(&(TaskName, Trigger), u64)> = Vec::new();
    for (asked, inserted) in asked.iter().zip(inserted) {
        if !inserted {
            continue;
        }
        match counts.iter_mut().rev().find(|(other, _)| *other == asked) {
            Some((_, count)) => *count += 1,
            None => counts.push((asked, 1)),
        }
    }
    for ((task, trigger), count) in counts {
        counter!(ENQUEUED, "task" => task.to_string(), "trigger" => trigger.as_str())
            .increment(count);
    }
}

#[async_trait]
impl Broker for MeasuredBroker {
    fn describe(&self) -> String {
        self.broker.describe()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        self.calls.now.time(self.broker.now()).await
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        let asked = kinds(runs.iter());
        let work = self.broker.enqueue(runs);
        let answers = self.calls.enqueue.time(work).await?;
        let inserted = |answer: &Enqueued| matches!(answer, Enqueued::Inserted(_));
        count_enqueued(&asked, answers.iter().map(inserted));
        Ok(answers)
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        let work = self.broker.claim(request);
        self.calls.claim.time(work).await
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        let work = self.broker.extend(leases, lease);
        self.calls.extend.time(work).await
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        self.report_and_finish(Vec::new(), batch).await
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        self.calls.report.time(self.broker.report(reports)).await
    }

    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        let work = self.broker.report_and_finish(reports, batch);
        self.calls.finish.time(work).await
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        let asked = kinds(ticks.iter().map(|tick| &tick.run));
        let ids: Vec<_> = ticks.iter().map(|tick| tick.run.id).collect();
        let work = self.broker.tick(ticks);
        let answers = self.calls.tick.time(work).await?;
        let inserted = |(id, answer): (RunId, &Ticked)| *answer == Ticked::Fired(id);
        count_enqueued(&asked, ids.into_iter().zip(&answers).map(inserted));
        Ok(answers)
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        let work = self.broker.last_ticks();
        self.calls.last_ticks.time(work).await
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        let work = self.broker.cancel(run);
        self.calls.cancel.time(work).await
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        let work = self.broker.retry(filter, limit);
        let runs = self.calls.retry.time(work).await?;
        counter!(RETRIED).increment(runs.len() as u64);
        Ok(runs)
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        let work = self.broker.purge(filter, limit);
        self.calls.purge.time(work).await
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        self.calls.get.time(self.broker.get(run)).await
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        let work = self.broker.attempts(run);
        self.calls.attempts.time(work).await
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        let work = self.broker.list(filter, before, limit);
        self.calls.list.time(work).await
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        let work = self.broker.export(after, limit);
        self.calls.export.time(work).await
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        let work = self.broker.import(runs, ticks);
        self.calls.import.time(work).await
    }

    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        let work = self.broker.ended(from, before);
        self.calls.ended.time(work).await
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        self.calls.stats.time(self.broker.stats()).await
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        let work = self.broker.append_logs(batches);
        self.calls.append_logs.time(work).await
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        let work = self.broker.read_logs(run, after, limit);
        self.calls.read_logs.time(work).await
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        let work = self.broker.set_task_enabled(task, enabled);
        self.calls.set_task_enabled.time(work).await
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        let work = self.broker.set_queue_paused(queue, paused);
        self.calls.set_queue_paused.time(work).await
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        self.calls.settings.time(self.broker.settings()).await
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        let work = self.broker.heartbeat(consumer, ttl);
        self.calls.heartbeat.time(work).await
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        let work = self.broker.farewell(consumer);
        self.calls.farewell.time(work).await
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        self.calls.consumers.time(self.broker.consumers()).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.broker.subscribe()
    }
}
