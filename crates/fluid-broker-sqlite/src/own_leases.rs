//! What is remembered of the leases that this broker gave, so that the end of a run needs no question first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fluid_core::{LeaseRef, LeaseToken, RunId};
use foldhash::HashMap;

/// More are not remembered: leases that nobody ends are lost ones, and must not pile up.
const KEPT: usize = 10_000;

/// A lease of a run without a unique key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnLease {
    pub(crate) seq: i64,
    pub(crate) token: LeaseToken,
    pub(crate) task: i64,
    pub(crate) queue: i64,
}

impl OwnLease {
    /// What the tokens of all runs of one claim are made from, and a run's number.
    pub(crate) fn tokens(&self) -> i64 {
        self.token.as_i64() - self.seq
    }
}

/// A memory only: whether a lease holds is written in the file.
#[derive(Debug, Default)]
pub(crate) struct OwnLeases {
    of_runs: Mutex<HashMap<RunId, OwnLease>>,
}

impl OwnLeases {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, OwnLease>> {
        self.of_runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keep(&self, leases: impl IntoIterator<Item = (RunId, OwnLease)>) {
        let mut of_runs = self.lock();
        if of_runs.len() >= KEPT {
            of_runs.clear();
        }
        of_runs.extend(leases);
    }

    /// Forgets the lease and gives it, if it is the one.
    pub(crate) fn take(&self, lease: LeaseRef) -> Option<OwnLease> {
        let own = self.lock().remove(&lease.run)?;
        (own.token == lease.token).then_some(own)
    }
}
