//! What the broker says when it is asked: how many runs there are and how long they wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fluid_core::{BrokerResult, ConsumerInfo, RunState, Settings, Stats};
use fluid_scheduler::TaskManager;
use jiff::Timestamp;
use metrics::{Unit, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_process::Collector;
use tokio::sync::Mutex;
use tokio::time::timeout;

const UP: &str = "fluid_broker_up";
const RUNS: &str = "fluid_runs";
const TASK_RUNS: &str = "fluid_task_runs";
const OLDEST: &str = "fluid_oldest_queued_seconds";
const CONSUMERS: &str = "fluid_consumers";
const PAUSED: &str = "fluid_queue_paused";
const DISABLED: &str = "fluid_task_disabled";

/// The broker is asked so often at most, however many scrape.
const SHARED_FOR: Duration = Duration::from_secs(1);
/// A broker that takes longer is down, as far as a scrape is concerned.
const PATIENCE: Duration = Duration::from_secs(2);

/// The states of a run that is not over.
const OPEN: [RunState; 3] = [RunState::Scheduled, RunState::Queued, RunState::Running];

/// What was asked of the broker last.
#[derive(Debug, Default)]
pub(super) struct BrokerGauges(Mutex<Option<(Instant, String)>>);

impl BrokerGauges {
    /// The gauges in Prometheus's text format. Whoever comes while the broker is asked waits for the same answer.
    pub(super) async fn render(&self, manager: &TaskManager) -> String {
        let mut last = self.0.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < SHARED_FOR
        {
            return text.clone();
        }
        let asked = timeout(PATIENCE, ask(manager)).await;
        let told = match asked {
            Ok(Ok(told)) => Some(told),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the broker can't be measured");
                None
            }
            Err(_) => None,
        };
        let text = render(manager, told.as_ref());
        *last = Some((Instant::now(), text.clone()));
        text
    }
}

/// What the broker said.
struct Told {
    now: Timestamp,
    stats: Stats,
    settings: Settings,
    consumers: Vec<ConsumerInfo>,
}

async fn ask(manager: &TaskManager) -> BrokerResult<Told> {
    let broker = manager.broker();
    Ok(Told {
        stats: broker.stats().await?,
        settings: broker.settings().await?,
        consumers: broker.consumers().await?,
        now: broker.now().await?,
    })
}

/// With a recorder of its own each time, so that nothing stays of a queue that is gone or a broker that is away.
fn render(manager: &TaskManager, told: Option<&Told>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe();
        let broker = manager.broker().describe();
        let scheme = broker.split(':').next().unwrap_or_default().to_owned();
        let up = if told.is_some() { 1.0 } else { 0.0 };
        gauge!(UP, "scheme" => scheme).set(up);
        if let Some(told) = told {
            told.set(manager);
        }
        let process = Collector::default();
        process.describe();
        process.collect();
    });
    recorder.handle().render()
}

fn describe() {
    describe_gauge!(UP, "Whether the broker answers.");
    describe_gauge!(RUNS, "Runs that are not over, by queue.");
    describe_gauge!(TASK_RUNS, "Runs that the broker keeps, by task.");
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "How long ago the longest-waiting queued run was due; 0 when none waits."
    );
    describe_gauge!(CONSUMERS, "Consumers that live, in all processes.");
    describe_gauge!(PAUSED, "1 for each queue that is paused.");
    describe_gauge!(DISABLED, "1 for each task that is disabled.");
}

impl Told {
    fn set(&self, manager: &TaskManager) {
        let of_consumers = self.consumers.iter().flat_map(|consumer| &consumer.queues);
        let queues: BTreeSet<_> = self.stats.queues.keys().chain(of_consumers).collect();
        for queue in queues {
            for state in OPEN {
                let runs = count(self.stats.queues.get(queue), state);
                let (queue, state) = (queue.to_string(), state.as_str());
                gauge!(RUNS, "queue" => queue, "state" => state).set(runs);
            }
        }
        let declared = manager.tasks().map(|task| &task.name);
        let tasks: BTreeSet<_> = self.stats.tasks.keys().chain(declared).collect();
        for task in tasks {
            for state in RunState::ALL {
                let runs = count(self.stats.tasks.get(task), state);
                let (task, state) = (task.to_string(), state.as_str());
                gauge!(TASK_RUNS, "task" => task, "state" => state).set(runs);
            }
        }
        let oldest = self.stats.oldest_queued;
        let age = oldest.map_or(0.0, |due| self.now.duration_since(due).as_secs_f64());
        gauge!(OLDEST).set(age.max(0.0));
        let draining = self.consumers.iter().filter(|one| one.draining).count();
        let working = self.consumers.len() - draining;
        gauge!(CONSUMERS, "state" => "working").set(of(working));
        gauge!(CONSUMERS, "state" => "draining").set(of(draining));
        for queue in &self.settings.paused_queues {
            gauge!(PAUSED, "queue" => queue.to_string()).set(1.0);
        }
        for task in &self.settings.disabled_tasks {
            gauge!(DISABLED, "task" => task.to_string()).set(1.0);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn count(counts: Option<&BTreeMap<RunState, u64>>, state: RunState) -> f64 {
    counts
        .and_then(|counts| counts.get(&state))
        .copied()
        .unwrap_or_default() as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn of(count: usize) -> f64 {
    count as f64
}
