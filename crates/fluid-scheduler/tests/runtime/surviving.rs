//! Executions that outlive their consumer are handed over and adopted, never started twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptOutcome, Execution, Executor, ExecutorKind, JsonText, Outcome, RawContext, RunError,
    RunId, RunState, Task,
};
use fluid_scheduler::{ConsumerConfig, MemoryBroker};
use fluid_testing::ManualClock;
use tokio::sync::watch;

use crate::stage::{AtWork, DEADLINE, ended, manager_on, queue, task};

type Key = (RunId, u32);

/// Stands for a cluster: executions live here, not in the consumer.
#[derive(Debug, Default)]
struct Cluster {
    started: Mutex<HashMap<Key, watch::Sender<Option<Outcome>>>>,
    adoptions: Mutex<usize>,
    changed: tokio::sync::Notify,
}

impl Cluster {
    fn end(&self, outcome: &Outcome) {
        for execution in self.started.lock().unwrap().values() {
            execution.send_replace(Some(outcome.clone()));
        }
    }

    async fn until_adopted(&self, times: usize) {
        let wait = async {
            while *self.adoptions.lock().unwrap() < times {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(DEADLINE, wait)
            .await
            .expect("it is adopted in time");
    }
}

#[derive(Debug)]
struct ClusterExecutor(Arc<Cluster>);

struct Adopted(watch::Receiver<Option<Outcome>>, Arc<Cluster>, Key);

#[async_trait]
impl Executor for ClusterExecutor {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Inline
    }
    fn survives_consumer(&self) -> bool {
        true
    }
    async fn start(
        &self,
        _: Arc<Task>,
        context: RawContext,
    ) -> Result<Box<dyn Execution>, RunError> {
        let key = (context.run().id, context.run().attempt);
        let receiver = {
            let mut started = self.0.started.lock().unwrap();
            started
                .entry(key)
                .or_insert_with(|| watch::channel(None).0)
                .subscribe()
        };
        *self.0.adoptions.lock().unwrap() += 1;
        self.0.changed.notify_one();
        Ok(Box::new(Adopted(receiver, self.0.clone(), key)))
    }
}

#[async_trait]
impl Execution for Adopted {
    async fn outcome(&mut self) -> Outcome {
        let ended = self.0.wait_for(Option::is_some).await.unwrap();
        ended.clone().unwrap()
    }
    async fn cancel(&mut self, _: Duration) {
        let started = self.1.started.lock().unwrap();
        started[&self.2].send_replace(Some(Outcome::Cancelled));
    }
}

fn job() -> Task {
    task("job", |_| async { Ok(()) })
}

#[tokio::test]
async fn a_consumer_that_stops_hands_its_execution_over_at_once() {
    let cluster = Arc::new(Cluster::default());
    let manager = manager_on(Arc::new(MemoryBroker::new()), [job()]);
    let executor = || Arc::new(ClusterExecutor(cluster.clone()));
    let first = AtWork::with(&manager, ConsumerConfig::default(), executor());
    let run = queue(&manager, "job").await;
    cluster.until_adopted(1).await;
    first.stop().await;

    let second = AtWork::with(&manager, ConsumerConfig::default(), executor());
    cluster.until_adopted(2).await;
    cluster.end(&Outcome::Success(JsonText::null()));
    let record = ended(&manager, run).await;
    assert_eq!(
        (record.state, record.attempt, record.interruptions),
        (RunState::Success, 1, 0)
    );
    assert_eq!(cluster.started.lock().unwrap().len(), 1, "one execution");
    let attempts = manager.broker().attempts(run).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Success);
    second.stop().await;
}

#[tokio::test]
async fn an_execution_whose_consumer_died_is_adopted_when_the_lease_ends() {
    let clock = ManualClock::new();
    let cluster = Arc::new(Cluster::default());
    let manager = manager_on(
        Arc::new(MemoryBroker::with_clock(Arc::new(clock.clone()))),
        [job()],
    );
    let executor = || Arc::new(ClusterExecutor(cluster.clone()));
    let first = AtWork::with(&manager, ConsumerConfig::default(), executor());
    let run = queue(&manager, "job").await;
    cluster.until_adopted(1).await;
    first.kill().await;
    clock.advance(Duration::from_secs(31));

    let second = AtWork::with(&manager, ConsumerConfig::default(), executor());
    cluster.until_adopted(2).await;
    cluster.end(&Outcome::Success(JsonText::null()));
    let record = ended(&manager, run).await;
    assert_eq!((record.state, record.attempt), (RunState::Success, 1));
    assert_eq!(cluster.started.lock().unwrap().len(), 1, "one execution");
    second.stop().await;
}

#[tokio::test]
async fn an_execution_that_was_cancelled_while_nobody_watched_is_cancelled_by_the_next_consumer() {
    let cluster = Arc::new(Cluster::default());
    let manager = manager_on(Arc::new(MemoryBroker::new()), [job()]);
    let executor = || Arc::new(ClusterExecutor(cluster.clone()));
    let first = AtWork::with(&manager, ConsumerConfig::default(), executor());
    let run = queue(&manager, "job").await;
    cluster.until_adopted(1).await;
    first.stop().await;
    assert_eq!(
        manager.cancel(run).await.unwrap(),
        fluid_core::Cancelled::Requested
    );
    let second = AtWork::with(&manager, ConsumerConfig::default(), executor());
    assert_eq!(ended(&manager, run).await.state, RunState::Aborted);
    second.stop().await;
}
