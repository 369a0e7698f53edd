//! What goes in and what comes out: large, secret, long.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::api::{ListParams, LogParams};
use serde_json::json;

use super::Stage;
use crate::pod_exec::exec;
use crate::setup::Setup;

/// A little more than the task's own limit.
const TALK: Duration = Duration::from_secs(130);

pub(super) async fn parameters_of_500_kib(stage: Stage) -> anyhow::Result<String> {
    let tasks = r#"
        [tasks.measure]
        cpu_bound = true
        shell = '''printf '"%s"' "$(tr -d '\n' | sha256sum | head -c 64)" > "$FLUID_RESULT_PATH"'''
        params = { type = "object", properties = { text = { type = "string" } } }
    "#;
    let place = stage.place(Setup::stock(tasks)).await?;
    let parameters = json!({"text": "0123456789abcdef".repeat(32 * 1024)});
    let run = place.enqueue("measure", &parameters).await?;
    let run = place.finished(&run).await?;
    let expected = json!(crate::image::digest(parameters.to_string().as_bytes()));
    ensure!(run.result == Some(expected), "{run:?}");
    Ok(format!(
        "{} bytes arrived as they were",
        parameters.to_string().len()
    ))
}

/// The secret is looked for everywhere but where it must be: in a Secret that goes with the Job.
pub(super) async fn secret_parameters(stage: Stage) -> anyhow::Result<String> {
    let secret = "correct-horse-battery-staple";
    let place = stage.place(Setup::application()).await?;
    let parameters = json!({"user": "alice", "token": secret, "linger": 8});
    let run = place.enqueue("login", &parameters).await?;
    let pod = place.running_pod(&run).await?;
    let all = ListParams::default();
    let everything = [
        serde_json::to_string(&place.api::<Job>().list(&all).await?.items)?,
        serde_json::to_string(&place.api::<Pod>().list(&all).await?.items)?,
        serde_json::to_string(&place.api::<Event>().list(&all).await?.items)?,
        exec(
            &place.api(),
            &pod,
            "main",
            &["sh", "-c", "cat /proc/[0-9]*/cmdline"],
            b"",
        )
        .await?
        .stdout,
    ];
    let names = ["Jobs", "pods", "events", "command lines"];
    for (name, text) in names.iter().zip(&everything) {
        ensure!(
            !text.contains(secret),
            "the secret is in the {name}: {text}"
        );
    }
    ensure!(
        everything[3].contains("exec"),
        "these are no command lines: {}",
        everything[3]
    );
    let shown = place.show(&run).await?;
    ensure!(!format!("{shown:?}").contains(secret), "{shown:?}");
    let run = place.finished(&run).await?;
    ensure!(run.result == Some(json!(secret.len())), "{run:?}");
    let consumer = place.consumer().await?;
    let logs = [
        place.output(&run.id).await?.join("\n"),
        place.api::<Pod>().logs(&pod, &LogParams::default()).await?,
        place
            .api::<Pod>()
            .logs(&consumer, &LogParams::default())
            .await?,
    ];
    ensure!(logs[0] == "alice logs in", "{logs:?}");
    ensure!(
        !logs.join("").contains(secret),
        "the secret is in a log: {logs:?}"
    );
    place
        .until("the Secret to be gone", async || {
            let secrets = place.api::<Secret>().list(&ListParams::default()).await?;
            Ok(secrets.items.is_empty().then_some(()))
        })
        .await?;
    Ok("in no Job, pod, event, command line or log; the Secret is gone".to_owned())
}

pub(super) async fn output_of_100_000_lines(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.talk]\ncpu_bound = true\ntimeout = '2m'\nshell = 'seq 100000'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("talk", &json!({})).await?;
    let run = place.finished_within(TALK, &run).await?;
    ensure!(run.state == "success", "{run:?}");
    let output = place.output(&run.id).await?;
    let wrong = output
        .iter()
        .zip(1_u32..)
        .find(|(line, number)| **line != number.to_string());
    ensure!(
        wrong.is_none(),
        "expected a line {:?}, saw {:?}",
        wrong.map(|(_, n)| n),
        wrong.map(|(l, _)| l)
    );
    ensure!(output.len() == 100_000, "{} lines", output.len());
    let last = output.last().context("no lines")?;
    Ok(format!("{} lines, in order, to {last}", output.len()))
}
