//! Runs that can't run yet, and say why.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::Stage;
use crate::place::Place;
use crate::setup::Setup;

/// How long `runs show` may lag behind what the cluster knows.
const LAG: Duration = Duration::from_secs(2);

pub(super) async fn image_that_does_not_exist(stage: Stage) -> anyhow::Result<String> {
    let tasks = r#"
        [tasks.draw]
        cpu_bound = true
        shell = 'true'
        k8s = { image = "localhost:1/no/such:image", pending_timeout = "10s" }
    "#;
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("draw", &json!({})).await?;
    place
        .until("the kubelet to give up", async || {
            let pods = place.of_run::<Pod>(&run).await?;
            Ok(pods.iter().find_map(|pod| {
                let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
                let reason = status.state.as_ref()?.waiting.as_ref()?.reason.as_ref()?;
                reason.contains("Image").then_some(())
            }))
        })
        .await?;
    let (why, lag) = told(&place, &run, "localhost:1/no/such:image").await?;
    let run = place.finished(&run).await?;
    let error = run.error.clone().context("no error")?;
    ensure!(run.state == "failure", "{run:?}");
    ensure!(
        error.message.contains("localhost:1/no/such:image"),
        "{error:?}"
    );
    place.nothing_left(&run.id).await?;
    Ok(format!("after {lag:.1?}: {why}"))
}

pub(super) async fn unschedulable(stage: Stage) -> anyhow::Result<String> {
    let tasks = r#"
        [tasks.grow]
        cpu_bound = true
        shell = 'true'
        k8s.resources.requests.memory = "4Ti"
    "#;
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("grow", &json!({})).await?;
    let words = place
        .until("the scheduler to say no", async || {
            let pods = place.of_run::<Pod>(&run).await?;
            Ok(pods.iter().find_map(|pod| {
                let conditions = pod.status.as_ref()?.conditions.as_ref()?;
                let unschedulable =
                    |reason: &Option<String>| reason.as_deref() == Some("Unschedulable");
                conditions
                    .iter()
                    .find(|condition| unschedulable(&condition.reason))?
                    .message
                    .clone()
            }))
        })
        .await?;
    let (why, lag) = told(&place, &run, &words).await?;
    Ok(format!("after {lag:.1?}: {why}"))
}

/// A quota that the consumer alone fills: the Job is there, and its pod is refused.
pub(super) async fn quota_exceeded_then_lifted(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.little]\ncpu_bound = true\nshell = 'echo done'";
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}},
    });
    let place = stage.place(Setup::stock(tasks).object(quota)).await?;
    let run = place.enqueue("little", &json!({})).await?;
    let why = place.waiting(&run).await?;
    ensure!(why.contains("quota") && why.contains("few"), "{why:?}");
    let quotas = place.api::<ResourceQuota>();
    let more = Patch::Merge(json!({"spec": {"hard": {"pods": "5"}}}));
    quotas.patch("few", &PatchParams::default(), &more).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success" && run.attempt == 1, "{run:?}");

    let none = Patch::Merge(json!({"spec": {"hard": {"pods": null, "count/jobs.batch": "1"}}}));
    quotas.patch("few", &PatchParams::default(), &none).await?;
    let run = place.enqueue("little", &json!({})).await?;
    let refused = place.waiting(&run).await?;
    ensure!(refused.contains("quota"), "{refused:?}");
    quotas.delete("few", &DeleteParams::default()).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success" && run.attempt == 1, "{run:?}");
    Ok(why)
}

/// What a run says of its waiting. Whoever looks [`LAG`] after now must see it; the time printed includes the look.
async fn told(place: &Place, run: &str, words: &str) -> anyhow::Result<(String, Duration)> {
    let known = Instant::now();
    loop {
        let looked = known.elapsed();
        let run = place.show(run).await?;
        ensure!(!run.finished(), "{run:?}");
        if let Some(why) = run.waiting.filter(|why| why.contains(words)) {
            return Ok((why, known.elapsed()));
        }
        ensure!(
            looked < LAG,
            "{looked:?} after the cluster knew, nothing is said of {words:?}"
        );
    }
}
