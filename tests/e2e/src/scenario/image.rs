//! The image and the manifests.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams, PostParams};
use serde_json::json;

use super::Stage;
use crate::manifests::{self, apply};
use crate::pod_exec::exec;
use crate::rights::Rbac;
use crate::setup::Setup;
use crate::wait::{Deadline, until};
use crate::world::IMAGE;

/// The page promises a minute until a consumer knows of new rights; a run that began before must end first.
const LEARNT: Duration = Duration::from_secs(75);

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

/// deploy/ to the letter, in the namespace that it names, and then what docs/kubernetes-jobs.md says to do there.
pub(super) async fn the_page_line_by_line(stage: Stage) -> anyhow::Result<String> {
    let setup = Setup::as_deployed().rbac(Rbac::Seed);
    let place = stage.place_named("workers", setup).await?;
    place.served().await?;
    let check = place.cli(&["k8s", "check"], b"").await?;
    ensure!(
        check.code == 0 && check.stdout.contains("pods/log"),
        "{check:?}"
    );
    let consumer = place.consumer().await?;
    let rbac = ["fluid-cli", "k8s", "rbac"];
    let printed = exec(&place.api(), &consumer, "main", &rbac, b"")
        .await?
        .well()?;
    for object in manifests::parse(&printed)? {
        apply(&place.client, &object).await?;
    }
    let granted = Instant::now();
    let expected = json!({"sum": 500_500});
    let run = until(
        Deadline::after(LEARNT),
        "a run with a result".to_owned(),
        async || {
            let run = place.enqueue("sum", &json!({"up_to": 1000})).await?;
            let run = place.finished(&run).await?;
            ensure!(run.state == "success", "{run:?}");
            Ok(run.result.is_some().then_some(run))
        },
    )
    .await?;
    ensure!(
        run.result.as_ref() == Some(&expected),
        "expected {expected}, saw {run:?}"
    );
    let output = place.output(&run.id).await?;
    ensure!(output == ["adding up to 1000"], "{output:?}");
    Ok(format!(
        "{expected} {} s after k8s rbac was applied",
        granted.elapsed().as_secs()
    ))
}
