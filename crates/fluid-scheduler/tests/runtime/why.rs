//! fluid always says why a run is not running.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Due, QueueName, TaskRun};
use fluid_scheduler::TaskManager;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::stage::{AtWork, DEADLINE, manager, name, queue, request, task};

async fn why(manager: &TaskManager, run: fluid_core::RunId) -> String {
    let record: TaskRun = manager.broker().get(run).await.unwrap().unwrap();
    manager
        .why_waiting(&record)
        .await
        .unwrap()
        .expect("it waits")
}

#[tokio::test]
async fn each_cause_has_its_own_sentence() {
    let started = Arc::new(Semaphore::new(0));
    let note = started.clone();
    let busy = task("busy", move |ctx| {
        let note = note.clone();
        async move {
            note.add_permits(1);
            ctx.cancelled().cancelled().await;
            Ok(())
        }
    });
    let manager = manager([busy.max_concurrency(1)]);
    let broker = manager.broker().clone();

    let run = queue(&manager, "busy").await;
    assert_eq!(
        why(&manager, run).await,
        "no consumer is running: start one with `serve`"
    );

    broker.set_task_enabled(name("busy"), false).await.unwrap();
    assert_eq!(why(&manager, run).await, "task \"busy\" is disabled");
    broker
        .set_queue_paused(QueueName::default(), true)
        .await
        .unwrap();
    assert_eq!(why(&manager, run).await, "queue \"default\" is paused");
    broker
        .set_queue_paused(QueueName::default(), false)
        .await
        .unwrap();
    broker.set_task_enabled(name("busy"), true).await.unwrap();

    let consumer = AtWork::start(&manager);
    tokio::time::timeout(DEADLINE, started.acquire())
        .await
        .unwrap()
        .unwrap()
        .forget();
    let second = queue(&manager, "busy").await;
    assert_eq!(
        why(&manager, second).await,
        "1 of at most 1 runs of task \"busy\" are running"
    );

    let elsewhere = request("busy", json!({})).queue(QueueName::parse("gpu").unwrap());
    let elsewhere = manager.queue_request(elsewhere).await.unwrap().run();
    assert_eq!(
        why(&manager, elsewhere).await,
        "none of 1 consumer takes from queue \"gpu\""
    );

    let later = request("busy", json!({})).due(Due::After(Duration::from_secs(60)));
    let later = manager.queue_request(later).await.unwrap().run();
    assert!(why(&manager, later).await.starts_with("it is due at "));

    let record = broker.get(run).await.unwrap().unwrap();
    assert_eq!(manager.why_waiting(&record).await.unwrap(), None, "it runs");
    manager.cancel(run).await.unwrap();
    manager.cancel(second).await.unwrap();
    consumer.stop().await;
}
