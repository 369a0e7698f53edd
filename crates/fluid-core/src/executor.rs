//! The seam to whatever carries out an attempt.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::broker::Broker;
use crate::context::RawContext;
use crate::error::RunError;
use crate::id::{LeaseToken, RunId};
use crate::json::JsonText;
use crate::params::Redactor;
use crate::run::{LogLine, Progress};
use crate::task::{ExecutorKind, Task};

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It gave a result.
    Success(JsonText),
    /// It failed.
    Failure(RunError),
    /// It stopped because it was told to.
    Cancelled,
}

/// A way to carry out attempts. A consumer never knows which one it talks to.
#[async_trait]
pub trait Executor: Send + Sync + Debug + 'static {
    /// Which one it is.
    fn kind(&self) -> ExecutorKind;

    /// Whether an execution goes on when its consumer stops. If so the consumer that stops gives the run back
    /// instead of ending the execution, and the next consumer's [`start`](Self::start) for the same attempt
    /// adopts it.
    fn survives_consumer(&self) -> bool {
        false
    }

    /// Starts the attempt `context.run().attempt`, or adopts the execution that an earlier consumer started for
    /// this same attempt: starting twice must be impossible to observe.
    ///
    /// Not cancellation safe: when the future is dropped the execution may have been started or not; a later
    /// call for the same attempt settles it.
    ///
    /// # Errors
    /// Of kind [`Start`](crate::ErrorKind::Start), saying what could not be started and why.
    async fn start(
        &self,
        task: Arc<Task>,
        context: RawContext,
    ) -> Result<Box<dyn Execution>, RunError>;

    /// Ends executions that nobody waits for any more, because their run is over or unknown to `broker`. `tasks`
    /// are those that this executor carries out. A consumer asks for it now and then if executions survive it.
    /// Cancellation safe: what was not ended is ended the next time.
    async fn sweep(&self, tasks: &[Arc<Task>], broker: &dyn Broker) {
        let _ = (tasks, broker);
    }
}

/// One started attempt. Dropping it ends the execution, unless its executor
/// [survives](Executor::survives_consumer) its consumer.
#[async_trait]
pub trait Execution: Send {
    /// Waits for the end. Everything the execution printed has been sent to its [`AttemptIo`] before.
    /// Cancellation safe; calling it again after it returned is a fault of the caller.
    async fn outcome(&mut self) -> Outcome;

    /// Asks it to stop, waits at most `grace` for that, then makes it stop. Afterwards
    /// [`outcome`](Self::outcome) returns soon.
    async fn cancel(&mut self, grace: Duration);
}

/// The identity of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The run.
    pub run: RunId,
    /// The token that fences writes to it.
    pub token: LeaseToken,
}

/// What an attempt tells while it runs.
#[derive(Debug)]
pub struct AttemptEvent {
    /// Whose attempt it is.
    pub lease: LeaseRef,
    /// The attempt's number.
    pub attempt: u32,
    /// What it tells.
    pub what: AttemptNews,
}

/// One piece of news from an attempt.
#[derive(Debug)]
pub enum AttemptNews {
    /// A line of output.
    Output(LogLine),
    /// How far it is.
    Progress(Progress),
    /// Where it runs.
    Execution(String),
    /// Why it does not run yet; `None` once it does.
    Waiting(Option<String>),
    /// Answer when everything before this has been stored.
    Flush(oneshot::Sender<()>),
}

/// How far the output of an attempt was stored before its execution was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutput {
    /// When the last of the stored lines was printed.
    pub at: Timestamp,
    /// How many stored lines were printed at that instant.
    pub lines: usize,
}

/// Where an attempt's output and news go; secrets are taken out on the way.
#[derive(Debug, Clone)]
pub struct AttemptIo {
    lease: LeaseRef,
    attempt: u32,
    redactor: Redactor,
    sink: mpsc::Sender<AttemptEvent>,
    used: Arc<AtomicBool>,
    waiting: Arc<Mutex<Option<String>>>,
    stored: Option<StoredOutput>,
}

impl AttemptIo {
    /// The io of one attempt, whose news go to `sink`.
    pub fn new(
        lease: LeaseRef,
        attempt: u32,
        redactor: Redactor,
        sink: mpsc::Sender<AttemptEvent>,
    ) -> Self {
        Self {
            lease,
            attempt,
            redactor,
            sink,
            used: Arc::new(AtomicBool::new(false)),
            waiting: Arc::default(),
            stored: None,
        }
    }

    /// The same io for an attempt of which an earlier consumer stored some output already.
    #[must_use]
    pub fn after(mut self, stored: Option<StoredOutput>) -> Self {
        self.stored = stored;
        self
    }

    /// How far an earlier consumer stored this attempt's output: only what comes after is to be told.
    pub fn stored(&self) -> Option<StoredOutput> {
        self.stored
    }

    /// Takes this run's secrets out of any text.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// One line of output. Waits while the reader is behind. Cancellation safe: the line is sent or not.
    pub async fn output(&self, mut line: LogLine) {
        line.text = self.redactor.redact(line.text);
        self.send(AttemptNews::Output(line)).await;
    }

    /// Where the attempt runs: `pid 4711`.
    pub async fn execution(&self, place: String) {
        self.send(AttemptNews::Execution(place)).await;
    }

    /// Why the attempt does not run yet; `None` once it does.
    pub async fn waiting(&self, why: Option<String>) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&why);
        self.send(AttemptNews::Waiting(why)).await;
    }

    /// Why the attempt does not run yet, as last told.
    pub fn why_waiting(&self) -> Option<String> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the attempt is; dropped while the reader is behind.
    pub fn progress(&self, mut progress: Progress) {
        progress.message = self.redactor.redact(progress.message);
        self.used.store(true, Ordering::Relaxed);
        let _ = self
            .sink
            .try_send(self.event(AttemptNews::Progress(progress)));
    }

    /// Waits until all that was sent before has been stored.
    pub async fn flush(&self) {
        if self.used.load(Ordering::Relaxed) {
            let (done, stored) = oneshot::channel();
            self.send(AttemptNews::Flush(done)).await;
            let _ = stored.await;
        }
    }

    fn event(&self, what: AttemptNews) -> AttemptEvent {
        AttemptEvent {
            lease: self.lease,
            attempt: self.attempt,
            what,
        }
    }

    async fn send(&self, what: AttemptNews) {
        self.used.store(true, Ordering::Relaxed);
        // A reader that is gone has no use for news any more.
        let _ = self.sink.send(self.event(what)).await;
    }
}
