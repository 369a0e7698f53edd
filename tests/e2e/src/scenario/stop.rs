//! Runs that are told to stop.

use anyhow::{Context, ensure};
use serde_json::json;

use super::Stage;
use crate::place::Place;
use crate::run::Run;
use crate::setup::Setup;

/// Tasks that would take long.
const TASKS: &str = r#"
    [tasks.long]
    cpu_bound = true
    shell = 'echo started; sleep 600'

    [tasks.short]
    cpu_bound = true
    timeout = "4s"
    shell = 'echo started; sleep 600'

    [tasks.nowhere]
    cpu_bound = true
    shell = 'echo started'
    k8s.node_selector = { "fluid.invalid/e2e" = "nowhere" }
"#;

pub(super) async fn timeout(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let run = place.enqueue("short", &json!({})).await?;
    let run = place.finished(&run).await?;
    let error = run.error.clone().context("a timeout without an error")?;
    ensure!(run.state == "failure" && error.kind == "timeout", "{run:?}");
    place.nothing_left(&run.id).await?;
    Ok(format!("{}; no Job and no pod left", error.message))
}

pub(super) async fn cancel_of_a_running_run(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let (other, run) = (
        place.enqueue("long", &json!({})).await?,
        place.enqueue("long", &json!({})).await?,
    );
    place.running_pod(&other).await?;
    place.running_pod(&run).await?;
    let run = cancelled(&place, &run).await?;
    place.job(&other).await?;
    let other = place.show(&other).await?;
    ensure!(other.state == "running", "{other:?}");
    Ok(format!("{}, the Job of another run went on", run.state))
}

pub(super) async fn cancel_of_a_pending_run(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS)).await?;
    let run = place.enqueue("nowhere", &json!({})).await?;
    let why = place.waiting(&run).await?;
    let run = cancelled(&place, &run).await?;
    Ok(format!("{} while {why}", run.state))
}

/// Cancels a run; it is aborted and leaves nothing behind.
async fn cancelled(place: &Place, run: &str) -> anyhow::Result<Run> {
    place.cli(&["runs", "cancel", run], b"").await?.well()?;
    let run = place.finished(run).await?;
    ensure!(run.state == "aborted", "{run:?}");
    place.nothing_left(&run.id).await?;
    Ok(run)
}
