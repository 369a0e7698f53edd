//! The image and the manifests.

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams, PostParams};
use serde_json::json;

use super::Stage;
use crate::setup::Setup;
use crate::world::IMAGE;

/// A Job of the image alone: a non-root user, a read-only root file system and the `restricted` level are enough.
pub(super) async fn the_image_says_its_version(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::as_deployed()).await?;
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "version"},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": ["--version"],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        }}},
    });
    let jobs = place.api::<Job>();
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?)
        .await?;
    place
        .until("the Job to succeed", async || {
            let status = jobs.get("version").await?.status.unwrap_or_default();
            ensure!(status.failed.is_none(), "the Job failed: {status:?}");
            Ok(status.succeeded.filter(|pods| *pods == 1))
        })
        .await?;
    let pods = place.api::<Pod>();
    let of_job = ListParams::default().labels("job-name=version");
    let pod = pods.list(&of_job).await?.items.remove(0).metadata.name;
    let pod = pod.context("a pod without a name")?;
    let log = pods.logs(&pod, &LogParams::default()).await?;
    let expected = format!("fluid-cli {}", env!("CARGO_PKG_VERSION"));
    ensure!(log.trim() == expected, "expected {expected:?}, saw {log:?}");
    Ok(format!("its log is {:?}", log.trim()))
}

/// deploy/ to the letter, in the namespace that it names.
pub(super) async fn the_manifests_as_they_are(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place_named("workers", Setup::as_deployed()).await?;
    place.served().await?;
    let run = place.enqueue("sum", &json!({"up_to": 1000})).await?;
    let run = place.finished(&run).await?;
    let expected = json!({"sum": 500_500});
    ensure!(
        run.result.as_ref() == Some(&expected),
        "expected {expected}, saw {run:?}"
    );
    Ok(format!(
        "{expected} from {}",
        run.execution.unwrap_or_default()
    ))
}
