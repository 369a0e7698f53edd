//! The API server goes away and comes back. For clusters whose API server is ours to stop.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Stage;
use crate::place::Place;
use crate::pod_exec::exec;
use crate::setup::Setup;

const OUTAGE: Duration = Duration::from_secs(60);
/// The kubelet, too, takes its time before it tries again.
const RECOVERY: Duration = Duration::from_secs(180);

/// One Job ends while nobody can know it, and another is due to be made then.
pub(super) async fn api_server_stopped_mid_job_and_mid_create(
    stage: Stage,
) -> anyhow::Result<String> {
    let tasks = "
[tasks.wait]
cpu_bound = true
timeout = '5m'
shell = 'echo before; sleep 12; echo after'

[tasks.brief]
cpu_bound = true
timeout = '5m'
shell = 'echo done'
";
    let local = stage.local()?;
    let place = stage.place(Setup::stock(tasks)).await?;
    let running = place.enqueue("wait", &json!({})).await?;
    place.running_pod(&running).await?;
    let due_then = place.enqueue_in("brief", "8s").await?;
    local.kill_api_server().await?;
    tokio::time::sleep(OUTAGE).await;
    // The API server tells the time in whole seconds.
    let back = Timestamp::now() - SignedDuration::from_secs(1);
    local.start_api_server(&stage.world.client).await?;
    let before = ended_well(&place, &running, &["before", "after"]).await?;
    let then = ended_well(&place, &due_then, &["done"]).await?;
    ensure!(
        before < back && back <= then,
        "Jobs of {before} and {then}, {back} between"
    );
    Ok(format!(
        "two runs ended well after {} s without API server",
        OUTAGE.as_secs()
    ))
}

/// What the watches know of is compacted away while they are cut.
pub(super) async fn watch_expired(stage: Stage) -> anyhow::Result<String> {
    let tasks = "
[tasks.wait]
cpu_bound = true
shell = 'echo before; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo after'
";
    let local = stage.local()?;
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("wait", &json!({})).await?;
    let pod = place.running_pod(&run).await?;
    local.kill_api_server().await?;
    let revision = local.compact().await?;
    local.start_api_server(&stage.world.client).await?;
    place
        .until("the pod to be reached", async || {
            let go = exec(&place.api(), &pod, "main", &["touch", "/tmp/go"], b"").await;
            Ok(go.ok().filter(|said| said.code == 0))
        })
        .await?;
    ended_well(&place, &run, &["before", "after"]).await?;
    Ok(format!(
        "a run went on after compaction at revision {revision}"
    ))
}

/// The run succeeded at the first attempt with its whole output, by one Job; when that was made.
async fn ended_well(place: &Place, run: &str, output: &[&str]) -> anyhow::Result<Timestamp> {
    let run = place.finished_within(RECOVERY, run).await?;
    ensure!(run.state == "success" && run.attempt == 1, "{run:?}");
    let seen = place.output(&run.id).await?;
    ensure!(seen == output, "{seen:?}");
    let made = place.job(&run.id).await?.metadata.creation_timestamp;
    Ok(made.context("a Job that was never made")?.0)
}
