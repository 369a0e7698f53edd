//! Notes what a process asked of its broker and what it was answered.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::{
    Broker, BrokerResult, Cancelled, ClaimRequest, Claimed, Enqueued, Finish, Finished, LeaseRef,
    LeaseStatus, NewRun, Report, RunId, Tick, Ticked,
};

use crate::around::{Around, Wrapped};
use crate::entry::{Tried, What};
use crate::ledger::Ledger;

/// The outermost layer around a process's broker.
#[derive(Debug)]
pub struct Witness {
    ledger: Ledger,
    /// The number of the attempt that each lease is for.
    leases: Mutex<HashMap<LeaseRef, u32>>,
}

impl Witness {
    /// A broker of which everything is noted.
    pub fn of(broker: Arc<dyn Broker>, ledger: Ledger) -> Arc<dyn Broker> {
        let witness = Self {
            ledger,
            leases: Mutex::default(),
        };
        Wrapped::of(broker, witness)
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<LeaseRef, u32>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the attempt; 0, which no attempt has, for a lease that never was claimed here.
    fn attempt(&self, lease: LeaseRef) -> u32 {
        self.leases().get(&lease).copied().unwrap_or(0)
    }
}

fn tried(finish: &Finish) -> Tried {
    match finish {
        Finish::Success(_) => Tried::Success,
        Finish::Retry { .. } => Tried::Retry,
        Finish::Aborted(_) => Tried::Aborted,
        Finish::Released => Tried::Released,
        _ => Tried::Failure,
    }
}

impl Around for Witness {
    async fn call<T: Send>(
        &self,
        name: &'static str,
        work: impl Future<Output = BrokerResult<T>> + Send,
    ) -> BrokerResult<T> {
        let answer = work.await;
        if let Err(error) = &answer {
            self.ledger.note(What::Failed {
                call: name.into(),
                error: error.to_string(),
            });
        }
        answer
    }

    async fn enqueue(&self, broker: &dyn Broker, runs: Vec<NewRun>) -> BrokerResult<Vec<Enqueued>> {
        let asked: Vec<_> = runs
            .iter()
            .map(|run| {
                let key = run.unique.as_ref().map(|unique| unique.key.clone());
                (run.task.clone(), key)
            })
            .collect();
        let answers = broker.enqueue(runs).await?;
        for ((task, key), answer) in asked.into_iter().zip(&answers) {
            self.ledger.note(What::Enqueued {
                run: answer.run(),
                task,
                inserted: matches!(answer, Enqueued::Inserted(_)),
                key,
            });
        }
        Ok(answers)
    }

    async fn claim(&self, broker: &dyn Broker, request: ClaimRequest) -> BrokerResult<Claimed> {
        let consumer = request.consumer.clone();
        let asked = self.ledger.now();
        let claimed = broker.claim(request).await?;
        for (run, token) in &claimed.runs {
            let lease = LeaseRef {
                run: run.id,
                token: *token,
            };
            self.leases().insert(lease, run.attempt);
            self.ledger.note(What::Claimed {
                run: run.id,
                attempt: run.attempt,
                task: run.task.clone(),
                lane: run.concurrency_key.clone(),
                consumer: consumer.clone(),
                asked,
            });
        }
        Ok(claimed)
    }

    async fn extend(
        &self,
        broker: &dyn Broker,
        leases: Vec<LeaseRef>,
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        let asked = self.ledger.now();
        let answers = broker.extend(leases.clone(), lease).await?;
        for (lease, answer) in leases.into_iter().zip(&answers) {
            let (run, attempt) = (lease.run, self.attempt(lease));
            self.ledger.note(match answer {
                LeaseStatus::Lost => What::LeaseLost { run, attempt },
                LeaseStatus::Held | LeaseStatus::CancelRequested => What::Held {
                    run,
                    attempt,
                    asked,
                },
            });
        }
        Ok(answers)
    }

    async fn finish(
        &self,
        broker: &dyn Broker,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        let asked = self.ledger.now();
        let ends: Vec<_> = batch
            .iter()
            .map(|(lease, finish)| (*lease, self.attempt(*lease), tried(finish)))
            .collect();
        for (LeaseRef { run, .. }, attempt, tried) in ends.iter().copied() {
            self.ledger.note(What::Ending {
                run,
                attempt,
                tried,
            });
        }
        let answers = broker.report_and_finish(reports, batch).await;
        for (index, (lease, attempt, tried)) in ends.into_iter().enumerate() {
            let run = lease.run;
            self.ledger
                .note(match answers.as_ref().map(|answers| answers.get(index)) {
                    Ok(Some(Finished::Written(state))) => What::Ended {
                        run,
                        attempt,
                        tried,
                        state: *state,
                        asked,
                    },
                    Ok(Some(Finished::Lost)) => What::Refused {
                        run,
                        attempt,
                        tried,
                    },
                    Ok(None) | Err(_) => {
                        // The same lease will be asked for again.
                        self.ledger.note(What::Unanswered { run, attempt });
                        continue;
                    }
                });
            self.leases().remove(&lease);
        }
        answers
    }

    async fn tick(&self, broker: &dyn Broker, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        let asked: Vec<_> = ticks
            .iter()
            .map(|tick| (tick.task.clone(), tick.instant))
            .collect();
        let answers = broker.tick(ticks).await?;
        for ((task, instant), answer) in asked.into_iter().zip(&answers) {
            if let Ticked::Fired(run) = *answer {
                self.ledger.note(What::Fired { task, instant, run });
            }
        }
        Ok(answers)
    }

    async fn cancel(&self, broker: &dyn Broker, run: RunId) -> BrokerResult<Cancelled> {
        let answer = broker.cancel(run).await?;
        if answer == Cancelled::Aborted {
            self.ledger.note(What::Cancelled { run });
        }
        Ok(answer)
    }
}
