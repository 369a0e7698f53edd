//! The runs that a consumer executes now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fluid_core::{LeaseRef, LeaseToken, RunId};

use crate::attempt::{StopReason, StopSignal};
use crate::meters::TaskMeters;

#[derive(Debug)]
struct Active {
    token: LeaseToken,
    survives_consumer: bool,
    stop: StopSignal,
    meters: Option<Arc<TaskMeters>>,
}

/// The runs whose leases this consumer holds, until their end was written. They are in order, so that a simulation can
/// be repeated.
#[derive(Debug, Default)]
pub(super) struct ActiveRuns(Mutex<BTreeMap<RunId, Active>>);

impl ActiveRuns {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Active>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        &self,
        lease: LeaseRef,
        survives_consumer: bool,
        meters: Option<Arc<TaskMeters>>,
    ) -> StopSignal {
        let stop = StopSignal::default();
        let active = Active {
            token: lease.token,
            survives_consumer,
            stop: stop.clone(),
            meters,
        };
        self.lock().insert(lease.run, active);
        stop
    }

    /// The attempt is over; where it is measured.
    pub(super) fn remove(&self, lease: LeaseRef) -> Option<Arc<TaskMeters>> {
        let mut runs = self.lock();
        // The run may have been claimed anew by this same consumer after its lease was lost.
        if runs.get(&lease.run)?.token != lease.token {
            return None;
        }
        runs.remove(&lease.run)?.meters
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn leases(&self) -> Vec<LeaseRef> {
        self.lock()
            .iter()
            .map(|(run, active)| LeaseRef {
                run: *run,
                token: active.token,
            })
            .collect()
    }

    pub(super) fn stop(&self, run: RunId, reason: StopReason) {
        if let Some(active) = self.lock().get(&run) {
            active.stop.stop(reason);
        }
    }

    pub(super) fn stop_lease(&self, lease: LeaseRef, reason: StopReason) {
        if let Some(active) = self
            .lock()
            .get(&lease.run)
            .filter(|a| a.token == lease.token)
        {
            active.stop.stop(reason);
        }
    }

    /// Hands over every run, or only those whose execution goes on without this consumer.
    pub(super) fn hand_over(&self, only_surviving: bool) {
        for active in self
            .lock()
            .values()
            .filter(|a| a.survives_consumer || !only_surviving)
        {
            active.stop.stop(StopReason::HandOver);
        }
    }
}
