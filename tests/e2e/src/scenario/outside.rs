//! Without a cluster.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Stage;

/// The same binary and task, on this machine: a subprocess, and nothing in the task differs.
pub(super) async fn outside_a_cluster(_stage: Stage) -> anyhow::Result<String> {
    let program = std::env::current_exe()?.with_file_name("application");
    let folder = tempfile::tempdir()?;
    let broker = format!("sqlite://{}", folder.path().join("fluid.db").display());
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--output", "json"])
            .args(arguments)
            .current_dir(&folder)
            .env("FLUID_BROKER_URL", &broker)
            .env_remove("KUBERNETES_SERVICE_HOST")
            .kill_on_drop(true);
        command
    };
    let mut consumer = command(&["serve", "--quiet", "--log", "error"]).spawn()?;
    let parameters = json!({"numbers": [1, 2, 39]}).to_string();
    let enqueue = [
        "enqueue",
        "add",
        "--wait",
        "--wait-timeout",
        "30s",
        "--params",
        &parameters,
    ];
    let said = command(&enqueue).output().await?;
    ensure!(said.status.success(), "{said:?}");
    let list = command(&["runs", "list"]).output().await?;
    consumer.kill().await?;
    let list: Value = serde_json::from_slice(&list.stdout)?;
    let run = list
        .pointer("/runs/0")
        .or_else(|| list.get(0))
        .context("no run")?;
    let execution = run["execution"].as_str().unwrap_or_default();
    ensure!(
        run["state"] == "success" && execution.starts_with("pid "),
        "{run}"
    );
    ensure!(run["result"] == json!({"count": 3, "sum": 42}), "{run}");
    Ok(format!("{} from {execution}", run["result"]))
}
