//! Requests that are asked until there is an answer.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::execution::Attempt;
use crate::fault::Fault;
use crate::pace::{DISBELIEF, Doubt, Pace};

/// Why a request was given up.
pub(crate) enum Unwilling {
    Stopped,
    Fault(Fault),
}

impl Attempt {
    /// Asks until there is an answer that time won't change, and tells what it waits for. A request that is under
    /// way is not given up, so that what it did is known.
    pub(crate) async fn insist<T, F>(
        &self,
        stop: &CancellationToken,
        ask: impl Fn() -> F,
    ) -> Result<T, Unwilling>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut pace = Pace::default();
        let mut doubt = Doubt::default();
        let mut told = false;
        loop {
            if stop.is_cancelled() {
                return Err(Unwilling::Stopped);
            }
            let (why, wait) = match ask().await {
                Ok(answer) => {
                    if told {
                        self.io.waiting(None).await;
                    }
                    return Ok(answer);
                }
                Err(Fault::Away { why, after }) => {
                    let why = format!("the Kubernetes API can't answer: {why}");
                    (why, pace.next(after))
                }
                Err(Fault::Quota(why)) => (why, pace.next(None)),
                Err(Fault::Refused(why)) => {
                    if doubt.refused(DISBELIEF).is_none() {
                        return Err(Unwilling::Fault(Fault::Refused(why)));
                    }
                    (why, pace.next(None))
                }
                Err(fault) => return Err(Unwilling::Fault(fault)),
            };
            if self.io.why_waiting().as_deref() != Some(&why) {
                self.io.waiting(Some(why)).await;
                told = true;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
