//! Waiting for a broker that can't do its work at the moment.

use std::future::Future;
use std::time::Duration;

use fluid_core::{BrokerError, BrokerResult};
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Counts the failures of one kind of work and says so once when it begins and once when it is over.
#[derive(Debug)]
pub(crate) struct Backoff {
    what: &'static str,
    delay: Duration,
    failing_since: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            delay: FIRST,
            failing_since: None,
        }
    }

    /// Notes that the work went through.
    pub(crate) fn succeeded(&mut self) {
        if let Some(since) = self.failing_since.take() {
            let after =
                fluid_core::duration::format(Duration::from_secs(since.elapsed().as_secs()));
            tracing::info!(work = self.what, %after, "the broker works again");
            self.delay = FIRST;
        }
    }

    /// Notes a failure; how long to wait before the next try.
    pub(crate) fn failed(&mut self, error: &BrokerError) -> Duration {
        if self.failing_since.is_none() {
            self.failing_since = Some(Instant::now());
            tracing::warn!(work = self.what, %error, "waiting for the broker");
        }
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
                Err(error) => {
                    tracing::error!(work = self.what, %error, "gave up");
                    return;
                }
            }
        }
    }
}
