//! The Job of an attempt from when it is there to its end, or to its deletion.

use std::time::Duration;

use fluid_core::{JsonText, RunError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::execution::{Attempt, LEAVE, start_error};
use crate::fault::Fault;
use crate::identity::{ATTEMPT_LABEL, RUN_LABEL};
use crate::namespace::Access;
use crate::pace::Pace;
use crate::sight::{PodSight, Sight};
use crate::store::Subscription;
use crate::verdict::{Verdict, judge, result};

/// How long a Job may have no pod before the reason is looked for.
const NO_POD: Duration = Duration::from_millis(700);
/// How often a Job is read at most where it can't be watched.
const SHORTEST_POLL: Duration = Duration::from_millis(100);
/// How long a pod that must be there may stay out of sight before it is asked for.
const OUT_OF_SIGHT: Duration = Duration::from_secs(2);

/// How following a Job ended.
pub(crate) enum Ending {
    /// The Job ended.
    Itself(Box<Verdict>),
    /// The attempt was told to stop; it may have had a result by then.
    Stopped(Option<JsonText>),
    /// It did not run within the time that it may take for that.
    NeverRan(RunError),
}

impl Attempt {
    /// Follows the Job to its end. What is done at most once is boxed: this waits for thousands of Jobs at once.
    pub(crate) async fn ending(
        &self,
        sights: &mut Subscription,
        uid: &str,
        stop: &CancellationToken,
    ) -> Ending {
        let begun = Instant::now();
        let pending = self.config.pending_timeout.map(|limit| begun + limit);
        let mut reasons = None;
        // Where Jobs may be read and not watched.
        let mut polls = None;
        let mut told = self.io.why_waiting();
        loop {
            let sight = sights.look();
            if let Some(verdict) = judge(&sight, uid) {
                if told.is_some() {
                    self.io.waiting(None).await;
                }
                let verdict = Box::pin(self.with_pod(verdict, sights, uid)).await;
                return Ending::Itself(Box::new(verdict));
            }
            let why = why_waiting(&sight, uid, self.config.queue_name.as_deref());
            if why != told {
                self.io.waiting(why.clone()).await;
                told.clone_from(&why);
            }
            let has_run = sight.has_run();
            let starves =
                sight.pods.is_empty() && !sight.job.as_ref().is_some_and(|job| job.suspended);
            if !starves {
                reasons = None;
            }
            tokio::select! {
                () = sights.changed() => {}
                () = sleep_until(begun + NO_POD), if starves && reasons.is_none() => {
                    reasons = Some(self.namespace.reasons());
                }
                () = until(pending), if !has_run => {
                    let limit = fluid_core::duration::format(self.config.pending_timeout.unwrap_or_default());
                    let why = why.map_or_else(String::new, |why| format!(": {why}"));
                    let error = start_error(format!("did not run within {limit}{why}"));
                    Box::pin(self.remove(sights, uid)).await;
                    return Ending::NeverRan(error);
                }
                access = self.namespace.jobs(), if polls.is_none() => {
                    polls = Some(matches!(access, Access::Refused(_)));
                }
                () = sleep(self.target.sleep.max(SHORTEST_POLL)), if polls == Some(true) => {
                    if let Err(error) = Box::pin(self.poll(uid)).await {
                        Box::pin(self.delete(uid)).await;
                        return Ending::NeverRan(error);
                    }
                }
                () = stop.cancelled() => {
                    return Ending::Stopped(Box::pin(self.remove(sights, uid)).await);
                }
            }
        }
    }

    /// Reads the Job.
    async fn poll(&self, uid: &str) -> Result<(), RunError> {
        match self
            .shared
            .cluster
            .job(&self.target.namespace, &self.name)
            .await
        {
            Ok(job) => self.namespace.store.job(&job),
            Err(Fault::NotFound(_)) => self.namespace.store.gone(&self.name, Some(uid)),
            Err(Fault::Refused(why)) => {
                return Err(start_error(format!(
                    "the Job may be made and not followed: {why}; `k8s rbac` prints the Role that is needed"
                )));
            }
            // The next time will tell.
            Err(_) => {}
        }
        Ok(())
    }

    /// Deletes the Job; waits as long as that takes.
    pub(crate) async fn delete(&self, uid: &str) {
        let mut pace = Pace::default();
        let namespace = &self.target.namespace;
        while let Err(fault) = self
            .shared
            .cluster
            .delete_job(namespace, &self.name, uid)
            .await
        {
            let after = match fault {
                Fault::Away { after, .. } => after,
                other => {
                    tracing::warn!(job = self.name, ?other, "the Job could not be deleted");
                    return;
                }
            };
            sleep(pace.next(after)).await;
        }
    }

    /// Deletes the Job and waits until it is gone.
    async fn remove(&self, sights: &mut Subscription, uid: &str) -> Option<JsonText> {
        self.delete(uid).await;
        self.leave(sights, uid).await
    }

    /// Waits until a Job that was deleted is gone, and looks whether it had a result by then.
    async fn leave(&self, sights: &mut Subscription, uid: &str) -> Option<JsonText> {
        let gone = async {
            loop {
                let sight = sights.look();
                if sight.gone || sight.job.as_ref().is_none_or(|job| job.uid != uid) {
                    break;
                }
                if sight.pods.iter().any(|pod| result(pod).is_some()) {
                    break;
                }
                sights.changed().await;
            }
        };
        let _ = timeout(self.shared.grace + LEAVE, gone).await;
        sights.look().pods.iter().find_map(result)
    }

    /// The verdict with the pod that has its result or tells why, which may be yet to be seen: Jobs and pods come
    /// by different ways.
    async fn with_pod(&self, verdict: Verdict, sights: &mut Subscription, uid: &str) -> Verdict {
        if verdict.pod().is_some_and(PodSight::is_over) || matches!(verdict, Verdict::Deleted(_)) {
            return verdict;
        }
        if matches!(self.namespace.pods().await, Access::Refused(_)) {
            return verdict;
        }
        let seen = async {
            loop {
                let sight = sights.look();
                if sight.pods.iter().any(PodSight::is_over) {
                    break;
                }
                sights.changed().await;
            }
        };
        if timeout(OUT_OF_SIGHT, seen).await.is_err() {
            let selector = format!(
                "{RUN_LABEL}={},{ATTEMPT_LABEL}={}",
                self.run.id, self.run.attempt
            );
            let namespace = &self.target.namespace;
            let list = || self.shared.cluster.pods_of(namespace, &selector);
            let never = CancellationToken::new();
            for pod in self.insist(&never, list).await.unwrap_or_default() {
                self.namespace.store.pod(&pod);
            }
        }
        judge(&sights.look(), uid).unwrap_or(verdict)
    }
}

/// Why the attempt does not run, as far as it is out of the ordinary.
fn why_waiting(sight: &Sight, uid: &str, queue: Option<&str>) -> Option<String> {
    let job = sight.job.as_ref().filter(|job| job.uid == uid)?;
    if job.suspended {
        return Some(match queue {
            Some(queue) => format!("waits to be admitted by queue \"{queue}\""),
            None => "the Job is suspended".to_owned(),
        });
    }
    let Some(pod) = sight.pods.iter().rev().find(|pod| !pod.is_over()) else {
        if let Some(taken) = sight.pods.last().and_then(|pod| pod.disrupted.as_ref()) {
            return Some(format!(
                "its pod was taken away and is to be replaced: {taken}"
            ));
        }
        let why = sight.no_pod.as_ref();
        let why = why.filter(|(of, _)| of == uid && sight.pods.is_empty())?;
        return Some(format!("no pod could be made: {}", why.1));
    };
    pod.waiting.clone()
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
