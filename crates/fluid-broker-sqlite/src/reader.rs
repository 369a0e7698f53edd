//! The threads that read. Each call sees one state of the file, and holds nobody up.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::error::Outcome;
use crate::store::{Job, Reading};

/// Calls that may wait for a reader; who calls beyond waits to get in line.
pub(crate) const QUEUE: usize = 256;

pub(crate) type ReadJob = Box<dyn Job<Reading>>;

/// What one reader's thread owns.
pub(crate) struct Reader {
    pub(crate) reading: Reading,
    pub(crate) jobs: Arc<Mutex<mpsc::Receiver<ReadJob>>>,
    pub(crate) broker: String,
    pub(crate) path: PathBuf,
}

impl Reader {
    /// Works until the broker is dropped.
    pub(crate) fn run(mut self) {
        loop {
            // Held only while waiting: one reader waits for a call, the others wait for their turn to.
            let job = self
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .blocking_recv();
            match job {
                None => return,
                Some(job) if job.is_abandoned() => {}
                Some(job) => self.read(job),
            }
        }
    }

    fn read(&mut self, mut job: ReadJob) {
        let error = self
            .transact(&mut *job)
            .err()
            .map(|fault| fault.to_error(&self.broker, &self.path));
        job.answer(error);
    }

    fn transact(&mut self, job: &mut dyn Job<Reading>) -> Outcome<()> {
        self.reading
            .connection
            .prepare_cached("BEGIN")?
            .execute([])?;
        let done = job.run(&mut self.reading);
        if !self.reading.connection.is_autocommit() {
            self.reading
                .connection
                .prepare_cached("ROLLBACK")?
                .execute([])?;
        }
        done
    }
}
