//! How long a run takes to end after its Job and its pod: by what the API server wrote down where it is ours, and as a
//! watch of the e2e's own sees them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::place::{Place, RUN_LABEL};

/// When the object of a run was first seen to be over.
type Seen = Arc<Mutex<HashMap<String, Timestamp>>>;

/// The ends of all Jobs and pods of runs, from now on. Nothing is watched any more when it is dropped.
pub(super) struct Ends {
    jobs: Seen,
    pods: Seen,
    _watches: JoinSet<()>,
}

impl Ends {
    pub(super) fn watch(client: &Client) -> Self {
        let (jobs, pods) = (Seen::default(), Seen::default());
        let mut watches = JoinSet::new();
        watches.spawn(note(client.clone(), jobs.clone(), |job: &Job| {
            job.status
                .as_ref()
                .is_some_and(|status| status.completion_time.is_some())
        }));
        watches.spawn(note(client.clone(), pods.clone(), |pod: &Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Succeeded")
        }));
        Self {
            jobs,
            pods,
            _watches: watches,
        }
    }

    /// How long the slowest hundredth of a place's runs, of which there are `runs`, took at least to end: after the Job
    /// was complete, and after the pod had succeeded. Less than nothing if the run was told by its pod before the Job was.
    pub(super) async fn delays(
        &self,
        cluster: &Cluster,
        place: &Place,
        runs: usize,
    ) -> anyhow::Result<(SignedDuration, SignedDuration)> {
        let limit = runs.to_string();
        let said = place
            .cli(&["runs", "list", "--limit", &limit], b"")
            .await?
            .well()?;
        let said: Value = serde_json::from_str(&said)?;
        let ended = said["runs"]
            .as_array()
            .context("no runs")?
            .iter()
            .map(|run| {
                let id = run["id"].as_str().context("no id")?;
                let ended = run["ended_at"].as_str().context("no end")?;
                Ok((id, ended.parse()?))
            })
            .collect::<anyhow::Result<Vec<(&str, Timestamp)>>>()?;
        ensure!(ended.len() == runs, "{} runs", ended.len());
        // A run may end before its Job does.
        place
            .until("all Jobs to be seen to end", async || {
                let jobs = match cluster {
                    Cluster::Local(local) => local.completions()?,
                    Cluster::Kind(_) | Cluster::Current(_) => seen(&self.jobs).clone(),
                };
                let pods = delay(&seen(&self.pods), &ended);
                Ok(delay(&jobs, &ended).zip(pods))
            })
            .await
    }
}

fn seen(seen: &Seen) -> MutexGuard<'_, HashMap<String, Timestamp>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` while an end has not been seen.
fn delay(seen: &HashMap<String, Timestamp>, ended: &[(&str, Timestamp)]) -> Option<SignedDuration> {
    let mut delays = ended
        .iter()
        .map(|(run, ended)| Some(ended.duration_since(*seen.get(*run)?)))
        .collect::<Option<Vec<_>>>()?;
    delays.sort();
    delays.get(delays.len() * 99 / 100).copied()
}

async fn note<K>(client: Client, ends: Seen, over: impl Fn(&K) -> bool)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let ours = watcher::Config::default().labels(RUN_LABEL);
    let changes = watcher(Api::<K>::all(client), ours)
        .default_backoff()
        .applied_objects();
    let noted = changes.try_for_each(|object| {
        let now = Timestamp::now();
        if over(&object)
            && let Some(run) = object.labels().get(RUN_LABEL)
        {
            seen(&ends).entry(run.clone()).or_insert(now);
        }
        std::future::ready(Ok(()))
    });
    if let Err(error) = noted.await {
        eprintln!("  a watch ended: {error}");
    }
}
