//! The executor's own tests, which need a cluster.

use std::process::Stdio;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use tokio::process::Command;

use super::Stage;
use crate::world::SUITE_IMAGE;

/// The conformance suite that every executor passes, and what only Kubernetes can do wrong.
pub(super) async fn the_executors_own_tests(stage: Stage) -> anyhow::Result<String> {
    let program = std::env::var_os("FLUID_SUITE_TESTS").context("start this as cargo xtask e2e")?;
    let namespace = "e2e-suite";
    let output = Command::new(&program)
        .args(["--ignored", "--test-threads", "4"])
        .env("KUBECONFIG", stage.world.cluster.kubeconfig())
        .env("FLUID_SUITE_IMAGE", SUITE_IMAGE)
        .env("FLUID_SUITE_NAMESPACE", namespace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .collect();
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "failed: {}\n{said}{told}",
        failed.join(", ")
    );
    let namespaces: Api<Namespace> = Api::all(stage.world.client.clone());
    namespaces
        .delete(namespace, &DeleteParams::default())
        .await?;
    let result = said.lines().find(|line| line.starts_with("test result"));
    Ok(result.context("no test ran")?.to_owned())
}
