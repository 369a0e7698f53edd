//! Writing what ended. One batch is on its way at a time; what ends meanwhile is the next one.

use std::future::pending;
use std::mem;

use fluid_core::{BrokerResult, Finish, Finished, LeaseRef, Report};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::work::{Work, failed};

/// Ends that are being written, with what their attempts told last.
pub(super) struct Finishing {
    batch: Vec<(LeaseRef, Finish)>,
    reports: Vec<Report>,
    asked: BoxFuture<'static, BrokerResult<Vec<Finished>>>,
}

/// The broker's answer; never, if nothing is being written.
pub(super) async fn answered(finishing: &mut Option<Finishing>) -> BrokerResult<Vec<Finished>> {
    match finishing {
        Some(finishing) => (&mut finishing.asked).await,
        None => pending().await,
    }
}

impl Work<'_> {
    /// Begins to write what ended, unless that goes on or the broker needs a rest.
    pub(super) fn finish(&mut self) {
        if self.ended.is_empty() || self.finishing.is_some() || self.rest_until.is_some() {
            return;
        }
        let (batch, reports) = (mem::take(&mut self.ended), mem::take(&mut self.reports));
        let broker = self.consumer.manager.broker().clone();
        let given = (reports.clone(), batch.clone());
        let asked = async move { broker.report_and_finish(given.0, given.1).await }.boxed();
        self.finishing = Some(Finishing {
            batch,
            reports,
            asked,
        });
    }

    /// Waits for what is being written; forever if nothing is.
    pub(super) async fn until_written(&mut self) -> BrokerResult<()> {
        let answer = answered(&mut self.finishing).await;
        self.finished(answer)
    }

    pub(super) fn finished(&mut self, answer: BrokerResult<Vec<Finished>>) -> BrokerResult<()> {
        let Some(mut finishing) = self.finishing.take() else {
            return Ok(());
        };
        match answer {
            Ok(answers) => {
                self.finishes.succeeded();
                self.written(finishing.batch, answers);
            }
            Err(error) => {
                let delay = failed(&mut self.finishes, error)?;
                finishing.batch.append(&mut self.ended);
                finishing.reports.append(&mut self.reports);
                self.ended = finishing.batch;
                self.reports = finishing.reports;
                self.rest(delay);
            }
        }
        Ok(())
    }

    pub(super) fn has_unwritten(&self) -> bool {
        !self.ended.is_empty() || self.finishing.is_some()
    }

    fn written(&self, batch: Vec<(LeaseRef, Finish)>, answers: Vec<Finished>) {
        for ((lease, finish), answer) in batch.into_iter().zip(answers) {
            let meters = self.active.remove(lease);
            match answer {
                Finished::Lost => {
                    meters.inspect(|meters| meters.lease_lost());
                    tracing::warn!(run_id = %lease.run, "the lease was lost before the end was written; another consumer has the run");
                }
                Finished::Written(state) => {
                    meters.inspect(|meters| meters.written(&finish));
                    match &finish {
                        Finish::Failure(error) | Finish::Retry { error, .. } => {
                            tracing::debug!(run_id = %lease.run, %state, %error, "attempt failed");
                        }
                        _ => tracing::debug!(run_id = %lease.run, %state, "attempt ended"),
                    }
                }
            }
        }
    }
}
