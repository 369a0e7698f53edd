//! When a commit waits for the disk.
//!
//! Those who only tell of an attempt that runs (a claim, the extension of its lease, what it prints) are answered
//! before the disk has it, because a loss of power ends the attempt anyway, and without them it is as if it had never
//! begun. They reach the disk with the next call that waits for it, and at the latest when the writer is
//! [told to catch up](Disk::catch_up). Who enqueues or ends runs is answered when the disk has it, and so are those
//! who wait for an end; but others may find the run in the file before, and claim it, while a thread of its own waits
//! for the disk. A loss of power in between leaves a run that nobody was told of unborn, and one that ended to be
//! carried out again when its lease runs out. Of all else nobody sees anything before.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::error::{Fault, Outcome};
use crate::options::Durability;

/// When a call waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waits {
    /// A loss of power makes it void.
    Never,
    /// It is answered when the disk has it, and may be seen before.
    BeforeAnswer,
    /// Nobody sees it before the disk has it.
    BeforeCommit,
}

/// What of the write-ahead log the disk has.
#[derive(Debug)]
pub(crate) struct Disk {
    log: Log,
    durability: Durability,
    /// What the connection does at a commit.
    commits: Durability,
    /// Something was committed that the disk may not have yet.
    behind: bool,
}

impl Disk {
    /// Below a connection that was [set](set) to this durability.
    pub(crate) fn new(file: &Path, durability: Durability) -> Outcome<Self> {
        Ok(Self {
            log: Log::of(file).map_err(Fault::Disk)?,
            durability,
            commits: durability,
            behind: false,
        })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether something may be missing that a call has to wait for.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Has the next commit wait for the disk, or not.
    pub(crate) fn before(&mut self, connection: &Connection, waits: Waits) -> Outcome<()> {
        let commits = match waits {
            Waits::BeforeCommit => self.durability,
            Waits::BeforeAnswer | Waits::Never => Durability::Normal,
        };
        if commits != self.commits {
            set(connection, commits)?;
            self.commits = commits;
        }
        Ok(())
    }

    /// Something was committed.
    pub(crate) fn after(&mut self) {
        self.behind = self.durability == Durability::Full && self.commits == Durability::Normal;
    }

    /// Waits until the disk has everything that was committed.
    pub(crate) fn catch_up(&mut self) -> Outcome<()> {
        if self.behind {
            self.log.sync().map_err(Fault::Disk)?;
            self.behind = false;
        }
        Ok(())
    }
}

/// Says what a commit waits for, outside of a transaction.
pub(crate) fn set(connection: &Connection, durability: Durability) -> Outcome<()> {
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    // It takes effect when it is prepared, so it can't be kept prepared.
    Ok(connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?)
}

/// The write-ahead log beside a file.
#[derive(Debug, Clone)]
pub(crate) struct Log(PathBuf);

impl Log {
    fn of(file: &Path) -> io::Result<Self> {
        // SQLite resolves links before it names the log.
        let mut log = fs::canonicalize(file)?.into_os_string();
        log.push("-wal");
        Ok(Self(log.into()))
    }

    /// Waits until the disk has all of it.
    fn sync(&self) -> io::Result<()> {
        // SQLite holds no lock on this file that closing it could drop.
        OpenOptions::new().write(true).open(&self.0)?.sync_data()
    }
}

/// A thread that waits for the disk and then answers or tells, while the writer goes on. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Syncer<A> {
    waiting: Option<SyncSender<A>>,
    thread: Option<JoinHandle<()>>,
}

impl<A: Send + 'static> Syncer<A> {
    /// Who hands over more than `most` before the disk has it waits. `answer` gets each, and what the disk said.
    pub(crate) fn start(
        log: Log,
        most: usize,
        answer: impl Fn(A, Outcome<()>) + Send + 'static,
    ) -> io::Result<Self> {
        let (waiting, received) = sync_channel(most);
        let thread = thread::Builder::new()
            .name("fluid-sqlite-disk".to_owned())
            .spawn(move || sync_and_answer(&log, &received, answer))?;
        Ok(Self {
            waiting: Some(waiting),
            thread: Some(thread),
        })
    }

    /// Has this answered when the disk has all that was committed up to now.
    pub(crate) fn hand(&self, one: A) {
        if let Some(waiting) = &self.waiting {
            // The thread ends after this only; else who asked learns that the broker is closed.
            let _ = waiting.send(one);
        }
    }
}

impl<A> Drop for Syncer<A> {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn sync_and_answer<A>(log: &Log, received: &Receiver<A>, answer: impl Fn(A, Outcome<()>)) {
    while let Ok(first) = received.recv() {
        let mut all = vec![first];
        all.extend(received.try_iter());
        let synced = log.sync();
        for one in all {
            let said = synced.as_ref().map_err(|error| {
                // The same for each of them.
                Fault::Disk(io::Error::new(error.kind(), error.to_string()))
            });
            answer(one, said.copied());
        }
    }
}
