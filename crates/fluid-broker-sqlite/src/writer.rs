//! The thread that writes. It takes all calls that wait, up to a bound, into one transaction, and answers them
//! after the commit: the cost of reaching the disk is shared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{Fault, Outcome};
use crate::store::{Job, Writing};
use crate::watch;

/// Calls that may wait for the writer; who calls beyond waits to get in line.
pub(crate) const QUEUE: usize = 1024;
/// Calls that share one transaction.
const GROUP: usize = 256;

pub(crate) type WriteJob = Box<dyn Job<Writing>>;

/// What the writer's thread owns.
pub(crate) struct Writer {
    pub(crate) writing: Writing,
    pub(crate) jobs: mpsc::Receiver<WriteJob>,
    /// Somebody may have changed the file.
    pub(crate) poke: Arc<Notify>,
    /// How often to look for changes by other processes without being poked.
    pub(crate) poll: Duration,
    pub(crate) broker: String,
    pub(crate) path: PathBuf,
    pub(crate) version: i64,
}

impl Writer {
    /// Works until the broker is dropped.
    pub(crate) async fn run(mut self) {
        let mut poll = interval(self.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                job = self.jobs.recv() => match job {
                    Some(job) => self.write_with_what_waits(job),
                    None => return self.catch_up(),
                },
                () = self.poke.notified() => self.look_for_changes(),
                _ = poll.tick() => {
                    self.catch_up();
                    self.look_for_changes();
                }
            }
        }
    }

    /// `PRAGMA data_version` changes when another connection commits, and not when this one does.
    fn look_for_changes(&mut self) {
        // A file that can't be read now says so to whoever calls next.
        if let Ok(version) = data_version(&self.writing)
            && version != self.version
        {
            self.version = version;
            self.writing.tell_changed();
        }
    }

    fn catch_up(&mut self) {
        // A disk that does not take it now is told of by the next commit that has to wait for it.
        if let Err(fault) = self.writing.catch_up() {
            let error = fault.to_error(&self.broker, &self.path);
            tracing::warn!(%error, "the last moments may not survive a loss of power");
        }
    }

    fn write_with_what_waits(&mut self, first: WriteJob) {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = self.jobs.try_recv()
        {
            group.push(job);
        }
        group.retain(|job| !job.is_abandoned());
        self.write(group);
    }

    fn write(&mut self, mut group: Vec<WriteJob>) {
        if group.is_empty() {
            return;
        }
        let Err(fault) = self.transact(&mut group) else {
            // Whoever waits goes on while the other processes are told.
            self.writing.tell_all();
            for job in group {
                job.answer(None);
            }
            if self.writing.has_written() {
                watch::announce(&self.path);
            }
            return;
        };
        self.writing.roll_back();
        if group.len() > 1 && fault.is_of_one_call() {
            // Which of them it was shows when each is alone.
            for job in group {
                self.write(vec![job]);
            }
            return;
        }
        for job in group {
            job.answer(Some(fault.to_error(&self.broker, &self.path)));
        }
    }

    fn transact(&mut self, group: &mut [WriteJob]) -> Outcome<()> {
        self.writing.begin(group.iter().any(|job| job.lasts()))?;
        for job in group {
            self.writing.tick();
            job.run(&mut self.writing)?;
        }
        self.writing.commit()
    }
}

pub(crate) fn data_version(writing: &Writing) -> Outcome<i64> {
    let mut version = writing
        .base
        .connection
        .prepare_cached("PRAGMA data_version")?;
    version.query_row([], |row| row.get(0)).map_err(Fault::from)
}
