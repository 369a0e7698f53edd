//! What the operations work on: a connection and what goes with it.

use std::sync::Arc;

use fluid_core::{BrokerResult, Clock, Event, LogCap, RunId, TaskName};
use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};

use crate::counts::Counts;
use crate::durable::{Disk, Log, Waits};
use crate::error::Outcome;
use crate::names::Names;
use crate::own_leases::OwnLeases;
use crate::state::Stored;

/// A connection and the names it knows.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) connection: Connection,
    pub(crate) names: Names,
}

impl Reading {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            names: Names::new(),
        }
    }
}

/// The one connection that writes, within a transaction.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) base: Reading,
    pub(crate) counts: Counts,
    pub(crate) own_leases: Arc<OwnLeases>,
    /// The broker's clock, in microseconds.
    pub(crate) now: i64,
    pub(crate) log_cap: LogCap,
    clock: Arc<dyn Clock>,
    events: broadcast::Sender<Event>,
    untold: Vec<Event>,
    disk: Disk,
    /// What the current call did must survive a loss of power, whatever kind of call it is.
    must_last: bool,
    changes_before: u64,
}

impl Writing {
    pub(crate) fn new(
        connection: Connection,
        disk: Disk,
        clock: Arc<dyn Clock>,
        log_cap: LogCap,
        events: broadcast::Sender<Event>,
        own_leases: Arc<OwnLeases>,
    ) -> Self {
        Self {
            base: Reading::new(connection),
            counts: Counts::default(),
            own_leases,
            now: 0,
            log_cap,
            clock,
            events,
            untold: Vec::new(),
            disk,
            must_last: false,
            changes_before: 0,
        }
    }

    /// An event to be told once its cause is committed.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.events.receiver_count() > 0 {
            self.untold.push(event);
        }
    }

    /// A run waits for a consumer.
    pub(crate) fn tell_claimable(&mut self, run: RunId, task: i64) -> Outcome<()> {
        if self.events.receiver_count() > 0 {
            let task = self.task_name(task)?;
            self.untold.push(Event::Enqueued { run, task });
        }
        Ok(())
    }

    pub(crate) fn tell_finished(&mut self, run: RunId, task: i64, to: Stored) -> Outcome<()> {
        if self.events.receiver_count() > 0 {
            let (task, state) = (self.task_name(task)?, to.public());
            self.untold.push(Event::Finished { run, task, state });
        }
        Ok(())
    }

    pub(crate) fn task_name(&mut self, task: i64) -> Outcome<TaskName> {
        self.base.names.tasks.name(&self.base.connection, task)
    }

    /// Begins a transaction of calls that wait for the disk at the latest then.
    pub(crate) fn begin(&mut self, waits: Waits) -> Outcome<()> {
        self.disk.before(&self.base.connection, waits)?;
        self.base
            .connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        self.changes_before = self.base.connection.total_changes();
        Ok(())
    }

    /// What the current call does must survive a loss of power, though its kind need not.
    pub(crate) fn must_last(&mut self) {
        self.must_last = true;
    }

    /// Carries out a call, which happens at one instant; whether it is answered when the disk has it.
    pub(crate) fn call(&mut self, job: &mut dyn Job<Self>) -> Outcome<bool> {
        self.now = self.clock.now().as_microsecond();
        self.must_last = false;
        job.run(self)?;
        Ok(self.must_last || job.waits() > Waits::Never)
    }

    pub(crate) fn commit(&mut self) -> Outcome<()> {
        self.counts.write(&self.base.connection)?;
        self.base.connection.prepare_cached("COMMIT")?.execute([])?;
        if self.has_written() {
            self.disk.after();
        }
        Ok(())
    }

    /// Whether the disk may not have everything yet that is to last.
    pub(crate) fn is_behind(&self) -> bool {
        self.disk.is_behind()
    }

    pub(crate) fn log(&self) -> &Log {
        self.disk.log()
    }

    /// Has the disk take what was committed before it had it.
    pub(crate) fn catch_up(&mut self) -> Outcome<()> {
        self.disk.catch_up()
    }

    pub(crate) fn roll_back(&mut self) {
        self.counts.forget();
        self.base.names.forget();
        self.untold.clear();
        // SQLite has rolled back by itself after some failures.
        if !self.base.connection.is_autocommit() {
            let _ = self.base.connection.execute_batch("ROLLBACK");
        }
    }

    /// Whether the transaction that was just committed changed anything.
    pub(crate) fn has_written(&self) -> bool {
        self.base.connection.total_changes() != self.changes_before
    }

    /// Tells of what may be known before the disk has it; what remains are ends, if it is behind.
    pub(crate) fn tell_all(&mut self) -> Vec<Event> {
        let behind = self.is_behind();
        let (wait, now) = self
            .untold
            .drain(..)
            .partition::<Vec<_>, _>(|event| behind && matches!(event, Event::Finished { .. }));
        tell(&self.events, now);
        wait
    }

    pub(crate) fn events(&self) -> broadcast::Sender<Event> {
        self.events.clone()
    }

    pub(crate) fn tell_changed(&self) {
        let _ = self.events.send(Event::Changed);
    }
}

pub(crate) fn tell(events: &broadcast::Sender<Event>, all: impl IntoIterator<Item = Event>) {
    for event in all {
        // Nobody listening is no fault.
        let _ = events.send(event);
    }
}

/// A call that waits for its thread.
pub(crate) trait Job<C>: Send {
    fn run(&mut self, on: &mut C) -> Outcome<()>;
    /// When it waits for the disk.
    fn waits(&self) -> Waits;
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Answers with what [`run`](Self::run) brought, or with an error.
    fn answer(self: Box<Self>, error: Option<fluid_core::BrokerError>);
}

/// The closure of one call, which may be run again after its transaction failed, and where its answer goes. It goes
/// back with it: who called drops what it holds, and the thread that everybody waits for does not.
pub(crate) struct Call<F, T> {
    work: F,
    waits: Waits,
    value: Option<T>,
    reply: oneshot::Sender<(BrokerResult<T>, F)>,
}

impl<F, T> Call<F, T> {
    pub(crate) fn new(work: F, waits: Waits) -> (Self, oneshot::Receiver<(BrokerResult<T>, F)>) {
        let (reply, answer) = oneshot::channel();
        let call = Self {
            work,
            waits,
            value: None,
            reply,
        };
        (call, answer)
    }
}

impl<C, F, T> Job<C> for Call<F, T>
where
    F: FnMut(&mut C) -> Outcome<T> + Send,
    T: Send,
{
    fn run(&mut self, on: &mut C) -> Outcome<()> {
        self.value = Some((self.work)(on)?);
        Ok(())
    }

    fn waits(&self) -> Waits {
        self.waits
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, error: Option<fluid_core::BrokerError>) {
        let answer = match (error, self.value) {
            (Some(error), _) => Err(error),
            (None, Some(value)) => Ok(value),
            (None, None) => return,
        };
        // Who asked may be gone.
        let _ = self.reply.send((answer, self.work));
    }
}
