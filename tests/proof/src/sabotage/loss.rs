//! A broker that forgets what it took.

use std::sync::atomic::{AtomicUsize, Ordering};

use fluid_core::{Broker, BrokerResult, Enqueued, NewRun};

use crate::around::Around;

/// One run in so many is acknowledged and gone.
const FORGOTTEN: usize = 20;

/// Forgets runs.
#[derive(Debug, Default)]
pub(super) struct Forgetful {
    seen: AtomicUsize,
}

impl Around for Forgetful {
    async fn enqueue(&self, broker: &dyn Broker, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        let mut kept = Vec::new();
        let mut forgotten = Vec::new();
        for (place, run) in runs.into_iter().enumerate() {
            if self.seen.fetch_add(1, Ordering::Relaxed) % FORGOTTEN == FORGOTTEN - 1 {
                forgotten.push((place, Enqueued::Inserted(run.id)));
            } else {
                kept.push(run);
            }
        }
        let mut answers = broker.enqueue(kept).await?;
        for (place, answer) in forgotten {
            answers.insert(place, answer);
        }
        Ok(answers)
    }
}
