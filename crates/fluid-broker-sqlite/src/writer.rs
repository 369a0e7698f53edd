//! The thread that writes. It takes all calls that wait, up to a bound, into one transaction, and answers them
//! after the commit: the cost of reaching the disk is shared.

use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fluid_core::Event;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::durable::{Syncer, Waits};
use crate::error::{Fault, Outcome};
use crate::store::{Job, Writing, tell};
use crate::watch::{self, Watch};

/// Calls that may wait for the writer; who calls beyond waits to get in line.
pub(crate) const QUEUE: usize = 1024;
/// Calls that share one transaction.
const GROUP: usize = 256;

/// How often to look for changes by other processes in case a notification was lost.
const POLL: Duration = Duration::from_secs(1);
/// The same where there are no notifications.
const POLL_UNWATCHED: Duration = Duration::from_millis(100);

pub(crate) type WriteJob = Box<dyn Job<Writing>>;

/// What the writer's thread owns.
pub(crate) struct Writer {
    pub(crate) writing: Writing,
    pub(crate) jobs: mpsc::Receiver<WriteJob>,
    /// Answers the calls that the disk has to have first.
    pub(crate) syncer: Syncer<Waiting>,
    /// `None` where the file can't be watched.
    pub(crate) watch: Option<Watch>,
    pub(crate) broker: String,
    pub(crate) path: PathBuf,
    pub(crate) version: i64,
}

impl Writer {
    /// Works until the broker is dropped.
    pub(crate) async fn run(mut self) {
        let watched = self.watch.is_some();
        let mut poll = interval(if watched { POLL } else { POLL_UNWATCHED });
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                job = self.jobs.recv() => match job {
                    Some(job) => self.write_with_what_waits(job),
                    None => return self.catch_up(),
                },
                () = changed(self.watch.as_ref()) => self.look_for_changes(),
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

    /// Tells the other processes of a commit, while whoever waited for it here goes on.
    fn tell_others(&mut self) {
        watch::announce(&self.path);
        if let Some(watch) = &self.watch {
            // It heard that too, and may have heard of others meanwhile.
            watch.forget();
            self.look_for_changes();
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
        let waits = group.iter().map(|job| job.waits()).max();
        let waits = waits.unwrap_or(Waits::Never);
        let fault = match self.transact(&mut group, waits) {
            Ok(lasting) => return self.tell_and_answer(group, &lasting, waits),
            Err(fault) => fault,
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

    /// Which of the calls are answered when the disk has them.
    fn transact(&mut self, group: &mut [WriteJob], waits: Waits) -> Outcome<Vec<bool>> {
        self.writing.begin(waits)?;
        let lasting = group
            .iter_mut()
            .map(|job| self.writing.call(&mut **job))
            .collect::<Outcome<_>>()?;
        self.writing.commit()?;
        Ok(lasting)
    }

    fn tell_and_answer(&mut self, group: Vec<WriteJob>, lasting: &[bool], waits: Waits) {
        // An enqueued run is waited for by those who listen, a claim by who asked for it.
        let tell_first = waits > Waits::Never;
        if tell_first {
            self.tell();
        }
        let behind = self.writing.is_behind();
        for (job, lasts) in group.into_iter().zip(lasting) {
            if behind && *lasts {
                self.syncer.hand(Waiting::Answer(job));
            } else {
                job.answer(None);
            }
        }
        if !tell_first {
            self.tell();
        }
        if self.writing.has_written() {
            self.tell_others();
        }
    }

    fn tell(&mut self) {
        let ends = self.writing.tell_all();
        if !ends.is_empty() {
            self.syncer.hand(Waiting::Ends(ends));
        }
    }
}

/// What waits for the disk.
pub(crate) enum Waiting {
    Answer(WriteJob),
    /// To be told.
    Ends(Vec<Event>),
}

async fn changed(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => pending().await,
    }
}

/// A thread that answers calls of this broker after the disk.
pub(crate) fn syncer(writing: &Writing, broker: &str, path: &Path) -> io::Result<Syncer<Waiting>> {
    let (broker, path) = (broker.to_owned(), path.to_owned());
    let events = writing.events();
    Syncer::start(
        writing.log().clone(),
        QUEUE,
        move |waiting, synced| match waiting {
            Waiting::Answer(job) => {
                job.answer(synced.err().map(|fault| fault.to_error(&broker, &path)));
            }
            Waiting::Ends(ends) => tell(&events, ends),
        },
    )
}

pub(crate) fn data_version(writing: &Writing) -> Outcome<i64> {
    let mut version = writing
        .base
        .connection
        .prepare_cached("PRAGMA data_version")?;
    version.query_row([], |row| row.get(0)).map_err(Fault::from)
}
