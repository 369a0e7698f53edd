//! Thousands of Jobs at once, with pods that kwok simulates, and what they cost the API server and the consumer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use serde_json::Value;

use super::Stage;
use crate::cluster::local::simulation::{LENGTH, SIMULATED};
use crate::metrics::Metrics;
use crate::place::{Place, RUN_LABEL};
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
    let completions = Completions::watch(client);
    let mut said = Vec::new();
    for (rounds, name) in [(1, "short"), (2, "long")] {
        let each = cost(&place, name, EACH, rounds * EACH).await?;
        said.push(format!("{each:.2} requests for each {name} Job"));
        ensure!(each <= REQUESTS, "{said:?}");
    }
    let jobs = Api::<Job>::namespaced(client.clone(), &place.namespace);
    let made = jobs
        .list(&kube::api::ListParams::default())
        .await?
        .items
        .len();
    ensure!(made == 2 * EACH, "{made} Jobs for {} runs", 2 * EACH);
    said.push(watches(&place).await?);
    let memory = memory(&place).await?;
    ensure!(memory <= MEMORY, "the consumer used {memory} KiB");
    said.push(format!("{} MiB at most", memory / 1024));
    let late = completions.late(&place).await?;
    ensure!(
        late <= LATE,
        "1 % of the runs ended more than {late:#} after their Job"
    );
    said.push(format!("p99 {late:#} from Job to run"));
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
    let (few, mut said) = (10, Vec::new());
    for (rounds, name) in [(1, "short"), (2, "long")] {
        let each = cost(&place, name, few, rounds * few).await?;
        said.push(format!("{each:.2} requests for each {name} Job"));
        ensure!(each <= REQUESTS, "{said:?}");
    }
    Ok(said.join(", "))
}

/// How many requests each of some runs of a task costs, when there are `all` that succeeded after them.
async fn cost(place: &Place, task: &str, runs: usize, all: usize) -> anyhow::Result<f64> {
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

/// When Jobs were seen to be complete, by their run.
struct Completions {
    seen: Arc<Mutex<HashMap<String, Timestamp>>>,
    watch: tokio::task::JoinHandle<()>,
}

impl Completions {
    fn watch(client: &Client) -> Self {
        let seen: Arc<Mutex<HashMap<String, Timestamp>>> = Arc::default();
        let jobs: Api<Job> = Api::all(client.clone());
        let ours = watcher::Config::default().labels(RUN_LABEL);
        let noted = seen.clone();
        let watch = tokio::spawn(async move {
            let changes = watcher(jobs, ours).default_backoff().applied_objects();
            let noted = changes.try_for_each(|job| {
                let now = Timestamp::now();
                if job
                    .status
                    .is_some_and(|status| status.completion_time.is_some())
                    && let Some(run) = job
                        .metadata
                        .labels
                        .and_then(|mut labels| labels.remove(RUN_LABEL))
                {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.entry(run).or_insert(now);
                }
                std::future::ready(Ok(()))
            });
            if let Err(error) = noted.await {
                eprintln!("  the watch of Jobs ended: {error}");
            }
        });
        Self { seen, watch }
    }

    /// How long after its Job the hundredth part of the runs, those that were slowest, ended at least.
    async fn late(&self, place: &Place) -> anyhow::Result<SignedDuration> {
        let limit = (2 * EACH).to_string();
        let said = place
            .cli(&["runs", "list", "--limit", &limit], b"")
            .await?
            .well()?;
        let said: Value = serde_json::from_str(&said)?;
        let seen = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut late = Vec::new();
        for run in said["runs"].as_array().context("no runs")? {
            let id = run["id"].as_str().context("no id")?;
            let ended: Timestamp = run["ended_at"].as_str().context("no end")?.parse()?;
            let complete = seen
                .get(id)
                .with_context(|| format!("the Job of {id} was not seen to end"))?;
            late.push(ended.duration_since(*complete));
        }
        ensure!(late.len() == 2 * EACH, "{} runs", late.len());
        late.sort();
        Ok(late[late.len() * 99 / 100])
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
