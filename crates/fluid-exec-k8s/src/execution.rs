//! One attempt from the request for its Job to its outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptIo, ErrorKind, Execution, K8sConfig, K8sTarget, Outcome, RunError, Task, TaskRun,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::executor::Shared;
use crate::fault::Fault;
use crate::identity::{ATTEMPT_LABEL, RUN_LABEL};
use crate::job::{Carrier, MAX_SECRET, Plan};
use crate::namespace::{Access, Namespace};
use crate::output::Output;
use crate::pace::Pace;
use crate::sight::{JobSight, PodSight, Sight};
use crate::store::Subscription;
use crate::tail::Tail;
use crate::verdict::{Verdict, judge, result};

/// How long a refusal must go on before it is believed, see [`Namespace`].
const DISBELIEF: Duration = Duration::from_secs(3);
/// How long a Job may have no pod before the reason is looked for.
const NO_POD: Duration = Duration::from_millis(700);
/// How long a pod that must be there may stay out of sight before it is asked for.
const OUT_OF_SIGHT: Duration = Duration::from_secs(2);
/// How much longer than its grace a Job may take to be gone.
const LEAVE: Duration = Duration::from_secs(10);

/// All that carrying an attempt out takes.
pub(crate) struct Attempt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) task: Arc<Task>,
    pub(crate) run: Arc<TaskRun>,
    pub(crate) io: AttemptIo,
    pub(crate) config: K8sConfig,
    pub(crate) target: K8sTarget,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A Job that carries out an attempt, or is about to.
pub(crate) struct K8sExecution {
    state: State,
    stop: CancellationToken,
    grace: Duration,
}

enum State {
    Going(BoxFuture<'static, Outcome>),
    Ended(Outcome),
}

impl K8sExecution {
    pub(crate) fn new(attempt: Attempt) -> Self {
        let stop = CancellationToken::new();
        let grace = attempt.shared.grace;
        Self {
            state: State::Going(carry_out(attempt, stop.clone()).boxed()),
            stop,
            grace,
        }
    }
}

#[async_trait]
impl Execution for K8sExecution {
    async fn outcome(&mut self) -> Outcome {
        if let State::Going(work) = &mut self.state {
            self.state = State::Ended(work.await);
        }
        match &self.state {
            State::Ended(outcome) => outcome.clone(),
            State::Going(_) => Outcome::Cancelled,
        }
    }

    /// The grace is the executor's own, which the pod was made with.
    async fn cancel(&mut self, _grace: Duration) {
        let State::Going(work) = &mut self.state else {
            return;
        };
        self.stop.cancel();
        if let Ok(outcome) = timeout(self.grace + LEAVE, work).await {
            self.state = State::Ended(outcome);
        }
    }
}

/// Why there is no Job to follow.
enum NoJob {
    Stopped,
    Failed(RunError),
}

async fn carry_out(attempt: Attempt, stop: CancellationToken) -> Outcome {
    let mut sights = attempt.namespace.subscribe(&attempt.name);
    let uid = match attempt.begin(&stop).await {
        Ok(uid) => uid,
        Err(NoJob::Stopped) => return Outcome::Cancelled,
        Err(NoJob::Failed(error)) => return Outcome::Failure(error),
    };
    let place = format!("job {}/{}", attempt.target.namespace, attempt.name);
    attempt.io.execution(place).await;
    let tail = Mutex::new(Tail::default());
    let over = CancellationToken::new();
    let output = Output {
        cluster: &attempt.shared.cluster,
        logs: &attempt.shared.logs,
        namespace: &attempt.target.namespace,
        container: &attempt.target.container,
        io: &attempt.io,
        tail: &tail,
    };
    let output = output.pass_on(sights.again(), &over);
    let ending = async {
        let ending = attempt.ending(&mut sights, &uid, &stop).await;
        over.cancel();
        ending
    };
    let (ending, ()) = tokio::join!(ending, output);
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    let outcome = match ending {
        Ending::Itself(verdict) => verdict.outcome(&tail, attempt.task.timeout),
        Ending::Stopped(None) => Outcome::Cancelled,
        Ending::Stopped(Some(result)) => Outcome::Success(result),
        Ending::NeverRan(error) => Outcome::Failure(error),
    };
    redacted(outcome, &attempt.io)
}

fn redacted(outcome: Outcome, io: &AttemptIo) -> Outcome {
    match outcome {
        Outcome::Success(result) => Outcome::Success(io.redactor().redact_json(result)),
        Outcome::Failure(mut error) => {
            error.message = io.redactor().redact(error.message);
            Outcome::Failure(error)
        }
        Outcome::Cancelled => Outcome::Cancelled,
    }
}

/// How following a Job ended.
enum Ending {
    /// The Job ended.
    Itself(Box<Verdict>),
    /// The attempt was told to stop; it may have had a result by then.
    Stopped(Option<fluid_core::JsonText>),
    /// It did not run within the time that it may take for that.
    NeverRan(RunError),
}

impl Attempt {
    /// Makes the Job and what it needs, or finds those that an earlier consumer made: the Job's uid.
    async fn begin(&self, stop: &CancellationToken) -> Result<String, NoJob> {
        let mut carrier = Carrier::of(&self.run.params);
        let size = self.run.params.expose().as_str().len();
        if size > MAX_SECRET {
            return Err(NoJob::Failed(start_error(format!(
                "the parameters are {size} bytes long and a Secret holds {MAX_SECRET}: keep large inputs \
                 elsewhere and pass on where"
            ))));
        }
        if carrier == Carrier::Secret && !self.may_make_secrets(stop).await? {
            if !Carrier::variable_will_do(&self.run.params) {
                return Err(NoJob::Failed(start_error(format!(
                    "the parameters are secret or large, so they need a Secret, and none may be made in namespace \
                     \"{}\": the verb create on secrets is missing; `k8s rbac` prints the Role that is needed",
                    self.target.namespace
                ))));
            }
            carrier = Carrier::Variable;
        }
        let uid = match self.create_job(carrier, stop).await? {
            Some(uid) => uid,
            None => self.adopt(stop).await?,
        };
        if carrier == Carrier::Secret {
            self.create_secret(&uid, stop).await?;
        }
        if let Access::Refused(why) = self.namespace.jobs().await {
            let message = format!("no Job can be followed: {why}");
            return Err(NoJob::Failed(start_error(message)));
        }
        Ok(uid)
    }

    async fn may_make_secrets(&self, stop: &CancellationToken) -> Result<bool, NoJob> {
        let ask = || self.namespace.may_make_secrets(&self.shared.cluster);
        match self.insist(stop, ask).await {
            Ok(may) => Ok(may),
            Err(Unwilling::Stopped) => Err(NoJob::Stopped),
            // Who may not even ask finds out by trying.
            Err(Unwilling::Fault(_)) => Ok(true),
        }
    }

    /// Makes the Job; `None` if there is one of its name.
    async fn create_job(
        &self,
        carrier: Carrier,
        stop: &CancellationToken,
    ) -> Result<Option<String>, NoJob> {
        let create = || async {
            let template = self
                .shared
                .templates
                .get(&self.shared.cluster, &self.target)
                .await?;
            let template = template.map_err(|error| Fault::Denied(error.to_string()))?;
            let plan = self.plan(carrier);
            let job = plan
                .job(&template)
                .map_err(|error| Fault::Denied(format!("can't pass the run on: {error}")))?;
            let namespace = &self.target.namespace;
            self.shared.cluster.create_job(namespace, &job).await
        };
        match self.insist(stop, create).await {
            Ok(job) => {
                self.namespace.store.job_if_new(&job);
                Ok(job.metadata.uid)
            }
            Err(Unwilling::Stopped) => Err(NoJob::Stopped),
            Err(Unwilling::Fault(Fault::Exists)) => Ok(None),
            Err(Unwilling::Fault(fault)) => Err(NoJob::Failed(start_error(
                self.in_words("make a Job", fault),
            ))),
        }
    }

    /// The uid of the Job that an earlier consumer made for this same attempt.
    async fn adopt(&self, stop: &CancellationToken) -> Result<String, NoJob> {
        let namespace = &self.target.namespace;
        let get = || self.shared.cluster.job(namespace, &self.name);
        let job = match self.insist(stop, get).await {
            Ok(job) => job,
            Err(Unwilling::Stopped) => return Err(NoJob::Stopped),
            Err(Unwilling::Fault(fault)) => {
                let message = self.in_words("read the Job of an earlier consumer", fault);
                return Err(NoJob::Failed(start_error(message)));
            }
        };
        let found = JobSight::of(&job);
        let is_ours =
            found.run == self.labels[RUN_LABEL] && found.attempt == self.labels[ATTEMPT_LABEL];
        if !is_ours {
            let message = format!(
                "there is a Job {namespace}/{} that is not of this run: its label {RUN_LABEL} is {:?}",
                self.name, found.run
            );
            return Err(NoJob::Failed(start_error(message)));
        }
        tracing::info!(job = self.name, "adopted the Job of an earlier consumer");
        self.namespace.store.job_if_new(&job);
        Ok(found.uid)
    }

    async fn create_secret(&self, uid: &str, stop: &CancellationToken) -> Result<(), NoJob> {
        let namespace = &self.target.namespace;
        let secret = self.plan(Carrier::Secret).secret(uid);
        let create = || self.shared.cluster.create_secret(namespace, &secret);
        let fault = match self.insist(stop, create).await {
            // Names are of one attempt alone.
            Ok(()) | Err(Unwilling::Fault(Fault::Exists)) => return Ok(()),
            Err(unwilling) => unwilling,
        };
        // Without its parameters the Job would wait for ever.
        self.delete(uid).await;
        match fault {
            Unwilling::Stopped => Err(NoJob::Stopped),
            Unwilling::Fault(fault) => {
                let what = "make the Secret for its parameters, which are secret or large";
                Err(NoJob::Failed(start_error(self.in_words(what, fault))))
            }
        }
    }

    fn plan(&self, carrier: Carrier) -> Plan<'_> {
        Plan {
            name: &self.name,
            task: &self.task,
            run: &self.run,
            config: &self.config,
            target: &self.target,
            labels: &self.labels,
            env: &self.shared.env,
            grace: self.shared.grace,
            carrier,
        }
    }

    fn in_words(&self, what: &str, fault: Fault) -> String {
        let K8sTarget {
            namespace,
            deployment,
            ..
        } = &self.target;
        match fault {
            Fault::Refused(why) => format!(
                "may not {what} in namespace \"{namespace}\": {why}; `k8s rbac` prints the Role that is needed"
            ),
            Fault::NotFound(why) if why.starts_with("deployments") => format!(
                "there is no Deployment \"{deployment}\" in namespace \"{namespace}\" to make Jobs like: {why}; \
                 set FLUID_TASK_CONSUMER_K8S_NAMESPACE and FLUID_TASK_CONSUMER_K8S_DEPLOYMENT"
            ),
            other => format!("can't {what} in namespace \"{namespace}\": {other}"),
        }
    }

    /// Asks until there is an answer that time won't change, and tells what it waits for. A request that is under
    /// way is not given up, so that what it did is known.
    async fn insist<T, F>(
        &self,
        stop: &CancellationToken,
        ask: impl Fn() -> F,
    ) -> Result<T, Unwilling>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut pace = Pace::default();
        let mut refused_until = None;
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
                    let until = *refused_until.get_or_insert(Instant::now() + DISBELIEF);
                    if Instant::now() >= until {
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

    /// Follows the Job to its end.
    async fn ending(
        &self,
        sights: &mut Subscription,
        uid: &str,
        stop: &CancellationToken,
    ) -> Ending {
        let begun = Instant::now();
        let pending = self.config.pending_timeout.map(|limit| begun + limit);
        let mut reasons = None;
        let mut told = self.io.why_waiting();
        loop {
            let sight = sights.look();
            if let Some(verdict) = judge(&sight, uid) {
                if told.is_some() {
                    self.io.waiting(None).await;
                }
                return Ending::Itself(Box::new(self.with_pod(verdict, sights, uid).await));
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
                    self.delete(uid).await;
                    self.leave(sights, uid).await;
                    return Ending::NeverRan(error);
                }
                () = stop.cancelled() => {
                    self.delete(uid).await;
                    return Ending::Stopped(self.leave(sights, uid).await);
                }
            }
        }
    }

    /// Deletes the Job; waits as long as that takes.
    async fn delete(&self, uid: &str) {
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

    /// Waits until a Job that was deleted is gone, and looks whether it had a result by then.
    async fn leave(&self, sights: &mut Subscription, uid: &str) -> Option<fluid_core::JsonText> {
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

/// Why a request was given up.
enum Unwilling {
    Stopped,
    Fault(Fault),
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
        let why = sight.no_pod.as_ref().filter(|(of, _)| of == uid)?;
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

pub(crate) fn start_error(message: impl Into<String>) -> RunError {
    RunError::new(ErrorKind::Start, message)
}
