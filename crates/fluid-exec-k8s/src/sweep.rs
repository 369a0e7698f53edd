//! Deletes Jobs that outlived their runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Broker, RunId, Task, TaskRun};
use jiff::Timestamp;

use crate::executor::Shared;
use crate::fault::Fault;
use crate::namespace::Access;
use crate::sight::JobSight;

/// Younger Jobs are left alone: their run may end, or their consumer see them, at any moment.
const YOUNG: Duration = Duration::from_secs(60);

impl Shared {
    /// Deletes every Job in the namespaces of these tasks that is not over although its run is, or has gone on to
    /// another attempt. Of runs that the broker doesn't know only those are deleted that this owner started.
    pub(crate) async fn sweep(&self, tasks: &[Arc<Task>], broker: &dyn Broker) {
        for name in namespaces(tasks) {
            let namespace = self.namespace(&name);
            if matches!(namespace.jobs().await, Access::Refused(_)) {
                continue;
            }
            for (job, seen) in namespace.store.unattended() {
                let Ok(run) = seen.run.parse::<RunId>() else {
                    continue;
                };
                if is_young(&seen) {
                    continue;
                }
                let Ok(known) = broker.get(run).await else {
                    return;
                };
                let Some(why) = orphaned(&seen, known.as_ref(), self.owner.as_deref()) else {
                    continue;
                };
                match self.cluster.delete_job(&name, &job, &seen.uid).await {
                    Ok(()) => tracing::info!(namespace = name, job, "swept a Job: {why}"),
                    Err(Fault::Away { .. }) => return,
                    Err(fault) => {
                        tracing::warn!(namespace = name, job, ?fault, "a Job can't be swept");
                    }
                }
            }
        }
    }
}

fn namespaces(tasks: &[Arc<Task>]) -> BTreeSet<String> {
    let targets = tasks.iter().filter_map(|task| {
        let config = task.k8s_config.clone().unwrap_or_default();
        config.resolve(|name| std::env::var(name).ok()).ok()
    });
    targets.map(|target| target.namespace).collect()
}

fn is_young(job: &JobSight) -> bool {
    let age = job
        .created
        .map(|created| Timestamp::now().duration_since(created));
    age.and_then(|age| Duration::try_from(age).ok())
        .is_none_or(|age| age < YOUNG)
}

/// Why nobody will ever wait for this Job.
fn orphaned(job: &JobSight, run: Option<&TaskRun>, owner: Option<&str>) -> Option<String> {
    match run {
        Some(run) if run.state.is_terminal() => Some(format!("its run is over ({})", run.state)),
        Some(run) => {
            let attempt: u32 = job.attempt.parse().ok()?;
            (attempt < run.attempt).then(|| format!("its run is at attempt {}", run.attempt))
        }
        None => (owner.is_some() && job.owner.as_deref() == owner)
            .then(|| "its run is unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use fluid_core::{NewRun, Params, RunState, TaskName};

    use super::*;

    #[test]
    fn only_jobs_that_nobody_will_wait_for_are_orphans() {
        let job = JobSight {
            uid: String::new(),
            run: String::new(),
            attempt: "2".to_owned(),
            owner: Some("us".to_owned()),
            created: None,
            suspended: false,
            single: true,
            deleting: false,
            end: None,
        };
        let new = NewRun::new(TaskName::parse("a").unwrap(), Params::default());
        let mut run = TaskRun::enqueued(&new, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let mut is_orphan = |state, attempt, owner| {
            (run.state, run.attempt) = (state, attempt);
            orphaned(&job, Some(&run), owner).is_some()
        };
        assert!(!is_orphan(RunState::Running, 2, None));
        assert!(is_orphan(RunState::Running, 3, None));
        assert!(is_orphan(RunState::Aborted, 2, None));
        // Queued again, to be adopted.
        assert!(!is_orphan(RunState::Queued, 2, None));
        assert!(orphaned(&job, None, Some("us")).is_some());
        assert!(orphaned(&job, None, Some("them")).is_none());
        assert!(orphaned(&job, None, None).is_none());
        assert!(is_young(&job));
    }
}
