//! A consumer that stops leaves no run behind, whatever it and the broker were at.

use std::sync::Arc;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, ExecutorKind, JsonText, QueueRequest, RunState, Task, TaskContext, TaskError, TaskName,
};
use fluid_exec_local::InlineExecutor;
use fluid_scheduler::{ConsumerConfig, Executors, TaskConsumer, TaskManager};
use tokio_util::sync::CancellationToken;

const RUNS: u64 = 20_000;
/// Fewer events than this many runs bring are waited for before each stop.
const ENOUGH: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_stops_gives_back_what_its_last_claims_bring() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("fluid.db"));
    let broker = Arc::new(SqliteBroker::open(options).await.unwrap());
    let noop = Task::function("noop", |_: TaskContext| async { Ok::<_, TaskError>(()) }).unwrap();
    let manager = TaskManager::builder()
        .broker(broker.clone())
        .task(noop)
        .build()
        .unwrap();
    let name = TaskName::parse("noop").unwrap();
    let requests = (0..RUNS).map(|_| QueueRequest::new(name.clone(), JsonText::empty_object()));
    manager.queue_many(requests).await.unwrap();

    let (mut stops, mut waiting) = (0, RUNS);
    while waiting > ENOUGH {
        let mut config = ConsumerConfig::default();
        config.max_concurrent_tasks = 200;
        let executors = Executors::new(ExecutorKind::Inline).with(Arc::new(InlineExecutor));
        let consumer = TaskConsumer::new(manager.clone(), executors, config);
        let stop = CancellationToken::new();
        let mut events = broker.subscribe();
        let work = {
            let stop = stop.clone();
            tokio::spawn(async move { consumer.run(stop).await })
        };
        // It is told to stop in the midst of its work.
        for _ in 0..=stops * 7 % 300 {
            let _ = events.recv().await;
        }
        stop.cancel();
        work.await.unwrap().unwrap();
        stops += 1;
        let stats = broker.stats().await.unwrap();
        assert_eq!(stats.count(RunState::Running), 0, "after stop {stops}");
        waiting = stats.count(RunState::Queued);
        assert_eq!(waiting + stats.count(RunState::Success), RUNS);
    }
    let runs = crate::seen::runs(&*broker, &[]).await;
    let given_back: u32 = runs.iter().map(|run| run.attempt.saturating_sub(1)).sum();
    println!("{stops} stops; {given_back} times a run was claimed and given back");
    assert!(stops > 5 && given_back > 0);
    assert!(runs.iter().all(|run| run.interruptions == 0));
}
