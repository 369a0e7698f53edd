//! The ways in which a run's own program ends.

use anyhow::{Context, ensure};
use serde_json::json;

use super::Stage;
use crate::place::Place;
use crate::run::{Run, RunError};
use crate::setup::Setup;

pub(super) async fn success_with_a_result(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::application()).await?;
    let run = place
        .enqueue("add", &json!({"numbers": [1, 2, 39]}))
        .await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    let expected = json!({"count": 3, "sum": 42});
    ensure!(run.result.as_ref() == Some(&expected), "{run:?}");
    let output = place.output(&run.id).await?;
    ensure!(output == ["adding 3 numbers"], "{output:?}");
    Ok(format!(
        "{expected} from {}",
        run.execution.unwrap_or_default()
    ))
}

pub(super) async fn task_error_with_its_message(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::application()).await?;
    let (_, error) = failed(&place, "refuse").await?;
    ensure!(error.kind == "error", "{error:?}");
    ensure!(
        error.message.contains("the picture has no pixels"),
        "{error:?}"
    );
    Ok(error.message)
}

pub(super) async fn exit_code_3(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.leave]\ncpu_bound = true\nshell = 'echo leaving; exit 3'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let (run, error) = failed(&place, "leave").await?;
    ensure!(
        error.kind == "exit" && error.exit_code == Some(3),
        "{error:?}"
    );
    let output = place.output(&run.id).await?;
    ensure!(output == ["leaving"], "{output:?}");
    Ok(error.message)
}

pub(super) async fn panic(stage: Stage) -> anyhow::Result<String> {
    let place = stage.place(Setup::application()).await?;
    let (run, error) = failed(&place, "panics").await?;
    ensure!(error.kind == "panic", "{error:?}");
    ensure!(error.message.contains("index out of bounds"), "{error:?}");
    let output = place.output(&run.id).await?;
    ensure!(
        output.iter().any(|line| line == "so far so good"),
        "{output:?}"
    );
    Ok(error.message)
}

pub(super) async fn out_of_memory(stage: Stage) -> anyhow::Result<String> {
    let tasks = r#"
        [tasks.eat]
        cpu_bound = true
        shell = 'x=0123456789abcdef; while :; do x=$x$x; done'
        k8s.resources.limits.memory = "32Mi"
    "#;
    let place = stage.place(Setup::stock(tasks)).await?;
    let (_, error) = failed(&place, "eat").await?;
    ensure!(error.message.contains("OOMKilled"), "{error:?}");
    ensure!(error.message.contains("32Mi"), "{error:?}");
    Ok(error.message)
}

/// Ten at once, so that some are over before anybody could begin to follow them.
pub(super) async fn a_container_of_50_ms_yields_its_output(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.brief]\ncpu_bound = true\nshell = 'echo one; echo two >&2; echo three'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(place.enqueue("brief", &json!({})).await?);
    }
    for run in &runs {
        let run = place.finished(run).await?;
        ensure!(run.state == "success", "{run:?}");
        let mut output = place.output(&run.id).await?;
        // The two streams are two pipes: each of them keeps its order.
        output.retain(|line| line != "two");
        ensure!(output == ["one", "three"], "{output:?} of {run:?}");
    }
    Ok(format!("3 lines from each of {} Jobs", runs.len()))
}

/// Runs a task that must fail.
pub(super) async fn failed(place: &Place, task: &str) -> anyhow::Result<(Run, RunError)> {
    let run = place.enqueue(task, &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "failure", "{run:?}");
    let error = run.error.clone().context("a failure without an error")?;
    Ok((run, error))
}
