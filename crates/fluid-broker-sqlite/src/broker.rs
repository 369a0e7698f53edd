//! The broker: its threads, and each call of the seam handed to one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    Attempt, Broker, BrokerError, BrokerResult, Cancelled, ClaimRequest, Claimed, Clock,
    ConsumerId, ConsumerInfo, Enqueued, Event, ExportedRun, Finish, Finished, LeaseRef,
    LeaseStatus, LogBatch, NewRun, Page, QueueName, Report, RunFilter, RunId, RunState, Settings,
    Stats, StoredLine, TaskName, TaskRun, Tick, Ticked,
};
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::durable::{Disk, Waits};
use crate::error::{Fault, Outcome};
use crate::options::SqliteOptions;
use crate::own_leases::OwnLeases;
use crate::reader::{self, ReadJob, Reader};
use crate::starts::Start;
use crate::store::{Call, Job, Reading, Writing, tell};
use crate::writer::{self, WriteJob, Writer};
use crate::{
    attempt, cancel, claim, connection, enqueue, history, lease, logs, presence, purge, query,
    settings, stats, tick, transfer, watch,
};

/// Events that a subscriber may be behind.
const EVENTS: usize = 1024;
/// How many questions can be answered at once, beside what claims have to read.
const READERS: usize = 2;
/// A broker in one SQLite file; see the [crate](crate).
pub struct SqliteBroker {
    url: String,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    events: broadcast::Sender<Event>,
    /// `None` once the broker is being dropped.
    writes: Option<mpsc::Sender<WriteJob>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    /// Reads what was claimed, which need not wait until a long question is answered.
    claims: Option<mpsc::Sender<ReadJob>>,
    own_leases: Arc<OwnLeases>,
    closing: Arc<AtomicBool>,
    /// The writer first.
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for SqliteBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBroker")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The connections of a broker, writer first.
type Connections = (Writing, i64, Vec<Reading>);

impl SqliteBroker {
    /// Opens the file, makes it if there is none, and brings it to this build's schema version.
    ///
    /// Cancellation safe: a file that was being made or upgraded is whole.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when the directory is missing or permissions are, [`BrokerError::ReadOnly`],
    /// [`BrokerError::Corrupt`] when it is no SQLite file, [`BrokerError::Invalid`] when it is a directory or
    /// another application's file, [`BrokerError::SchemaTooNew`], [`BrokerError::Full`], and
    /// [`BrokerError::Locked`] after the options' deadline.
    pub async fn open(options: SqliteOptions) -> BrokerResult<Self> {
        let url = options.describe();
        let path = absolute(&options)?;
        let (events, _) = broadcast::channel(EVENTS);
        let (writes, write_jobs) = mpsc::channel(writer::QUEUE);
        let (reads, read_jobs) = mpsc::channel::<ReadJob>(reader::QUEUE);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        let (claims, claim_jobs) = mpsc::channel::<ReadJob>(reader::QUEUE);
        let claim_jobs = Arc::new(Mutex::new(claim_jobs));
        let own_leases = Arc::<OwnLeases>::default();
        let closing = Arc::new(AtomicBool::new(false));
        let mut broker = Self {
            url: url.clone(),
            path: path.clone(),
            clock: Arc::clone(&options.clock),
            events: events.clone(),
            writes: Some(writes),
            reads: Some(reads),
            claims: Some(claims),
            own_leases: Arc::clone(&own_leases),
            closing: Arc::clone(&closing),
            threads: Vec::new(),
        };

        let (opened, opening) = oneshot::channel::<BrokerResult<Vec<Reading>>>();
        let writer = {
            let (path, url) = (path.clone(), url.clone());
            move || {
                let made = connection::prepare_file(&options).and_then(|()| {
                    connect(&options, &path, &closing, events, own_leases)
                        .map_err(|fault| fault.to_error(&url, &options.path))
                });
                let (writing, version, readings) = match made {
                    Ok(made) => made,
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .enable_time()
                    .build();
                let syncer = writer::syncer(&writing, &url, &path);
                // Who opened may have given up.
                let (Ok(runtime), Ok(syncer), Ok(())) =
                    (runtime, syncer, opened.send(Ok(readings)))
                else {
                    return;
                };
                runtime.block_on(async {
                    let writer = Writer {
                        writing,
                        jobs: write_jobs,
                        syncer,
                        watch: watch::listen(&path, &url),
                        broker: url,
                        path,
                        version,
                    };
                    writer.run().await;
                });
            }
        };
        broker.spawn("fluid-sqlite-writer", writer)?;
        let readings = opening.await.map_err(|_| broker.closed())??;
        for (number, reading) in readings.into_iter().enumerate() {
            let jobs = if number < READERS {
                &read_jobs
            } else {
                &claim_jobs
            };
            let reader = Reader {
                reading,
                jobs: Arc::clone(jobs),
                broker: url.clone(),
                path: path.clone(),
            };
            broker.spawn("fluid-sqlite-reader", move || reader.run())?;
        }
        Ok(broker)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> BrokerResult<()> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| BrokerError::Other {
                broker: self.url.clone(),
                reason: format!("no thread can be started: {error}"),
                source: Some(error),
            })?;
        self.threads.push(thread);
        Ok(())
    }

    fn closed(&self) -> BrokerError {
        Fault::Closed.to_error(&self.url, &self.path)
    }

    /// Writes what a loss of power may not undo.
    async fn write<F, T>(&self, work: F) -> BrokerResult<T>
    where
        F: FnMut(&mut Writing) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        self.put(work, Waits::BeforeCommit).await
    }

    /// Writes what a loss of power makes void.
    async fn note<F, T>(&self, work: F) -> BrokerResult<T>
    where
        F: FnMut(&mut Writing) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        self.put(work, Waits::Never).await
    }

    async fn put<F, T>(&self, work: F, waits: Waits) -> BrokerResult<T>
    where
        F: FnMut(&mut Writing) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        self.ask(self.writes.as_ref(), work, waits).await
    }

    async fn read<F, T>(&self, work: F) -> BrokerResult<T>
    where
        F: FnMut(&mut Reading) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        self.ask(self.reads.as_ref(), work, Waits::Never).await
    }

    /// Has a thread do something with what it owns.
    async fn ask<C, F, T>(
        &self,
        thread: Option<&mpsc::Sender<Box<dyn Job<C>>>>,
        work: F,
        waits: Waits,
    ) -> BrokerResult<T>
    where
        C: 'static,
        F: FnMut(&mut C) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        let (call, answer) = Call::new(work, waits);
        thread
            .ok_or_else(|| self.closed())?
            .send(Box::new(call))
            .await
            .map_err(|_| self.closed())?;
        let (answer, _work) = answer.await.map_err(|_| self.closed())?;
        answer
    }
}

/// The file's path, wherever the process goes.
pub(crate) fn absolute(options: &SqliteOptions) -> BrokerResult<PathBuf> {
    std::path::absolute(&options.path).map_err(|error| BrokerError::Invalid {
        broker: options.describe(),
        reason: format!("{:?} is no path: {error}", options.path),
    })
}

fn connect(
    options: &SqliteOptions,
    path: &Path,
    closing: &Arc<AtomicBool>,
    events: broadcast::Sender<Event>,
    own_leases: Arc<OwnLeases>,
) -> Outcome<Connections> {
    let connection = connection::writer(options, path, closing)?;
    let disk = Disk::new(path, options.durability)?;
    let writing = Writing::new(
        connection,
        disk,
        Arc::clone(&options.clock),
        options.log_cap,
        events,
        own_leases,
    );
    let version = writer::data_version(&writing)?;
    let mut readings = Vec::with_capacity(READERS);
    for _ in 0..=READERS {
        readings.push(Reading::new(connection::reader(options, path, closing)?));
    }
    Ok((writing, version, readings))
}

impl Drop for SqliteBroker {
    fn drop(&mut self) {
        // Nobody waits for an answer any more, so the threads end after what they are at now.
        self.closing.store(true, Ordering::Relaxed);
        self.reads = None;
        self.claims = None;
        while let Some(thread) = self.threads.pop() {
            if self.threads.is_empty() {
                // The writer, which closes last and so empties the write-ahead log into the file.
                self.writes = None;
            }
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Broker for SqliteBroker {
    fn describe(&self) -> String {
        self.url.clone()
    }

    async fn now(&self) -> BrokerResult<Timestamp> {
        Ok(self.clock.now())
    }

    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        self.put(move |on| enqueue::enqueue(on, &runs), Waits::BeforeAnswer)
            .await
    }

    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed> {
        let claim = move |on: &mut Writing| claim::claim(on, &request);
        let (leased, mut claimed) = self.note(claim).await?;
        if leased.is_empty() {
            return Ok(claimed);
        }
        let read = move |on: &mut Reading| leased.read(on);
        let starts = self.ask(self.claims.as_ref(), read, Waits::Never).await?;
        if starts.iter().any(|start| start.must_last) {
            self.put(|_| Ok(()), Waits::BeforeAnswer).await?;
        }
        self.own_leases
            .keep(starts.iter().filter_map(|start| start.own));
        if self.events.receiver_count() > 0 {
            tell(&self.events, starts.iter().map(Start::event));
        }
        claimed.runs = starts
            .into_iter()
            .map(|start| (start.run, start.token))
            .collect();
        Ok(claimed)
    }

    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.note(move |on| lease::extend(on, &leases, lease)).await
    }

    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.put(move |on| attempt::finish(on, &batch), Waits::BeforeAnswer)
            .await
    }

    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()> {
        if reports.is_empty() {
            return Ok(());
        }
        self.note(move |on| lease::report(on, &reports)).await
    }

    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        if batch.is_empty() && reports.is_empty() {
            return Ok(Vec::new());
        }
        let work = move |on: &mut Writing| {
            lease::report(on, &reports)?;
            attempt::finish(on, &batch)
        };
        self.put(work, Waits::BeforeAnswer).await
    }

    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        if ticks.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |on| tick::tick(on, &ticks)).await
    }

    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>> {
        self.read(tick::last).await
    }

    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled> {
        self.write(move |on| cancel::cancel(on, run)).await
    }

    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>> {
        self.write(move |on| enqueue::retry(on, &filter, limit))
            .await
    }

    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize> {
        self.write(move |on| purge::purge(on, &filter, limit)).await
    }

    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>> {
        self.read(move |on| query::get(on, run)).await
    }

    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>> {
        self.read(move |on| history::attempts(on, run)).await
    }

    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page> {
        self.read(move |on| query::list(on, &filter, before, limit))
            .await
    }

    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>> {
        let now = self.clock.now().as_microsecond();
        self.read(move |on| transfer::export(on, after, limit, now))
            .await
    }

    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        ExportedRun::check_none_runs(&runs, &self.url)?;
        let work = move |on: &mut Writing| transfer::import(on, &runs, &ticks);
        self.put(work, Waits::BeforeAnswer).await
    }

    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>> {
        self.read(move |on| stats::ended(on, from, before))
            .await
            .map(Some)
    }

    async fn stats(&self) -> BrokerResult<Stats> {
        self.read(stats::stats).await
    }

    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()> {
        if batches.is_empty() {
            return Ok(());
        }
        self.note(move |on| logs::append(on, &batches)).await
    }

    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        self.read(move |on| logs::read(on, run, after, limit)).await
    }

    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()> {
        self.write(move |on| settings::set_task_enabled(on, &task, enabled))
            .await
    }

    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()> {
        self.write(move |on| settings::set_queue_paused(on, &queue, paused))
            .await
    }

    async fn settings(&self) -> BrokerResult<Settings> {
        self.read(settings::settings).await
    }

    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        self.note(move |on| presence::heartbeat(on, &consumer, ttl))
            .await
    }

    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()> {
        self.note(move |on| presence::farewell(on, &consumer)).await
    }

    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        let now = self.clock.now();
        self.read(move |on| presence::consumers(on, now)).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
