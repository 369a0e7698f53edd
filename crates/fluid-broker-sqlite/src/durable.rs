//! When a commit waits for the disk.
//!
//! Most calls are answered once the disk has what they did. Those that only tell of an attempt that runs (a claim,
//! the extension of its lease, what it prints) are answered before, because a loss of power ends the attempt
//! anyway, and without them it is as if it had never begun. They reach the disk with the next commit that waits for it,
//! and at the latest when the writer is [told to catch up](Disk::catch_up).

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::{Fault, Outcome};
use crate::options::Durability;

/// What of the write-ahead log the disk has.
#[derive(Debug)]
pub(crate) struct Disk {
    log: PathBuf,
    durability: Durability,
    /// What the connection does at a commit.
    commits: Durability,
    /// Something was committed that the disk may not have yet.
    behind: bool,
}

impl Disk {
    /// Below a connection that was [set](set) to this durability.
    pub(crate) fn new(file: &Path, durability: Durability) -> Outcome<Self> {
        // SQLite resolves links before it names the log.
        let mut log = fs::canonicalize(file)
            .map_err(Fault::Disk)?
            .into_os_string();
        log.push("-wal");
        Ok(Self {
            log: log.into(),
            durability,
            commits: durability,
            behind: false,
        })
    }

    /// Has the next commit wait for the disk if what it does is to last, or not.
    pub(crate) fn before(&mut self, connection: &Connection, lasts: bool) -> Outcome<()> {
        let commits = if lasts {
            self.durability
        } else {
            Durability::Normal
        };
        if commits != self.commits {
            set(connection, commits)?;
            self.commits = commits;
        }
        Ok(())
    }

    /// Something was committed. If it has to last and that only turned out on the way, waits for the disk now.
    pub(crate) fn after(&mut self, lasts: bool) -> Outcome<()> {
        self.behind = self.durability == Durability::Full && self.commits == Durability::Normal;
        if lasts { self.catch_up() } else { Ok(()) }
    }

    /// Waits until the disk has everything that was committed.
    pub(crate) fn catch_up(&mut self) -> Outcome<()> {
        if self.behind {
            // SQLite holds no lock on this file that closing it could drop.
            let log = OpenOptions::new().write(true).open(&self.log);
            log.and_then(|log| log.sync_data()).map_err(Fault::Disk)?;
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
