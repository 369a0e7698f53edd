//! Renews all leases of a consumer by one timer, and hears of wishes to cancel.

use std::time::Duration;

use fluid_core::{Event, LeaseStatus, RunState};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::TaskConsumer;
use super::active::ActiveRuns;
use crate::attempt::StopReason;
use crate::backoff::Backoff;
use crate::outage::Chore;
use crate::vitals::{Part, ROUND};

/// How soon after another process changed something the running runs are looked at, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// With more runs than this a wish to cancel that came from another process is heard at the next renewal.
const LOOK_AT_MOST: usize = 64;

impl TaskConsumer {
    pub(super) async fn renew(&self, active: &ActiveRuns, over: &CancellationToken) {
        let broker = self.manager.broker();
        let every = self.config.lease / 3;
        let mut events = broker.subscribe();
        let mut backoff = Backoff::new(Chore::Leases, self.manager.outage());
        let mut renew_at = Instant::now() + every;
        let mut looked_at = Instant::now();
        let mut look_at: Option<Instant> = None;
        let vitals = self.manager.loops();
        let pulse = vitals.begin(Part::Leases, every + ROUND);
        loop {
            pulse.beat();
            tokio::select! {
                biased;
                () = over.cancelled() => return,
                () = sleep_until(renew_at) => {
                    renew_at = Instant::now() + every;
                    let leases = active.leases();
                    if leases.is_empty() {
                        backoff.succeeded();
                        continue;
                    }
                    match broker.extend(leases.clone(), self.config.lease).await {
                        Ok(answers) => {
                            backoff.succeeded();
                            for (lease, status) in leases.into_iter().zip(answers) {
                                match status {
                                    LeaseStatus::Held => {}
                                    LeaseStatus::Lost => active.stop_lease(lease, StopReason::LeaseLost),
                                    LeaseStatus::CancelRequested => {
                                        active.stop_lease(lease, StopReason::Cancelled);
                                    }
                                }
                            }
                        }
                        Err(error) => renew_at = Instant::now() + backoff.failed(&error),
                    }
                }
                () = sleep_until(look_at.unwrap_or(renew_at)), if look_at.is_some() => {
                    look_at = None;
                    looked_at = Instant::now();
                    self.look_for_wishes(active).await;
                }
                event = events.recv() => match event {
                    Ok(Event::CancelRequested { run }) => active.stop(run, StopReason::Cancelled),
                    Ok(Event::Changed) | Err(RecvError::Lagged(_)) => {
                        look_at = look_at.or(Some(looked_at + LOOK_EVERY));
                    }
                    Ok(_) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Reads, without writing, whether another process asked to cancel one of the running runs.
    async fn look_for_wishes(&self, active: &ActiveRuns) {
        let leases = active.leases();
        if leases.len() > LOOK_AT_MOST {
            return;
        }
        for lease in leases {
            // When the broker can't answer now, the next renewal will tell.
            if let Ok(Some(run)) = self.manager.broker().get(lease.run).await
                && run.cancel_requested
                && run.state == RunState::Running
            {
                active.stop_lease(lease, StopReason::Cancelled);
            }
        }
    }
}
