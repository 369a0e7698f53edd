//! Jobs that come after each other, and Jobs that go.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Stage;
use crate::setup::Setup;
use crate::wait::{Deadline, until};

/// Orphans are left alone for a minute and looked for twice a minute.
const SWEPT: Duration = Duration::from_secs(120);

pub(super) async fn retry_makes_a_new_job(stage: Stage) -> anyhow::Result<String> {
    let tasks = "
[tasks.again]
cpu_bound = true
retry = { attempts = 2, delay = '100ms' }
shell = 'echo attempt $FLUID_ATTEMPT; [ $FLUID_ATTEMPT = 2 ]'
";
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("again", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success" && run.attempt == 2, "{run:?}");
    let jobs = place.of_run::<Job>(&run.id).await?;
    let mut names: Vec<_> = jobs
        .into_iter()
        .filter_map(|job| job.metadata.name)
        .collect();
    names.sort();
    names.dedup();
    ensure!(names.len() == 2, "{names:?}");
    let output = place.output(&run.id).await?;
    ensure!(output == ["attempt 1", "attempt 2"], "{output:?}");
    Ok(names.join(" and "))
}

pub(super) async fn ttl_removes_the_job(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.brief]\ncpu_bound = true\nshell = 'echo done'\nk8s.job_ttl = '2s'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("brief", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    place.nothing_left(&run.id).await?;
    let run = place.show(&run.id).await?;
    ensure!(run.state == "success", "{run:?}");
    Ok("the Job and its pod are gone, the run is what it was".to_owned())
}

/// A second Job of a run is what a consumer leaves that lost its broker; the run itself is purged.
pub(super) async fn orphan_swept(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.brief]\ncpu_bound = true\nshell = 'echo done'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("brief", &json!({})).await?;
    place.finished(&run).await?;
    let mut orphan = serde_json::to_value(place.job(&run).await?)?;
    let labels = orphan["metadata"]["labels"].take();
    let of_ours = |(name, value): (&String, &Value)| {
        let ours = !name.contains("controller-uid") && !name.contains("job-name");
        ours.then(|| (name.clone(), value.clone()))
    };
    let labels: serde_json::Map<_, _> = labels
        .as_object()
        .context("no labels")?
        .iter()
        .filter_map(of_ours)
        .collect();
    let image = &orphan["spec"]["template"]["spec"]["containers"][0];
    let orphan = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "orphan", "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main", "image": image["image"], "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "1000"], "securityContext": image["securityContext"],
            }],
        }}},
    });
    place.cli(&["runs", "purge", "--all"], b"").await?.well()?;
    let jobs = place.api::<Job>();
    jobs.create(&PostParams::default(), &serde_json::from_value(orphan)?)
        .await?;
    until(
        Deadline::after(SWEPT),
        "the orphan to be swept".to_owned(),
        async || Ok(jobs.get_opt("orphan").await?.is_none().then_some(())),
    )
    .await?;
    Ok("a running Job of an unknown run is gone".to_owned())
}
