//! Consumers that live, and those that are forgotten.

use std::time::Duration;

use fluid_core::{ConsumerInfo, ConsumerTask, ExecutorKind};

use super::stage::{Stage, consumer, queue, task};

const TTL: Duration = Duration::from_secs(30);

fn info(stage: &Stage<'_>, name: &str) -> ConsumerInfo {
    ConsumerInfo {
        id: consumer(name),
        queues: vec![queue("fast"), queue("default")],
        tasks: vec![ConsumerTask {
            name: task("resize"),
            executor: ExecutorKind::Subprocess,
            max_concurrency: 2,
            schedule: Some("every 5m".to_owned()),
        }],
        max_concurrent_tasks: 8,
        running: 3,
        draining: false,
        host: "host-1".to_owned(),
        pid: 4711,
        http: Some("http://127.0.0.1:7373/".to_owned()),
        version: "0.1.0".to_owned(),
        started_at: stage.in_seconds(-100),
        // The broker knows better.
        seen_at: stage.in_seconds(-5000),
    }
}

async fn alive(stage: &Stage<'_>) -> Vec<String> {
    let consumers = stage.broker.consumers().await.unwrap();
    consumers.iter().map(|c| c.id.as_str().to_owned()).collect()
}

pub(super) async fn a_consumer_is_known_as_it_told_of_itself(stage: Stage<'_>) {
    assert_eq!(stage.broker.consumers().await.unwrap(), []);
    let told = info(&stage, "worker-1");
    stage.broker.heartbeat(told.clone(), TTL).await.unwrap();
    let known = ConsumerInfo {
        seen_at: stage.now(),
        ..told
    };
    let other = stage.harness.open().await;
    assert_eq!(other.consumers().await.unwrap(), [known]);
}

pub(super) async fn the_latest_heartbeat_stands(stage: Stage<'_>) {
    let mut told = info(&stage, "worker-1");
    stage.broker.heartbeat(told.clone(), TTL).await.unwrap();
    stage.advance(Duration::from_secs(10));
    (told.running, told.draining) = (0, true);
    stage.broker.heartbeat(told.clone(), TTL).await.unwrap();
    let known = ConsumerInfo {
        seen_at: stage.now(),
        ..told
    };
    assert_eq!(stage.broker.consumers().await.unwrap(), [known]);
}

pub(super) async fn a_silent_consumer_is_forgotten(stage: Stage<'_>) {
    for name in ["worker-1", "worker-2"] {
        stage
            .broker
            .heartbeat(info(&stage, name), TTL)
            .await
            .unwrap();
    }
    stage.advance(TTL - Duration::from_millis(1));
    assert_eq!(alive(&stage).await, ["worker-1", "worker-2"]);
    stage
        .broker
        .heartbeat(info(&stage, "worker-2"), TTL)
        .await
        .unwrap();
    stage.advance(Duration::from_millis(1));
    assert_eq!(alive(&stage).await, ["worker-2"]);
    stage
        .broker
        .heartbeat(info(&stage, "worker-1"), TTL)
        .await
        .unwrap();
    assert_eq!(alive(&stage).await, ["worker-1", "worker-2"]);
}

pub(super) async fn a_consumer_that_stopped_is_forgotten_at_once(stage: Stage<'_>) {
    for name in ["worker-2", "worker-1", "worker-3"] {
        stage
            .broker
            .heartbeat(info(&stage, name), TTL)
            .await
            .unwrap();
    }
    stage.broker.farewell(consumer("worker-2")).await.unwrap();
    stage.broker.farewell(consumer("nobody")).await.unwrap();
    assert_eq!(alive(&stage).await, ["worker-1", "worker-3"]);
}
