//! Runs through fluid itself: requested at a [`TaskManager`], carried out inline by [`TaskConsumer`]s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use fluid_core::{
    Broker, ExecutorKind, JsonText, QueueRequest, RunState, Task, TaskContext, TaskError, TaskName,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Failure, store};

/// How many runs a request, a claim or an end is for.
pub(crate) const BATCH: usize = 500;

/// How often it is looked whether all ends were written, if nothing tells.
const LOOK: Duration = Duration::from_millis(5);

/// What runs have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Everything but their ids.
    Alike,
    /// Each has parameters and a result of its own.
    Each,
}

impl Load {
    /// The parameters of one.
    pub(crate) fn params(self, number: usize) -> String {
        match self {
            Self::Alike => "{}".to_owned(),
            Self::Each => format!("{{\"number\":{number}}}"),
        }
    }

    fn requests(self, name: &TaskName, count: usize) -> Vec<QueueRequest> {
        let params = |number| JsonText::trusted(self.params(number));
        (0..count)
            .map(|number| QueueRequest::new(name.clone(), params(number)))
            .collect()
    }
}

/// A process's part: a broker, and the task, which gives back its parameters.
struct Member {
    broker: Arc<dyn Broker>,
    manager: TaskManager,
    task: TaskName,
}

impl Member {
    /// With a broker, and so connections, of its own.
    async fn join(url: &str, executed: &Arc<Semaphore>) -> Result<Self, Failure> {
        let broker = store::open(url).await?;
        let executed = Arc::clone(executed);
        let echo = Task::function("echo", move |ctx: TaskContext<Value>| {
            executed.add_permits(1);
            async move { Ok::<_, TaskError>(ctx.params) }
        })?;
        let manager = TaskManager::builder()
            .broker(broker.clone())
            .task(echo)
            .build()?;
        let task = TaskName::parse("echo")?;
        Ok(Self {
            broker,
            manager,
            task,
        })
    }

    /// A consumer whose claims are of [`BATCH`] runs: it claims for half of its slots at once.
    fn consumer(&self) -> TaskConsumer {
        let mut config = ConsumerConfig::default();
        config.max_concurrent_tasks = 2 * BATCH;
        let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
        TaskConsumer::new(self.manager.clone(), executors, config)
    }

    async fn until_written(&self, runs: usize) -> Result<(), Failure> {
        let runs = u64::try_from(runs)?;
        let mut events = self.broker.subscribe();
        while self.broker.stats().await?.count(RunState::Success) < runs {
            let _ = tokio::time::timeout(LOOK, events.recv()).await;
        }
        Ok(())
    }
}

/// Requests runs one after the other, each answered before the next.
pub(crate) async fn one_by_one(url: &str, load: Load, runs: usize) -> Result<Duration, Failure> {
    let member = Member::join(url, &Arc::new(Semaphore::new(0))).await?;
    let requests = load.requests(&member.task, runs);
    let begin = Instant::now();
    for request in requests {
        member.manager.queue_request(request).await?;
    }
    Ok(begin.elapsed())
}

/// Requests runs in batches, then has so many consumers carry them out until the last end is written.
pub(crate) async fn enqueue_and_drain(
    url: &str,
    load: Load,
    runs: usize,
    consumers: usize,
) -> Result<(Duration, Duration), Failure> {
    let executed = Arc::new(Semaphore::new(0));
    let mut members = Vec::new();
    for _ in 0..consumers {
        members.push(Member::join(url, &executed).await?);
    }
    let first = members.first().ok_or("there is no consumer")?;

    let mut requests = load.requests(&first.task, runs);
    let begin = Instant::now();
    while !requests.is_empty() {
        let rest = requests.split_off(requests.len().min(BATCH));
        let batch = std::mem::replace(&mut requests, rest);
        first.manager.queue_many(batch).await?;
    }
    let enqueue = begin.elapsed();

    let stop = CancellationToken::new();
    let mut work = JoinSet::new();
    let begin = Instant::now();
    for member in &members {
        let (consumer, stopped) = (member.consumer(), stop.clone());
        work.spawn(async move { consumer.run(stopped).await });
    }
    let _all = executed.acquire_many(u32::try_from(runs)?).await?;
    first.until_written(runs).await?;
    let drain = begin.elapsed();
    stop.cancel();
    while let Some(ended) = work.join_next().await {
        ended??;
    }
    Ok((enqueue, drain))
}
