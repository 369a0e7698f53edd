//! Consumers that go away in the middle of a Job.

use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Stage;
use crate::place::Place;
use crate::pod_exec::exec;
use crate::setup::{Setup, container};
use crate::world::IMAGE;

/// A task that ends when it is told to.
const TASKS: &str = r#"
    [tasks.wait]
    cpu_bound = true
    timeout = "2m"
    shell = '''
    echo before
    while [ ! -e /tmp/go ]; do sleep 0.1; done
    echo after
    '''
"#;

/// The next consumer is the one that the kubelet starts in place of the killed one; the queue is on the pod's volume.
pub(super) async fn consumer_killed_mid_job(stage: Stage) -> anyhow::Result<String> {
    let setup = Setup::stock(TASKS).deployment(|deployment| {
        // Only so can the consumer's process be killed from inside its pod.
        deployment["spec"]["template"]["spec"]["shareProcessNamespace"] = json!(true);
        short_lease(deployment);
    });
    let place = stage.place(setup).await?;
    let run = place.enqueue("wait", &json!({})).await?;
    let pod = place.running_pod(&run).await?;
    let consumer = place.consumer().await?;
    let kill = r#"for p in /proc/[0-9]*; do grep -qa serve $p/cmdline && [ "${p#/proc/}" != $$ ] && kill -9 "${p#/proc/}"; done; :"#;
    exec(&place.api(), &consumer, "main", &["sh", "-c", kill], b"")
        .await
        .ok();
    place
        .until("the consumer to be started anew", async || {
            let pod = place.api::<Pod>().get(&consumer).await?;
            let status = pod
                .status
                .and_then(|status| status.container_statuses?.into_iter().next());
            Ok(status
                .is_some_and(|status| status.restart_count == 1 && status.ready)
                .then_some(()))
        })
        .await?;
    adopted(&place, &run, &pod).await
}

pub(super) async fn consumer_rolled_mid_job(stage: Stage) -> anyhow::Result<String> {
    let path = "/run/fluid-e2e/rolled";
    let setup = Setup::stock(TASKS).privileged().deployment(move |deployment| {
        short_lease(deployment);
        let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array_mut();
        for volume in volumes.into_iter().flatten().filter(|volume| volume["name"] == "data") {
            *volume = json!({"name": "data", "hostPath": {"path": path, "type": "DirectoryOrCreate"}});
        }
        deployment["spec"]["replicas"] = json!(0);
    });
    let place = stage.unserved(setup).await?;
    open_folder(&place, path).await?;
    let deployments = place.api::<Deployment>();
    let one = kube::api::Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments
        .patch("fluid-task", &kube::api::PatchParams::default(), &one)
        .await?;
    place.served().await?;
    let run = place.enqueue("wait", &json!({})).await?;
    let pod = place.running_pod(&run).await?;
    let before = place.consumer().await?;
    deployments.restart("fluid-task").await?;
    place
        .until("another consumer", async || {
            let gone = place.api::<Pod>().get_opt(&before).await?.is_none();
            Ok((gone && place.consumer().await? != before).then_some(()))
        })
        .await?;
    place.served().await?;
    adopted(&place, &run, &pod).await
}

/// The Job goes on in the same pod and is the only one; the run succeeds once, with all of its output.
async fn adopted(place: &Place, run: &str, pod: &str) -> anyhow::Result<String> {
    exec(&place.api(), pod, "main", &["touch", "/tmp/go"], b"")
        .await?
        .well()?;
    let run = place.finished(run).await?;
    ensure!(run.state == "success" && run.attempt == 1, "{run:?}");
    place.job(&run.id).await?;
    let pods = place.of_run::<Pod>(&run.id).await?;
    ensure!(pods.len() == 1, "{} pods", pods.len());
    let output = place.output(&run.id).await?;
    ensure!(output == ["before", "after"], "{output:?}");
    Ok(format!(
        "one Job, one pod, {} on attempt {}",
        run.state, run.attempt
    ))
}

/// Nobody waits half a minute to find out that a consumer is dead.
fn short_lease(deployment: &mut Value) {
    if let Some(env) = container(deployment)["env"].as_array_mut() {
        env.push(json!({"name": "FLUID_LEASE", "value": "5s"}));
    }
}

/// Lets everyone write to a folder of the node.
async fn open_folder(place: &Place, path: &str) -> anyhow::Result<()> {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "open-folder"},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "rm -rf /data/*; chmod 777 /data"],
                "securityContext": {"runAsUser": 0},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}],
        }}},
    });
    let jobs = place.api::<Job>();
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?)
        .await?;
    place
        .until("the folder to be open", async || {
            let status = jobs.get("open-folder").await?.status.unwrap_or_default();
            Ok(status.succeeded)
        })
        .await?;
    Ok(())
}
