//! What would fail, asked before anything does.

use fluid_core::{Command, K8sConfigError, K8sTarget, NewRun, Params, Task, TaskRun};
use jiff::Timestamp;

use crate::K8sExecutor;
use crate::fault::Fault;
use crate::identity;
use crate::job::{Carrier, Plan};
use crate::rbac::{RIGHTS, Right};
use crate::template::Template;

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The namespace that it is about.
    pub namespace: String,
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub verdict: FindingVerdict,
    /// What was found, or what follows from it.
    pub detail: String,
}

/// How grave a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingVerdict {
    /// As it should be.
    Good,
    /// Runs work, but for what the detail says.
    Lacking,
    /// No run works.
    Bad,
    /// It could not be found out.
    Unknown,
}

/// Where the Jobs of these tasks go, each place once.
///
/// # Errors
/// When an environment variable is set to something that can't be used.
pub fn targets<'a>(
    tasks: impl IntoIterator<Item = &'a Task>,
) -> Result<Vec<K8sTarget>, K8sConfigError> {
    let mut targets: Vec<K8sTarget> = Vec::new();
    for task in tasks {
        let config = task.k8s_config.clone().unwrap_or_default();
        let target = config.resolve(|name| std::env::var(name).ok())?;
        let is_known = targets.iter().any(|known| {
            (&known.namespace, &known.deployment, &known.container)
                == (&target.namespace, &target.deployment, &target.container)
        });
        if !is_known {
            targets.push(target);
        }
    }
    Ok(targets)
}

impl K8sExecutor {
    /// Asks the API server about each right, reads the Deployments, and has the API server look at a Job without
    /// making it. Changes nothing. Cancellation safe.
    pub async fn check(&self, targets: &[K8sTarget]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut asked: Vec<&str> = Vec::new();
        for target in targets {
            if !asked.contains(&target.namespace.as_str()) {
                asked.push(&target.namespace);
                for right in RIGHTS {
                    let finding = self.right(target, right).await;
                    let is_hopeless = finding.verdict == FindingVerdict::Unknown;
                    findings.push(finding);
                    // A server that can't answer this can't answer more.
                    if is_hopeless {
                        return findings;
                    }
                }
            }
            let (finding, template) = self.deployment(target).await;
            findings.push(finding);
            if let Some(template) = template {
                findings.push(self.dry_run(target, &template).await);
            }
        }
        findings
    }

    async fn right(&self, target: &K8sTarget, right: &Right) -> Finding {
        let cluster = &self.shared.cluster;
        let what = (right.group, right.resource);
        let mut missing = Vec::new();
        let mut unknown = None;
        for verb in right.verbs {
            let name = (right.resource == "deployments").then_some(target.deployment.as_str());
            match cluster.may(&target.namespace, verb, what, name).await {
                Ok(true) => {}
                Ok(false) => missing.push(*verb),
                Err(fault) => unknown = Some(fault.to_string()),
            }
        }
        let (verdict, detail) = match (unknown, missing.as_slice(), right.without) {
            (Some(why), ..) => (FindingVerdict::Unknown, why),
            (None, [], _) => (FindingVerdict::Good, right.purpose.to_owned()),
            (None, missing, Some(without)) => (
                FindingVerdict::Lacking,
                format!("may not {}: {without}", missing.join(", ")),
            ),
            (None, missing, None) => (
                FindingVerdict::Bad,
                format!("may not {}: no Job can be made", missing.join(", ")),
            ),
        };
        Finding {
            namespace: target.namespace.clone(),
            subject: format!("{} {}", right.verbs.join(", "), right.resource),
            verdict,
            detail,
        }
    }

    async fn deployment(&self, target: &K8sTarget) -> (Finding, Option<Template>) {
        let read = self.shared.cluster.deployment(target).await;
        let (verdict, detail, template) = match read {
            Err(Fault::Away { why, .. }) => (FindingVerdict::Unknown, why, None),
            Err(fault) => (FindingVerdict::Bad, fault.to_string(), None),
            Ok(deployment) => match Template::of(&deployment, target) {
                Err(error) => (FindingVerdict::Bad, error.to_string(), None),
                Ok(template) => {
                    let detail = format!("container {:?} runs serve", target.container);
                    (FindingVerdict::Good, detail, Some(template))
                }
            },
        };
        let finding = Finding {
            namespace: target.namespace.clone(),
            subject: format!("deployment {}", target.deployment),
            verdict,
            detail,
        };
        (finding, template)
    }

    async fn dry_run(&self, target: &K8sTarget, template: &Template) -> Finding {
        let finding = |verdict, detail: String| Finding {
            namespace: target.namespace.clone(),
            subject: "a Job, not made".to_owned(),
            verdict,
            detail,
        };
        let Ok(task) = Task::command("check", Command::new(["true"])) else {
            return finding(FindingVerdict::Unknown, String::new());
        };
        let now = Timestamp::now();
        let new = NewRun::new(task.name.clone(), Params::default());
        let mut run = TaskRun::enqueued(&new, now, now);
        run.attempt = 1;
        let plan = Plan {
            name: &identity::job_name(&run),
            task: &task,
            run: &run,
            config: &fluid_core::K8sConfig::default(),
            target,
            labels: &identity::labels(&run, None),
            env: &self.shared.env,
            grace: self.shared.grace,
            carrier: Carrier::Variable,
        };
        let job = match plan.job(template) {
            Ok(job) => job,
            Err(error) => return finding(FindingVerdict::Unknown, error.to_string()),
        };
        match self.shared.cluster.try_job(&target.namespace, &job).await {
            Ok(()) => finding(
                FindingVerdict::Good,
                "the API server would take it".to_owned(),
            ),
            Err(Fault::Away { why, .. }) => finding(FindingVerdict::Unknown, why),
            Err(fault) => finding(FindingVerdict::Bad, fault.to_string()),
        }
    }
}
