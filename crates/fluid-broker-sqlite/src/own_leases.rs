//! What the writer remembers of the leases that went through it, so that the end of a run needs no question first.

use std::collections::HashMap;

use fluid_core::{LeaseRef, LeaseToken, RunId};

/// More are not remembered: leases that nobody ends are lost ones, and must not pile up.
const KEPT: usize = 10_000;

/// A lease of a run without a unique key.
#[derive(Debug)]
pub(crate) struct OwnLease {
    pub(crate) seq: i64,
    pub(crate) token: LeaseToken,
    pub(crate) task: i64,
    pub(crate) queue: i64,
}

/// A memory only: whether a lease holds is written in the file.
#[derive(Debug, Default)]
pub(crate) struct OwnLeases {
    of_runs: HashMap<RunId, OwnLease>,
}

impl OwnLeases {
    pub(crate) fn keep(&mut self, run: RunId, lease: OwnLease) {
        if self.of_runs.len() >= KEPT {
            self.of_runs.clear();
        }
        self.of_runs.insert(run, lease);
    }

    /// Forgets the lease and gives it, if it is the one.
    pub(crate) fn take(&mut self, lease: LeaseRef) -> Option<OwnLease> {
        let own = self.of_runs.remove(&lease.run)?;
        (own.token == lease.token).then_some(own)
    }

    pub(crate) fn forget(&mut self) {
        self.of_runs.clear();
    }
}
