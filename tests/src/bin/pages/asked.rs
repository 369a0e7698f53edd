//! What pages ask of a broker, and the pages themselves, with several clients at once.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluid_core::{Broker, QueueName, RunFilter, RunState, Task, TaskContext, TaskError};
use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::TaskManager;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Failure, fill};

const CLIENTS: usize = 8;
/// How often each client asks.
const TIMES: usize = 25;
/// For 95 of 100 answers.
const BOUND: Duration = Duration::from_millis(100);
/// How many runs a page shows.
const PAGE: usize = 50;

/// The pages and lists, below the address.
const PATHS: &[&str] = &["/ui/", "/api/v1/tasks", "/readyz"];

/// What pages ask for, by itself.
pub(crate) async fn broker(broker: &Arc<dyn Broker>) -> Result<bool, Failure> {
    let mut holds = {
        let broker = broker.clone();
        several("stats", move || {
            let broker = broker.clone();
            async move { broker.stats().await.map(drop).map_err(Failure::from) }
        })
        .await?
    };
    for (what, filter) in filters(&**broker).await? {
        let broker = broker.clone();
        let list = move || {
            let (broker, filter) = (broker.clone(), filter.clone());
            async move {
                let page = broker.list(filter, None, PAGE).await;
                page.map(drop).map_err(Failure::from)
            }
        };
        holds &= several(what, list).await?;
    }
    Ok(holds)
}

async fn filters(broker: &dyn Broker) -> Result<Vec<(&'static str, RunFilter)>, Failure> {
    let now = broker.now().await?;
    let hour = Duration::from_secs(3600);
    let all = RunFilter::default;
    let (task, queue) = (fill::task(7)?, QueueName::parse("queue-2")?);
    // No run is of both: numbers that are 7 modulo 20 are 3 modulo 4.
    let nowhere = RunFilter {
        tasks: vec![task.clone()],
        queues: vec![queue.clone()],
        ..all()
    };
    let failed = vec![RunState::Failure];
    Ok(vec![
        ("list", all()),
        (
            "list state=failure",
            RunFilter {
                states: failed.clone(),
                ..all()
            },
        ),
        (
            "list state=queued",
            RunFilter {
                states: vec![RunState::Queued],
                ..all()
            },
        ),
        (
            "list state=running",
            RunFilter {
                states: vec![RunState::Running],
                ..all()
            },
        ),
        (
            "list state=aborted",
            RunFilter {
                states: vec![RunState::Aborted],
                ..all()
            },
        ),
        (
            "list task",
            RunFilter {
                tasks: vec![task.clone()],
                ..all()
            },
        ),
        (
            "list task state=failure",
            RunFilter {
                tasks: vec![task],
                states: failed.clone(),
                ..all()
            },
        ),
        (
            "list queue",
            RunFilter {
                queues: vec![queue.clone()],
                ..all()
            },
        ),
        (
            "list queue state=failure",
            RunFilter {
                queues: vec![queue],
                states: failed,
                ..all()
            },
        ),
        ("list task queue, none", nowhere),
        (
            "list queue, unknown",
            RunFilter {
                queues: vec![QueueName::parse("nowhere")?],
                ..all()
            },
        ),
        (
            "list since=1h",
            RunFilter {
                created_from: Some(now - hour),
                ..all()
            },
        ),
        (
            "list until=23h",
            RunFilter {
                created_before: Some(now - hour * 23),
                ..all()
            },
        ),
        (
            "list until=25h, none",
            RunFilter {
                created_before: Some(now - hour * 25),
                ..all()
            },
        ),
    ])
}

/// The pages over HTTP.
pub(crate) async fn pages(broker: Arc<dyn Broker>) -> Result<bool, Failure> {
    let nothing = async |_: TaskContext| Ok::<_, TaskError>(());
    let tasks = (0..fill::TASKS)
        .map(|number| Task::function(fill::task(number)?.as_str(), nothing).map_err(Failure::from));
    let manager = TaskManager::builder()
        .broker(broker)
        .tasks(tasks.collect::<Result<Vec<_>, _>>()?)
        .build()?;
    let mut options = HttpOptions::default();
    // All clients are one address here.
    options.limits.rate = u32::MAX / 2;
    let server = Server::bind(([127, 0, 0, 1], 0).into(), routes(manager, options)).await?;
    let address = server.address()?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(stop.clone()));
    let client = reqwest::Client::new();
    let mut holds = true;
    for path in PATHS {
        let url = format!("http://{address}{path}");
        let get = || {
            let get = client.get(&url).send();
            async move {
                let answer = get.await?.error_for_status()?;
                answer.bytes().await?;
                Ok(())
            }
        };
        holds &= several(path, get).await?;
    }
    stop.cancel();
    serving.await?;
    Ok(holds)
}

/// Asks with all clients at once; whether 95 of 100 answers came within the bound.
async fn several<F>(what: &str, ask: impl Fn() -> F) -> Result<bool, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    ask().await?;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let asks: Vec<F> = (0..TIMES).map(|_| ask()).collect();
        clients.spawn(async move {
            let mut took = Vec::with_capacity(TIMES);
            for ask in asks {
                let since = Instant::now();
                ask.await?;
                took.push(since.elapsed());
            }
            Ok::<_, Failure>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(client) = clients.join_next().await {
        took.extend(client??);
    }
    took.sort_unstable();
    let (median, most) = (took[took.len() / 2], took[took.len() * 95 / 100]);
    let holds = most <= BOUND;
    let verdict = if holds {
        ""
    } else {
        "   MISSED: more than 100 ms"
    };
    println!(
        "  {what:<28} p50 {:>8.1} ms   p95 {:>8.1} ms{verdict}",
        median.as_secs_f64() * 1e3,
        most.as_secs_f64() * 1e3
    );
    Ok(holds)
}
