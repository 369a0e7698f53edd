//! Others who meddle with Jobs and pods.

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams, PostParams};
use serde_json::json;

use super::Stage;
use crate::place::Place;
use crate::pod_exec::exec;
use crate::setup::Setup;

const TASKS: &str = r"
    [tasks.wait]
    cpu_bound = true
    shell = 'echo before; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo after'
";

pub(super) async fn job_deleted_by_hand(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let run = place.enqueue("wait", &json!({})).await?;
    place.running_pod(&run).await?;
    let name = place.job(&run).await?.metadata.name.context("no name")?;
    let jobs = place.api::<Job>();
    jobs.delete(&name, &DeleteParams::foreground()).await?;
    let run = place.finished(&run).await?;
    let error = run.error.clone().context("no error")?;
    ensure!(run.state == "failure" && error.kind == "lost", "{run:?}");
    ensure!(error.message.contains("deleted"), "{error:?}");
    Ok(error.message)
}

pub(super) async fn pod_deleted_by_hand(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let run = place.enqueue("wait", &json!({})).await?;
    let pod = place.running_pod(&run).await?;
    let now = DeleteParams::default().grace_period(1);
    place.api::<Pod>().delete(&pod, &now).await?;
    let run = place.finished(&run).await?;
    let error = run.error.clone().context("no error")?;
    ensure!(run.state == "failure" && error.kind == "lost", "{run:?}");
    ensure!(error.message.contains("deleted"), "{error:?}");
    Ok(error.message)
}

/// As a drain of the node does it: the eviction API.
pub(super) async fn pod_evicted(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let run = place.enqueue("wait", &json!({})).await?;
    let first = place.running_pod(&run).await?;
    place
        .api::<Pod>()
        .evict(&first, &EvictParams::default())
        .await?;
    let second = place
        .until("another pod", async || {
            let pod = place.running_pod(&run).await?;
            Ok((pod != first).then_some(pod))
        })
        .await?;
    exec(&place.api(), &second, "main", &["touch", "/tmp/go"], b"")
        .await?
        .well()?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success" && run.attempt == 1, "{run:?}");
    place.job(&run.id).await?;
    Ok(format!(
        "{second} in place of {first}, {} on attempt 1",
        run.state
    ))
}

/// The name that the run's Job would get is learnt from another run of the same task.
pub(super) async fn foreign_job_of_the_same_name(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.little]\ncpu_bound = true\nshell = 'echo done'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let known = place.enqueue("little", &json!({})).await?;
    place.finished(&known).await?;
    let job = place.job(&known).await?;
    let later = place.enqueue_in("little", "15s").await?;
    let name = job.metadata.name.clone().context("no name")?;
    let name = name.replace(&known.replace('-', ""), &later.replace('-', ""));
    ensure!(
        job.metadata.name.as_ref() != Some(&name),
        "{name} does not hold the run's id"
    );
    foreign(&place, &name).await?;
    let run = place.finished(&later).await?;
    let error = run.error.clone().context("no error")?;
    ensure!(run.state == "failure", "{run:?}");
    ensure!(error.message.contains(&name), "{error:?}");
    let jobs = place.api::<Job>();
    let labels = jobs.get(&name).await?.metadata.labels.unwrap_or_default();
    ensure!(
        labels.get("owner").is_some_and(|owner| owner == "somebody"),
        "{labels:?}"
    );
    Ok(error.message)
}

/// Somebody else's Job.
async fn foreign(place: &Place, name: &str) -> anyhow::Result<()> {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": {"owner": "somebody"}},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "other:1"}],
        }}},
    });
    let jobs = place.api::<Job>();
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?)
        .await?;
    Ok(())
}
