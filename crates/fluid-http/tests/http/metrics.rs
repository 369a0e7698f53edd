//! What Prometheus sees, held to what docs/metrics.md lists.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    ExecutorKind, QueueName, RunFilter, RunState, Schedule, Task, TaskContext, TaskError, TaskName,
};
use fluid_exec_local::InlineExecutor;
use fluid_http::{HttpOptions, Metrics, Server, routes};
use fluid_scheduler::{
    ConsumerConfig, Executors, MemoryBroker, TaskConsumer, TaskManager, TaskScheduler,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const DOCS: &str = include_str!("../../../../docs/metrics.md");

/// The type and the labels of each metric.
type Listed = BTreeMap<String, (String, BTreeSet<String>)>;

/// What the tables of the docs list, up to the section of an executor that is not here.
fn documented() -> Listed {
    let (here, _) = DOCS.split_once("### Of the executor k8s").unwrap();
    let rows = here.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, _, labels, ..] = cells.as_slice() else {
            return None;
        };
        let ticked = |cell: &str| -> BTreeSet<String> {
            let parts = cell.split('`').skip(1).step_by(2);
            parts.map(str::to_owned).collect()
        };
        let name = ticked(name).into_iter().next()?;
        Some((name, ((*kind).to_owned(), ticked(labels))))
    })
    .filter(|(_, (kind, _))| ["counter", "gauge", "histogram"].contains(&kind.as_str()))
    .collect()
}

/// What a scrape has; `le` of histograms is theirs.
fn scraped(text: &str) -> Listed {
    let mut listed = Listed::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            listed.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap();
            let name = &line[..end];
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|family| listed.contains_key(*family))
                .unwrap_or(name);
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.rsplit_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split(',');
            let names = labels.filter_map(|pair| pair.split_once('='));
            let names = names
                .map(|(name, _)| name.to_owned())
                .filter(|name| name != "le");
            listed
                .get_mut(family)
                .unwrap_or_else(|| panic!("{line} has no type"))
                .1
                .extend(names);
        }
    }
    listed
}

fn promtool_takes(text: &str) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by `cargo xtask test`");
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\nof\n{text}"
    );
}

/// The value of a sample, by the beginning of its line.
fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{sample} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_scrape_has_what_the_docs_list_and_promtool_takes_it() {
    let metrics = Metrics::install().expect("the only recorder of this process");
    let good = Task::function("good", async |_: TaskContext| Ok::<_, TaskError>(())).unwrap();
    let mut bad = Task::function("bad", async |_: TaskContext| {
        Err::<(), _>(TaskError::fatal("as told"))
    })
    .unwrap();
    bad.schedule = Some(Schedule::every(Duration::from_millis(50)).unwrap());
    let manager = TaskManager::builder()
        .broker(Arc::new(MemoryBroker::new()))
        .tasks([good, bad])
        .build()
        .unwrap();
    let mut options = HttpOptions::default();
    options.metrics = Some(metrics.clone());
    let server = Server::bind(([127, 0, 0, 1], 0).into(), routes(manager.clone(), options));
    let server = server.await.unwrap();
    let url = |path: &str, server: &Server| format!("http://{}{path}", server.address().unwrap());
    let (scrape, run_of) = (url("/metrics", &server), url("/api/v1/runs/", &server));
    let stop = CancellationToken::new();
    let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
    let consumer = TaskConsumer::new(manager.clone(), executors, ConsumerConfig::default());
    let scheduler = TaskScheduler::new(manager.clone());
    let work = tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::join!(
                server.run(stop.clone()),
                async { consumer.run(stop.clone()).await.unwrap() },
                async { scheduler.run(stop.clone()).await.unwrap() },
                metrics.upkeep(stop.clone()),
            )
        }
    });

    let broker = manager.broker();
    let queue = QueueName::parse("other").unwrap();
    broker.set_queue_paused(queue, true).await.unwrap();
    let gone = TaskName::parse("gone").unwrap();
    broker.set_task_enabled(gone, false).await.unwrap();
    let limit = Duration::from_secs(20);
    let run = manager.queue_named("good", &json!({})).await.unwrap().run();
    manager.wait(run, Some(limit)).await.unwrap();
    let this = RunFilter {
        ids: vec![run],
        ..RunFilter::default()
    };
    let again = broker.retry(this, 1).await.unwrap();
    manager.wait(again[0], Some(limit)).await.unwrap();
    let failed = async {
        while manager
            .broker()
            .stats()
            .await
            .unwrap()
            .count(RunState::Failure)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(limit, failed).await.unwrap();
    reqwest::get(format!("{run_of}{run}")).await.unwrap();

    // What the broker said is shared for a second.
    let settled = async {
        loop {
            let text = reqwest::get(&scrape).await.unwrap().text().await.unwrap();
            if value(&text, r#"fluid_task_runs{task="good",state="success"}"#) == Some(2.0) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let text = tokio::time::timeout(limit, settled).await.unwrap();
    promtool_takes(&text);
    let (documented, scraped) = (documented(), scraped(&text));
    for (name, seen) in &scraped {
        assert_eq!(
            documented.get(name),
            Some(seen),
            "docs/metrics.md and the scrape on {name}"
        );
    }
    for name in documented.keys() {
        assert!(
            scraped.contains_key(name),
            "docs/metrics.md has {name}, the scrape has not"
        );
    }
    let has =
        |sample: &str| value(&text, sample).unwrap_or_else(|| panic!("no {sample} in\n{text}"));
    assert!(has(r#"fluid_attempts_total{task="good",outcome="success",reason="none"}"#) >= 1.0);
    assert!(has(r#"fluid_attempts_total{task="bad",outcome="failure",reason="error"}"#) >= 1.0);
    assert!(has(r#"fluid_ticks_total{task="bad",outcome="fired"}"#) >= 1.0);
    assert!(has(r#"fluid_run_wait_seconds_count{task="good",executor="inline"}"#) >= 2.0);
    let route =
        r#"fluid_http_request_seconds_count{method="GET",route="/api/v1/runs/{run}",code="200"}"#;
    assert!((has(route) - 1.0).abs() < f64::EPSILON);
    stop.cancel();
    work.await.unwrap();
}
