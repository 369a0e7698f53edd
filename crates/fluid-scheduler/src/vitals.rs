//! Whether the loops of this process move.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::manager::TaskManager;

/// How often a loop comes round though it has nothing to do.
pub(crate) const BEAT: Duration = Duration::from_secs(5);
/// How long a loop may take for its round: longer than any broker lets it wait for an answer.
pub(crate) const ROUND: Duration = Duration::from_secs(60);

/// A loop that must go round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Claims runs and writes their ends.
    Consumer,
    /// Renews leases.
    Leases,
    /// Fires ticks.
    Scheduler,
}

impl Part {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Leases => "leases",
            Self::Scheduler => "scheduler",
        }
    }
}

/// How a loop of this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vital {
    /// Which loop.
    pub part: Part,
    /// How long ago it came round.
    pub silent: Duration,
    /// How long it may take.
    pub limit: Duration,
    /// It was told to stop, and takes as long for that as its consumer's drain timeout allows.
    pub draining: bool,
}

impl Vital {
    /// Whether it moves; one that drains is waiting for its runs, however long.
    pub fn is_well(&self) -> bool {
        self.draining || self.silent <= self.limit
    }
}

/// The loops of a manager's consumers and schedulers in this process.
#[derive(Debug)]
pub(crate) struct Vitals {
    since: Instant,
    loops: Mutex<Vec<Arc<Beats>>>,
}

#[derive(Debug)]
struct Beats {
    part: Part,
    limit: Duration,
    /// Milliseconds after `since`.
    last: AtomicU64,
    draining: AtomicBool,
}

impl Default for Vitals {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            loops: Mutex::default(),
        }
    }
}

impl Vitals {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Beats>>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A loop begins, and comes round at least this often.
    pub(crate) fn begin(self: &Arc<Self>, part: Part, limit: Duration) -> Pulse {
        let beats = Arc::new(Beats {
            part,
            limit,
            last: AtomicU64::new(self.millis()),
            draining: AtomicBool::new(false),
        });
        self.lock().push(beats.clone());
        Pulse {
            vitals: self.clone(),
            beats,
        }
    }
}

/// What a loop holds; it is forgotten when this is dropped.
#[derive(Debug)]
pub(crate) struct Pulse {
    vitals: Arc<Vitals>,
    beats: Arc<Beats>,
}

impl Pulse {
    /// The loop came round.
    pub(crate) fn beat(&self) {
        self.beats
            .last
            .store(self.vitals.millis(), Ordering::Relaxed);
    }

    /// The loop was told to stop.
    pub(crate) fn drain(&self) {
        self.beats.draining.store(true, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut loops = self.vitals.lock();
        loops.retain(|other| !Arc::ptr_eq(other, &self.beats));
    }
}

impl TaskManager {
    /// How the loops of this manager's consumers and schedulers are: those in this process that were begun and have not
    /// returned.
    pub fn vitals(&self) -> Vec<Vital> {
        let vitals = self.loops();
        let now = vitals.millis();
        let loops = vitals.lock();
        let of = |beats: &Arc<Beats>| Vital {
            part: beats.part,
            silent: Duration::from_millis(now.saturating_sub(beats.last.load(Ordering::Relaxed))),
            limit: beats.limit,
            draining: beats.draining.load(Ordering::Relaxed),
        };
        loops.iter().map(of).collect()
    }
}
