//! The Job of an attempt: made, or found where an earlier consumer made it.

use fluid_core::{K8sTarget, RunError};
use tokio_util::sync::CancellationToken;

use crate::execution::{Attempt, start_error};
use crate::fault::Fault;
use crate::identity::{ATTEMPT_LABEL, RUN_LABEL};
use crate::insist::Unwilling;
use crate::job::{Carrier, MAX_SECRET, Plan};
use crate::sight::JobSight;

/// Why there is no Job to follow.
pub(crate) enum NoJob {
    Stopped,
    Failed(RunError),
}

impl Attempt {
    /// Makes the Job and what it needs, or finds those that an earlier consumer made: the Job's uid.
    pub(crate) async fn begin(&self, stop: &CancellationToken) -> Result<String, NoJob> {
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
            let make = || {
                let job = self.plan(carrier).job(&template);
                job.map_err(|error| Fault::Denied(format!("can't pass the run on: {error}")))
            };
            let namespace = &self.target.namespace;
            self.shared.cluster.create_job(namespace, make).await
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
}
