//! What the consumer may do, and what it says of what it may not.

use anyhow::{Context, ensure};
use serde_json::json;

use super::Stage;
use super::outcome::failed;
use crate::manifests;
use crate::rights::{Rbac, printed};
use crate::setup::Setup;

const TASKS: &str = "
[tasks.good]
cpu_bound = true
shell = 'echo done; printf 7 > $FLUID_RESULT_PATH'

[tasks.bad]
cpu_bound = true
shell = 'echo leaving; exit 3'
";

/// Runs end rightly; what can't be known without pods is said once.
pub(super) async fn seed_role_only(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS).rbac(Rbac::Seed)).await?;
    let run = place.enqueue("good", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    let (_, error) = failed(&place, "bad").await?;
    let log = place.consumer_log().await?;
    ensure!(
        log.contains("pods"),
        "the missing right is not named: {log}"
    );
    Ok(error.message)
}

/// What `fluid-cli k8s rbac` prints is enough for everything, and for deploy/tasks.yaml it is deploy/rbac-minimal.yaml.
pub(super) async fn minimal_role_only(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS).rbac(Rbac::Minimal)).await?;
    let run = place.enqueue("good", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(
        run.state == "success" && run.result == Some(json!(7)),
        "{run:?}"
    );
    let output = place.output(&run.id).await?;
    ensure!(output == ["done"], "{output:?}");
    let (run, error) = failed(&place, "bad").await?;
    ensure!(error.exit_code == Some(3), "{error:?}");
    let output = place.output(&run.id).await?;
    ensure!(output == ["leaving"], "{output:?}");
    let check = place.cli(&["k8s", "check"], b"").await?;
    ensure!(check.code == 0, "{check:?}");
    let tasks = manifests::read("tasks.yaml")?;
    let tasks = tasks[0]["data"]["fluid.toml"].as_str();
    let printed = printed("fluid-cli", tasks.context("no tasks")?, "workers").await?;
    let expected = manifests::read("rbac-minimal.yaml")?;
    ensure!(
        printed == expected,
        "printed {printed:?}, deploy/rbac-minimal.yaml has {expected:?}"
    );
    Ok("results, output and reasons; k8s check is content".to_owned())
}

pub(super) async fn no_rights_at_all(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::stock(TASKS).rbac(Rbac::Nothing)).await?;
    let check = place.cli(&["k8s", "check"], b"").await?;
    ensure!(check.code != 0, "{check:?}");
    let said = format!("{}{}", check.stdout, check.stderr);
    ensure!(
        said.contains("deployments") && said.contains("jobs"),
        "{said}"
    );
    let (_, error) = failed(&place, "good").await?;
    let message = &error.message;
    ensure!(
        message.contains("get") && message.contains("deployment"),
        "{error:?}"
    );
    let first = message.lines().next().context("an empty message")?;
    Ok(first.to_owned())
}
