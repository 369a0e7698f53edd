//! Waiting for a broker that can't do its work at the moment.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{BrokerError, BrokerResult};

use crate::outage::{Chore, Outage};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Counts the failures of one kind of work, and has the outage told.
#[derive(Debug)]
pub(crate) struct Backoff {
    chore: Chore,
    outage: Arc<Outage>,
    delay: Duration,
    failing: bool,
}

impl Backoff {
    pub(crate) fn new(chore: Chore, outage: &Arc<Outage>) -> Self {
        Self {
            chore,
            outage: outage.clone(),
            delay: FIRST,
            failing: false,
        }
    }

    /// Notes that the work went through, or that there is none.
    pub(crate) fn succeeded(&mut self) {
        if std::mem::take(&mut self.failing) {
            self.outage.ends(self.chore);
            self.delay = FIRST;
        }
    }

    /// Notes a failure; how long to wait before the next try.
    pub(crate) fn failed(&mut self, error: &BrokerError) -> Duration {
        let began = !std::mem::replace(&mut self.failing, true);
        self.outage.goes_on(self.chore, began, error);
        let delay = self.delay;
        self.delay = (delay * 2).min(LONGEST);
        delay
    }

    /// Tries until it goes through or fails for good; a failure for good is logged and given up, because what
    /// is stored here is worth less than the runs themselves.
    pub(crate) async fn until_done<T, F>(mut self, mut call: impl FnMut() -> F)
    where
        F: Future<Output = BrokerResult<T>>,
    {
        loop {
            match call().await {
                Ok(_) => return self.succeeded(),
                Err(error) if error.is_transient() => {
                    let delay = self.failed(&error);
                    tokio::time::sleep(delay).await;
                }
                Err(error) => return self.give_up(&error),
            }
        }
    }

    /// Says that work is left undone for good.
    pub(crate) fn give_up(&self, error: &BrokerError) {
        tracing::error!(work = %self.chore, %error, "gave up");
    }
}

impl Drop for Backoff {
    fn drop(&mut self) {
        if self.failing {
            self.outage.is_left(self.chore);
        }
    }
}
