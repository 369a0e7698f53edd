//! Where a process notes what it saw.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::entry::{Entry, What};

/// Keeps entries.
pub trait Sink: Send + Sync + Debug + 'static {
    /// Keeps one.
    fn keep(&self, entry: &Entry);
    /// The time in microseconds, on a clock that all processes share.
    fn now(&self) -> u64;
}

/// One process's way to a sink.
#[derive(Debug, Clone)]
pub struct Ledger {
    by: Arc<str>,
    sink: Arc<dyn Sink>,
}

impl Ledger {
    /// The entries of the process `by`.
    pub fn new(by: &str, sink: Arc<dyn Sink>) -> Self {
        Self {
            by: by.into(),
            sink,
        }
    }

    /// The time in microseconds, on a clock that all processes share.
    pub fn now(&self) -> u64 {
        self.sink.now()
    }

    /// Notes what happened now.
    pub fn note(&self, what: What) {
        let at = self.now();
        self.sink.keep(&Entry {
            by: self.by.clone(),
            at,
            what,
        });
    }
}

/// A file of one line each, which survives the process that wrote it.
#[derive(Debug)]
pub struct LedgerFile {
    file: File,
    clock: fn() -> u64,
}

impl LedgerFile {
    /// Appends to a file; times come from `clock`.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path, clock: fn() -> u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, clock })
    }

    /// The entries of a file. What a killed process left half-written at its end counts as not written.
    ///
    /// # Errors
    /// When it can't be read, or has a broken line that is not its last.
    pub fn read(path: &Path) -> std::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut lines = BufReader::new(File::open(path)?).split(b'\n').peekable();
        while let Some(line) = lines.next() {
            match serde_json::from_slice(&line?) {
                Ok(entry) => entries.push(entry),
                Err(_) if lines.peek().is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }
}

impl LedgerFile {
    fn append(&self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        // One write, so that lines of several threads don't mix and a kill leaves at most one in half.
        (&self.file).write_all(&line)
    }
}

impl Sink for LedgerFile {
    #[expect(clippy::panic, reason = "a proof without its ledger proves nothing")]
    fn keep(&self, entry: &Entry) {
        if let Err(error) = self.append(entry) {
            panic!("the ledger can't be written: {error}");
        }
    }

    fn now(&self) -> u64 {
        (self.clock)()
    }
}

/// A ledger in memory, on a clock of its own.
#[derive(Debug)]
pub struct LedgerList {
    entries: Mutex<Vec<Entry>>,
    begin: tokio::time::Instant,
}

impl LedgerList {
    /// An empty one. Its time is that of the runtime, and begins now.
    pub fn new() -> Self {
        Self {
            entries: Mutex::default(),
            begin: tokio::time::Instant::now(),
        }
    }

    /// All that was kept so far, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for LedgerList {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for LedgerList {
    fn keep(&self, entry: &Entry) {
        let entries = self.entries.lock();
        entries
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry.clone());
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
