//! The seam to whatever keeps the runs.
//!
//! Delivery is **at least once**, with fencing: every write of an attempt carries its lease's token, and an
//! attempt whose lease was lost can no longer change its run. Time comes from the broker.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::error::RunError;
use crate::executor::LeaseRef;
use crate::id::{ConsumerId, LeaseToken, QueueName, RunId, TaskName};
use crate::json::JsonText;
use crate::policy::RateLimit;
use crate::run::{Attempt, AttemptOutcome, LogLine, NewRun, Progress, TaskRun};
use crate::state::RunState;
use crate::task::ExecutorKind;

/// How long a lease lasts unless it is extended.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// Why a broker could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It can't be reached or opened now; the same call may go through later.
    #[error("broker {broker} can't be reached: {reason}")]
    Unreachable {
        /// Which broker, without secrets.
        broker: String,
        /// What was tried and what came back.
        reason: String,
        /// The cause below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Somebody else holds it longer than is reasonable; the same call may go through later.
    #[error("broker {broker} is locked by another process: {reason}")]
    Locked {
        /// Which broker.
        broker: String,
        /// What holds it, as far as is known.
        reason: String,
    },
    /// There is no room left to write; nothing was lost, and the call may go through once there is.
    #[error("broker {broker} has no room left to write: {reason}; free some space and it goes on")]
    Full {
        /// Which broker.
        broker: String,
        /// What is full.
        reason: String,
    },
    /// It may be read but not written.
    #[error("broker {broker} is read-only: {reason}")]
    ReadOnly {
        /// Which broker.
        broker: String,
        /// Why, as far as is known.
        reason: String,
    },
    /// What it keeps is damaged.
    #[error("broker {broker} is damaged: {reason}; restore it from a backup")]
    Corrupt {
        /// Which broker.
        broker: String,
        /// What does not add up.
        reason: String,
    },
    /// It was written by a newer version of fluid.
    #[error(
        "broker {broker} has schema version {found}, and this fluid knows versions up to {supported}: use a newer fluid"
    )]
    SchemaTooNew {
        /// Which broker.
        broker: String,
        /// The version found.
        found: u32,
        /// The newest version that this build knows.
        supported: u32,
    },
    /// The call itself is at fault.
    #[error("broker {broker}: {reason}")]
    Invalid {
        /// Which broker.
        broker: String,
        /// What is wrong with the call or the URL.
        reason: String,
    },
    /// The broker is closed.
    #[error("broker {broker} is closed")]
    Closed {
        /// Which broker.
        broker: String,
    },
    /// Something that has no better name.
    #[error("broker {broker} failed: {reason}")]
    Other {
        /// Which broker.
        broker: String,
        /// What it said.
        reason: String,
        /// The cause below.
        #[source]
        source: Option<io::Error>,
    },
}

impl BrokerError {
    /// True when the same call may go through later without anybody changing the call.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Locked { .. }
                | Self::Full { .. }
                | Self::ReadOnly { .. }
        )
    }
}

/// The result of a broker call.
pub type BrokerResult<T> = Result<T, BrokerError>;

/// What became of one new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It was inserted under its own id.
    Inserted(RunId),
    /// Its unique key belongs to this run, or this run has the same id: nothing was inserted. So a request whose
    /// answer was lost may be sent again.
    Duplicate(RunId),
}

impl Enqueued {
    /// The run that now stands for the request.
    pub fn run(self) -> RunId {
        match self {
            Self::Inserted(id) | Self::Duplicate(id) => id,
        }
    }
}

/// What a consumer says of a task when it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskLimits {
    /// The task.
    pub task: TaskName,
    /// How many of its runs, per concurrency key, may be running across all consumers; 0 means no limit. A run
    /// that waits to be [adopted](Self::survives_consumer) counts as well.
    pub max_concurrency: u32,
    /// How often its runs may start across all consumers, counted per concurrency key. It is asked last, so a
    /// run that something else holds up uses nothing of it and is not refused by it.
    pub rate_limit: Option<RateLimit>,
    /// The executor that this consumer uses for it survives a consumer: an attempt that it gives back, or whose
    /// lease runs out, goes on. Its run is queued until somebody claims the same attempt, under the same number
    /// and with a new token, and adopts its execution. An adoption is no start: no limit, pause or disabled task
    /// holds it up.
    pub survives_consumer: bool,
}

impl TaskLimits {
    /// A task without limits.
    pub fn none(task: TaskName) -> Self {
        Self {
            task,
            max_concurrency: 0,
            rate_limit: None,
            survives_consumer: false,
        }
    }
}

/// A wish for runs.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Who claims.
    pub consumer: ConsumerId,
    /// From which queues.
    pub queues: Arc<[QueueName]>,
    /// Runs of which tasks, and their limits.
    pub tasks: Arc<[TaskLimits]>,
    /// At most how many.
    pub limit: usize,
    /// For how long.
    pub lease: Duration,
}

/// What a claim brought.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    /// The claimed runs, most urgent first, each with the token that fences its writes.
    pub runs: Vec<(TaskRun, LeaseToken)>,
    /// The earliest instant, by the broker's clock, at which a claim could bring more without anybody
    /// enqueueing or finishing anything: a due time, a lease's end, or a rate limit. It may be earlier than
    /// that, when it belongs to something that the request did not ask for. What only the request's `limit`
    /// left behind does not count: who has room for more asks again.
    pub next: Option<Timestamp>,
    /// The broker's clock at the claim.
    pub now: Timestamp,
}

/// What became of a lease that was to be extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStatus {
    /// It lasts for another term.
    Held,
    /// It is gone: stop, and write nothing more.
    Lost,
    /// It lasts, and somebody asked to cancel the run.
    CancelRequested,
}

/// How an attempt ended, to be written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finish {
    /// It gave a result: the run succeeds.
    Success(JsonText),
    /// It failed and the run is due again after a delay from now: it is scheduled, or queued at once when there
    /// is no delay.
    Retry {
        /// Until the next attempt.
        after: Duration,
        /// Why it failed.
        error: RunError,
    },
    /// It failed for the last time: the run fails.
    Failure(RunError),
    /// The run is aborted.
    Aborted(RunError),
    /// The consumer stops: the run is queued again without costing a failure. With
    /// [`survives_consumer`](TaskLimits::survives_consumer), as it was said when the attempt was claimed, the
    /// attempt goes on under the next consumer; otherwise it ended, and the next one gets the next number.
    Released,
}

/// What became of a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It was written; the run is now in this state.
    Written(RunState),
    /// The lease was lost: nothing was written.
    Lost,
}

/// News of a running attempt, to be written. What is `None` stays as it is.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whose attempt.
    pub lease: LeaseRef,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Where it runs.
    pub execution: Option<String>,
    /// Why it does not run yet; `Some(None)` once it does.
    pub waiting: Option<Option<String>>,
}

impl Report {
    /// A report that says nothing yet.
    pub fn new(lease: LeaseRef) -> Self {
        Self {
            lease,
            progress: None,
            execution: None,
            waiting: None,
        }
    }
}

/// Lines of output, to be appended.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// The run.
    pub run: RunId,
    /// The attempt that printed them.
    pub attempt: u32,
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// How much of a run's output a broker keeps, over all its attempts. From the first line on that would exceed
/// either number, everything is left out, and one last line of the stream `system` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCap {
    /// How many lines.
    pub lines: u64,
    /// How many bytes of text.
    pub bytes: u64,
}

impl LogCap {
    /// The default number of lines.
    pub const DEFAULT_LINES: u64 = 200_000;
    /// The default number of bytes: 16 MiB.
    pub const DEFAULT_BYTES: u64 = 16 * 1024 * 1024;

    /// At most so many lines and bytes of text.
    pub fn new(lines: u64, bytes: u64) -> Self {
        Self { lines, bytes }
    }

    /// The text of the line that says that the rest was left out.
    pub fn notice(self) -> String {
        format!(
            "the rest of this log was left out: a run keeps at most {} lines and {} bytes",
            self.lines, self.bytes
        )
    }
}

impl Default for LogCap {
    /// 200,000 lines and 16 MiB.
    fn default() -> Self {
        Self::new(Self::DEFAULT_LINES, Self::DEFAULT_BYTES)
    }
}

/// A line of a run's log and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoredLine {
    /// Its position, from 1: larger than that of every earlier line of the run.
    pub position: u64,
    /// The attempt that printed it.
    pub attempt: u32,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

/// A tick to fire.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The task whose schedule ticked.
    pub task: TaskName,
    /// The instant of the tick: with the task, its identity. A broker remembers it for at least seven days
    /// after it was fired or seen, and a task's latest one for good.
    pub instant: Timestamp,
    /// The run to insert if nobody fired this tick before.
    pub run: NewRun,
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    /// The run was inserted, or its unique key belongs to this other run.
    Fired(RunId),
    /// Some scheduler fired it before.
    AlreadyFired,
    /// The task is disabled: the tick counts as seen, without a run.
    Disabled,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited, for its start or for its next attempt: it is aborted now.
    Aborted,
    /// It runs: its consumer will be told at the next renewal of the lease, or sooner by an event. Or its attempt
    /// waits to be [adopted](TaskLimits::survives_consumer): who adopts it sees
    /// [`cancel_requested`](TaskRun::cancel_requested) and ends its execution.
    Requested,
    /// It had finished already, in this state.
    AlreadyFinished(RunState),
    /// There is no such run.
    NotFound,
}

/// Which runs. Empty lists and `None` mean any; what is given must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFilter {
    /// One of these runs.
    pub ids: Vec<RunId>,
    /// Of one of these tasks.
    pub tasks: Vec<TaskName>,
    /// In one of these states.
    pub states: Vec<RunState>,
    /// In one of these queues.
    pub queues: Vec<QueueName>,
    /// Children of this run.
    pub parent: Option<RunId>,
    /// This run, its children, and theirs.
    pub root: Option<RunId>,
    /// Enqueued at or after this instant.
    pub created_from: Option<Timestamp>,
    /// Enqueued before this instant.
    pub created_before: Option<Timestamp>,
    /// Finished before this instant.
    pub ended_before: Option<Timestamp>,
}

impl RunFilter {
    /// Of these runs, those that are finished; `None` when the states asked for are all of unfinished runs.
    pub fn finished(self) -> Option<Self> {
        self.in_states(RunState::is_terminal)
    }

    /// Of these runs, those that are not finished; `None` when the states asked for are all of finished runs.
    pub fn unfinished(self) -> Option<Self> {
        self.in_states(|state| !state.is_terminal())
    }

    fn in_states(mut self, wanted: impl Fn(RunState) -> bool) -> Option<Self> {
        if self.states.is_empty() {
            self.states = RunState::ALL.to_vec();
        }
        self.states.retain(|state| wanted(*state));
        (!self.states.is_empty()).then_some(self)
    }

    /// Whether a run passes; what brokers do in their own language must agree.
    pub fn matches(&self, run: &TaskRun) -> bool {
        fn any<T: PartialEq>(wanted: &[T], value: &T) -> bool {
            wanted.is_empty() || wanted.contains(value)
        }
        any(&self.ids, &run.id)
            && any(&self.tasks, &run.task)
            && any(&self.states, &run.state)
            && any(&self.queues, &run.queue)
            && self.parent.is_none_or(|parent| run.parent == Some(parent))
            && self
                .root
                .is_none_or(|root| run.id == root || run.root == Some(root))
            && self.created_from.is_none_or(|from| run.created_at >= from)
            && self
                .created_before
                .is_none_or(|before| run.created_at < before)
            && self
                .ended_before
                .is_none_or(|before| run.ended_at.is_some_and(|ended| ended < before))
    }
}

/// A run with all that belongs to it but its log, as one broker hands it to another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExportedRun {
    /// The run.
    pub run: TaskRun,
    /// Its unique key, if it still holds one.
    pub unique: Option<HeldKey>,
    /// Its attempts, as [`Broker::attempts`] tells them.
    pub attempts: Vec<Attempt>,
}

impl ExportedRun {
    /// A run with its key and its attempts.
    pub fn new(run: TaskRun, unique: Option<HeldKey>, attempts: Vec<Attempt>) -> Self {
        Self {
            run,
            unique,
            attempts,
        }
    }

    /// Refuses runs of which one is running, as [`Broker::import`] must.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] of the broker that should take them over.
    pub fn check_none_runs(runs: &[Self], broker: &str) -> BrokerResult<()> {
        let running = runs.iter().find(|one| one.run.state == RunState::Running);
        running.map_or(Ok(()), |one| {
            Err(BrokerError::Invalid {
                broker: broker.to_owned(),
                reason: format!(
                    "run {} is running: wait for its end, or stop its consumer and let its lease run out",
                    one.run.id
                ),
            })
        })
    }

    /// The attempts before the last one, if the run itself tells the last: it goes on, or the run ended with it.
    /// Otherwise all of them. And whether the run tells it.
    pub fn past(&self) -> (&[Attempt], bool) {
        match self.attempts.split_last() {
            Some((last, past)) if self.tells(last) => (past, true),
            _ => (&self.attempts, false),
        }
    }

    fn tells(&self, last: &Attempt) -> bool {
        use AttemptOutcome as A;
        use RunState as S;
        let ended_alike = matches!(
            (self.run.state, last.outcome),
            (S::Success, A::Success)
                | (S::Failure, A::Failure)
                | (S::Aborted, A::Aborted)
                | (S::Interrupted, A::Interrupted)
        );
        let ended_together = last.number == self.run.attempt && last.ended_at == self.run.ended_at;
        last.outcome == A::Running || (ended_alike && ended_together)
    }

    /// Whether its attempt [waits to be adopted](TaskLimits::survives_consumer).
    pub fn is_adoptable(&self) -> bool {
        let last = self.attempts.last();
        self.run.state == RunState::Queued
            && last.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Running)
    }
}

/// A unique key that belongs to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// What is compared, within the task.
    pub key: Arc<str>,
    /// Until when it is held though the run ended; `None`: until the run ends.
    pub until: Option<Timestamp>,
}

/// A page of runs, newest first. It stays right while runs are added: a run never moves to another page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The runs, by descending id.
    pub runs: Vec<TaskRun>,
    /// Where the next page begins: runs with a smaller id. `None` when this is the last.
    pub next: Option<RunId>,
}

/// How many runs there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stats {
    /// By task and state.
    pub tasks: BTreeMap<TaskName, BTreeMap<RunState, u64>>,
    /// By queue, only runs that are not finished.
    pub queues: BTreeMap<QueueName, BTreeMap<RunState, u64>>,
    /// The due time of the longest-waiting queued run.
    pub oldest_queued: Option<Timestamp>,
}

impl Stats {
    /// How many runs are in this state.
    pub fn count(&self, state: RunState) -> u64 {
        self.tasks
            .values()
            .filter_map(|states| states.get(&state))
            .sum()
    }
}

/// What was switched at run time. It survives restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Settings {
    /// Tasks that are not claimed and whose ticks don't fire.
    pub disabled_tasks: Vec<TaskName>,
    /// Queues that are not claimed from.
    pub paused_queues: Vec<QueueName>,
}

/// What a consumer tells of itself, kept while it lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerInfo {
    /// Who it is.
    pub id: ConsumerId,
    /// The queues it claims from.
    pub queues: Vec<QueueName>,
    /// The tasks it can run, each with its limit and executor.
    pub tasks: Vec<ConsumerTask>,
    /// How many runs it executes at once.
    pub max_concurrent_tasks: usize,
    /// How many it executes now.
    pub running: usize,
    /// It finishes what it has and claims no more.
    pub draining: bool,
    /// The host it is on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Where its process serves HTTP, as `http://127.0.0.1:7373/`.
    #[serde(default)]
    pub http: Option<String>,
    /// Its version of fluid.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it was last heard of, by the broker's clock; the broker fills it in.
    pub seen_at: Timestamp,
}

/// A task as a consumer knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerTask {
    /// Its name.
    pub name: TaskName,
    /// How it is carried out there.
    pub executor: ExecutorKind,
    /// Its limit of running runs; 0 means none.
    pub max_concurrency: u32,
    /// Its schedule in words.
    pub schedule: Option<String>,
}

/// Something that happened. Events are hints: any of them may be lost, and everything still works, slower.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Runs were enqueued, now or for later, or became claimable otherwise.
    Enqueued {
        /// One of them.
        run: RunId,
        /// Its task.
        task: TaskName,
    },
    /// An attempt started.
    Started {
        /// Its run.
        run: RunId,
        /// Its task.
        task: TaskName,
        /// Its number.
        attempt: u32,
    },
    /// An attempt ended, or a run ended while it waited.
    Finished {
        /// Its run.
        run: RunId,
        /// Its task.
        task: TaskName,
        /// The state of the run after it.
        state: RunState,
    },
    /// Somebody asked to cancel a running run.
    CancelRequested {
        /// The run.
        run: RunId,
    },
    /// An attempt told how far it is, or where it runs.
    Progress {
        /// Its run.
        run: RunId,
    },
    /// A run's log grew.
    Log {
        /// The run.
        run: RunId,
    },
    /// Something changed, and nothing more is known of it.
    Changed,
}

impl Event {
    /// The run that it is about, where that is known.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Enqueued { run, .. }
            | Self::Started { run, .. }
            | Self::Finished { run, .. }
            | Self::CancelRequested { run }
            | Self::Progress { run }
            | Self::Log { run } => Some(*run),
            Self::Changed => None,
        }
    }
}

/// Keeps the runs. Every implementation passes the conformance suite of fluid-testing.
///
/// All calls are atomic: what a call reports has happened, wholly, and a call that fails or is dropped before it
/// returned has happened wholly or not at all.
#[async_trait]
pub trait Broker: Send + Sync + Debug + 'static {
    /// Which broker this is, for people: its URL without secrets.
    fn describe(&self) -> String;

    /// The broker's clock.
    async fn now(&self) -> BrokerResult<Timestamp>;

    /// Inserts runs; the answers come in the order of `runs`. Two requests with one unique key in the same call
    /// are duplicates too.
    async fn enqueue(&self, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>>;

    /// Leases due runs to a consumer, highest priority first, then due time, then order of arrival; respects
    /// limits, paused queues and disabled tasks. A run that a limit holds up does not hold up those behind it.
    /// A claim is the next attempt of its run, unless it [adopts](TaskLimits::survives_consumer) one.
    /// Empty quickly.
    ///
    /// Leases that ran out, at this very instant or before, are dealt with first, whatever the request asks for:
    /// - An attempt that [survives its consumer](TaskLimits::survives_consumer) goes on, and its run is queued
    ///   to be adopted. A request to cancel it stays.
    /// - Any other attempt is `interrupted`, with an error of the kind [`Lost`](crate::ErrorKind::Lost) that names
    ///   the consumer. Its run is aborted if somebody asked to cancel it; interrupted if more attempts were lost
    ///   than [`max_interruptions`](TaskRun::max_interruptions); otherwise queued again in its old place.
    async fn claim(&self, request: ClaimRequest) -> BrokerResult<Claimed>;

    /// Extends leases by `lease` from now; the answers come in the order of `leases`. A lease that ran out is
    /// held until a claim deals with it: until then it may be extended and its attempt finished.
    async fn extend(
        &self,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>>;

    /// Ends attempts; the answers come in the order of `batch`. A run whose cancellation was asked for is
    /// never retried: [`Finish::Retry`] aborts it, and so does [`Finish::Released`] unless its attempt
    /// [survives](TaskLimits::survives_consumer) to be adopted and cancelled.
    async fn finish(&self, batch: Vec<(LeaseRef, Finish)>) -> BrokerResult<Vec<Finished>>;

    /// Writes news of running attempts; those whose lease was lost are passed over.
    async fn report(&self, reports: Vec<Report>) -> BrokerResult<()>;

    /// [`report`](Self::report) and then [`finish`](Self::finish): the last that attempts told of themselves, and
    /// their ends. In one go where the broker can; otherwise each of the two is atomic, as here.
    async fn report_and_finish(
        &self,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        if !reports.is_empty() {
            self.report(reports).await?;
        }
        self.finish(batch).await
    }

    /// Fires ticks, each at most once whoever asks and however often; the answers come in the order of `ticks`.
    async fn tick(&self, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>>;

    /// The latest tick of each task that was fired or seen.
    async fn last_ticks(&self) -> BrokerResult<BTreeMap<TaskName, Timestamp>>;

    /// Cancels a run that waits, or asks to cancel one that runs.
    async fn cancel(&self, run: RunId) -> BrokerResult<Cancelled>;

    /// Enqueues finished runs once more, however they ended, each as a new run with a new id that names the old
    /// one in `retry_of`, due now and without a unique key: the old ones stay as they ended. At most `limit`,
    /// newest first. The new ids, in that order.
    async fn retry(&self, filter: RunFilter, limit: usize) -> BrokerResult<Vec<RunId>>;

    /// Deletes finished runs with their attempts, logs and unique keys, at most `limit`, oldest first. How many.
    async fn purge(&self, filter: RunFilter, limit: usize) -> BrokerResult<usize>;

    /// One run.
    async fn get(&self, run: RunId) -> BrokerResult<Option<TaskRun>>;

    /// The attempts of a run, oldest first, the current one included; one that waits to be adopted is still
    /// `running`. None of a run that is unknown.
    async fn attempts(&self, run: RunId) -> BrokerResult<Vec<Attempt>>;

    /// Runs that pass a filter, newest first, with ids smaller than `before`, at most `limit`.
    async fn list(
        &self,
        filter: RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Page>;

    /// Runs with ids larger than `after`, by ascending id, at most `limit`: for [`import`](Self::import) elsewhere.
    async fn export(&self, after: Option<RunId>, limit: usize) -> BrokerResult<Vec<ExportedRun>>;

    /// Takes over what another broker exported, as it is; runs that wait keep their due time and arrive in the order of
    /// `runs`. A run that is here already stays as it is, so that an import may be sent again, and so does the owner of
    /// a unique key. `ticks` are seen from now on, without a run. How many runs were new.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] for a run that is running: its consumer would end it where it came from.
    async fn import(
        &self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize>;

    /// How many runs there are.
    async fn stats(&self) -> BrokerResult<Stats>;

    /// How many runs ended from an instant on and before another, by the state they ended in; those that were purged
    /// don't count. `None` from a broker that would have to look at each of them.
    async fn ended(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> BrokerResult<Option<BTreeMap<RunState, u64>>>;

    /// Appends to runs' logs, up to the broker's [`LogCap`]. What belongs to no known run is passed over. A log
    /// is not fenced: an attempt that lost its lease may still tell what it did.
    async fn append_logs(&self, batches: Vec<LogBatch>) -> BrokerResult<()>;

    /// Lines of a run's log with a position larger than `after`, at most `limit`.
    async fn read_logs(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>>;

    /// Enables or disables a task, whether or not anybody declared it. What runs goes on.
    async fn set_task_enabled(&self, task: TaskName, enabled: bool) -> BrokerResult<()>;

    /// Pauses or resumes a queue. What runs goes on.
    async fn set_queue_paused(&self, queue: QueueName, paused: bool) -> BrokerResult<()>;

    /// What was switched at run time, in the order of names.
    async fn settings(&self) -> BrokerResult<Settings>;

    /// Makes a consumer known, or says that it still lives. It is forgotten `ttl` after its last heartbeat.
    async fn heartbeat(&self, consumer: ConsumerInfo, ttl: Duration) -> BrokerResult<()>;

    /// Forgets a consumer that stopped.
    async fn farewell(&self, consumer: ConsumerId) -> BrokerResult<()>;

    /// The consumers that live, by id.
    async fn consumers(&self) -> BrokerResult<Vec<ConsumerInfo>>;

    /// Events from now on, those of other processes as [`Event::Changed`] at least. A reader that falls behind
    /// must take the gap as [`Event::Changed`].
    fn subscribe(&self) -> broadcast::Receiver<Event>;
}
