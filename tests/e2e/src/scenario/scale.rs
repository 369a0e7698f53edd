//! Thousands of Jobs at once, with pods that kwok simulates, and what they cost the API server and the consumer.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;

use super::Stage;
use super::ends::Ends;
use crate::cluster::local::simulation::{LENGTH, SIMULATED};
use crate::metrics::Metrics;
use crate::place::Place;
use crate::pod_exec::exec;
use crate::rights::Rbac;
use crate::setup::{Setup, container};
use crate::wait::{Deadline, until};

/// Jobs of each of two lengths.
const EACH: usize = 1000;
/// The most requests that a Job may cost, however long it takes.
const REQUESTS: f64 = 4.0;
/// The most memory that the consumer may ever have used.
const MEMORY: u64 = 80 * 1024;
/// The longest, for 99 of 100 Jobs, from its completion to the run's end.
const LATE: SignedDuration = SignedDuration::from_millis(200);

pub(super) async fn two_thousand_jobs(stage: Stage) -> anyhow::Result<String> {
    let local = stage.local()?;
    let client = &stage.world.client;
    local.simulate(client, 3000).await?;
    let tasks = format!("{}{}", task("short", "1s"), task("long", "30s"));
    let setup = Setup::stock(&tasks).deployment(|deployment| {
        let arguments = ["serve", "--concurrency", "500", "--quiet"];
        container(deployment)["args"] = arguments.into();
    });
    let place = stage.place(setup.rbac(Rbac::WithoutOutput)).await?;
    let ends = Ends::watch(client);
    let mut said = Vec::new();
    for (rounds, name) in [(1, "short"), (2, "long")] {
        let each = cost(&place, name, EACH, rounds * EACH).await?;
        said.push(format!("{each:.2} requests for each {name} Job"));
        ensure!(each <= REQUESTS, "{said:?}");
    }
    let jobs = Api::<Job>::namespaced(client.clone(), &place.namespace);
    let made = jobs.list(&ListParams::default()).await?.items.len();
    ensure!(made == 2 * EACH, "{made} Jobs for {} runs", 2 * EACH);
    said.push(watches(&place).await?);
    let memory = memory(&place).await?;
    ensure!(memory <= MEMORY, "the consumer used {memory} KiB");
    said.push(format!("{} MiB at most", memory / 1024));
    said.push(prompt(&stage, &ends, &place, 2 * EACH).await?);
    Ok(said.join(", "))
}

/// The same on a real kubelet, whose pods have output.
pub(super) async fn requests_per_job(stage: Stage) -> anyhow::Result<String> {
    let tasks = "
[tasks.short]
cpu_bound = true
shell = 'echo short'

[tasks.long]
cpu_bound = true
shell = 'for i in $(seq 12); do echo $i; sleep 1; done'
";
    let place = stage.place(Setup::stock(tasks)).await?;
    let ends = Ends::watch(&stage.world.client);
    let (few, mut said) = (10, Vec::new());
    for (rounds, name) in [(1, "short"), (2, "long")] {
        let each = cost(&place, name, few, rounds * few).await?;
        said.push(format!("{each:.2} requests for each {name} Job"));
        ensure!(each <= REQUESTS, "{said:?}");
    }
    said.push(prompt(&stage, &ends, &place, 2 * few).await?);
    Ok(said.join(", "))
}

/// Runs end soon after their Jobs.
async fn prompt(stage: &Stage, ends: &Ends, place: &Place, runs: usize) -> anyhow::Result<String> {
    let (job, pod) = ends.delays(&stage.world.cluster, place, runs).await?;
    let (job, pod) = (job.as_millis(), pod.as_millis());
    let said = format!("p99 of the run's end {job} ms after its Job's, {pod} ms after its pod's");
    ensure!(job <= LATE.as_millis(), "{said}");
    Ok(said)
}

/// How many requests each of some runs of a task costs, when there are `all` that succeeded after them.
async fn cost(place: &Place, task: &str, runs: usize, all: usize) -> anyhow::Result<f64> {
    quiet(place).await?;
    let before = requests(&place.client).await?;
    let lines = "{}\n".repeat(runs);
    place
        .cli(&["enqueue", task, "--many", "-"], lines.as_bytes())
        .await?
        .well()?;
    let deadline = Deadline::after(Duration::from_secs(240));
    until(deadline, format!("{runs} {task} runs to end"), async || {
        let states = states(place).await?;
        for state in ["failure", "aborted", "interrupted"] {
            ensure!(states[state] == 0, "{states}");
        }
        Ok((states["success"] == all).then_some(()))
    })
    .await?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let runs = runs as f64;
    Ok((requests(&place.client).await? - before) / runs)
}

/// A task whose Jobs go to the simulated node and take this long.
fn task(name: &str, length: &str) -> String {
    format!(
        r#"
[tasks.{name}]
cpu_bound = true
timeout = "5m"
shell = 'true'
[tasks.{name}.k8s]
node_selector = {{ "{SIMULATED}" = "yes" }}
tolerations = [{{ key = "{SIMULATED}", operator = "Exists" }}]
annotations = {{ "{LENGTH}" = "{length}" }}
job_ttl = "1h"
"#
    )
}

/// How many runs there are in each state.
async fn states(place: &Place) -> anyhow::Result<Value> {
    let said = place.cli(&["status"], b"").await?.well()?;
    let said: Value = serde_json::from_str(&said)?;
    Ok(said["states"].clone())
}

/// Waits until nothing of other scenarios is being deleted any more: Kubernetes looks through a namespace again and again
/// until it is empty.
async fn quiet(place: &Place) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    let deadline = Deadline::after(Duration::from_secs(180));
    until(
        deadline,
        "other scenarios to be gone".to_owned(),
        async || {
            let all = namespaces.list(&ListParams::default()).await?;
            let busy = all
                .iter()
                .any(|namespace| namespace.metadata.deletion_timestamp.is_some());
            Ok((!busy).then_some(()))
        },
    )
    .await
}

/// What a consumer may ask for with the minimal Role, for each Job: resource, subresource, verbs.
const ASKED: &[(&str, &str, &[&str])] = &[
    ("jobs", "", &["POST", "GET", "LIST", "DELETE"]),
    ("pods", "log", &["GET", "CONNECT"]),
    ("secrets", "", &["POST", "PATCH", "APPLY", "DELETE"]),
    ("events", "", &["LIST"]),
    ("deployments", "", &["GET", "LIST"]),
];

/// How many such requests there were. What Kubernetes' own controllers ask in the same words counts against us.
async fn requests(client: &Client) -> anyhow::Result<f64> {
    let metrics = Metrics::read(client).await?;
    let mut sum = 0.0;
    for (resource, subresource, verbs) in ASKED {
        for verb in *verbs {
            let labels = [
                ("resource", *resource),
                ("subresource", *subresource),
                ("verb", *verb),
            ];
            sum += metrics.sum("apiserver_request_total", &labels)?;
        }
    }
    Ok(sum)
}

/// One watch of Jobs and one of pods: all else that watches does so across namespaces. Consumers of other scenarios may
/// take a moment to end.
async fn watches(place: &Place) -> anyhow::Result<String> {
    for resource in ["jobs", "pods"] {
        place
            .until(&format!("one watch of {resource}"), async || {
                let labels = [
                    ("verb", "WATCH"),
                    ("resource", resource),
                    ("scope", "namespace"),
                ];
                let metrics = Metrics::read(&place.client).await?;
                let watches = metrics.sum("apiserver_longrunning_requests", &labels)?;
                Ok(((watches - 1.0).abs() < 0.5).then_some(()))
            })
            .await?;
    }
    Ok("one watch of Jobs, one of pods".to_owned())
}

/// The most memory that the consumer ever had, in KiB.
async fn memory(place: &Place) -> anyhow::Result<u64> {
    let pod = place.consumer().await?;
    let argv = ["grep", "VmHWM", "/proc/1/status"];
    let said = exec(&place.api(), &pod, "main", &argv, b"").await?.well()?;
    let kib = said
        .split_whitespace()
        .nth(1)
        .with_context(|| said.clone())?;
    Ok(kib.parse()?)
}
