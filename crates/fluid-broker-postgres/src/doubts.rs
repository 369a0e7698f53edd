//! Ends that were asked for and not answered: whoever sends one again hears how the first one went.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fluid_core::{Finish, LeaseRef};

/// With more doubts than this all are dropped: nobody came back for them.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Doubts(Mutex<HashSet<LeaseRef>>);

impl Doubts {
    fn lock(&self) -> MutexGuard<'_, HashSet<LeaseRef>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one of these was asked for before, without an answer.
    pub(crate) fn have_one_of(&self, batch: &[(LeaseRef, Finish)]) -> bool {
        let doubts = self.lock();
        !doubts.is_empty() && batch.iter().any(|(lease, _)| doubts.contains(lease))
    }

    /// Asks: once this is dropped these ends are in doubt, unless they were [answered](Asked::answered).
    pub(crate) fn ask<'a>(&'a self, batch: &'a [(LeaseRef, Finish)]) -> Asked<'a> {
        Asked {
            doubts: self,
            batch,
            answered: false,
        }
    }
}

/// Ends that wait for their answers.
pub(crate) struct Asked<'a> {
    doubts: &'a Doubts,
    batch: &'a [(LeaseRef, Finish)],
    answered: bool,
}

impl Asked<'_> {
    /// The answers are there.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut doubts = self.doubts.lock();
        if self.answered && doubts.is_empty() {
            return;
        }
        if doubts.len() > MOST {
            doubts.clear();
        }
        for (lease, _) in self.batch {
            if self.answered {
                doubts.remove(lease);
            } else {
                doubts.insert(*lease);
            }
        }
    }
}
