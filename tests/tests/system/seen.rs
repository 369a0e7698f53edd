//! A broker seen from outside the processes that work on it.

use std::path::Path;
use std::time::Duration;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, RunFilter, RunState, TaskRun};
use fluid_system_tests::DEADLINE;

/// Opens the broker file of a workplace.
pub(crate) async fn open(path: &Path) -> SqliteBroker {
    SqliteBroker::open(SqliteOptions::new(path)).await.unwrap()
}

/// All runs in one of these states.
pub(crate) async fn runs(broker: &dyn Broker, states: &[RunState]) -> Vec<TaskRun> {
    let filter = RunFilter {
        states: states.to_vec(),
        ..RunFilter::default()
    };
    broker.list(filter, None, 100_000).await.unwrap().runs
}

/// Waits until something about the broker is so; an event says when to look again.
pub(crate) async fn until<T>(
    broker: &dyn Broker,
    what: &str,
    mut is_so: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut events = broker.subscribe();
    let wait = async {
        loop {
            if let Some(value) = is_so().await {
                return value;
            }
            // Events are hints: look again anyway after a second.
            let _ = tokio::time::timeout(Duration::from_secs(1), events.recv()).await;
        }
    };
    let Ok(value) = tokio::time::timeout(DEADLINE, wait).await else {
        panic!(
            "not in time: {what}; there is {:?}",
            broker.stats().await.unwrap().tasks
        );
    };
    value
}

/// Waits until this many runs are finished.
pub(crate) async fn until_finished(broker: &dyn Broker, count: usize) {
    until(broker, &format!("{count} runs are finished"), async || {
        let stats = broker.stats().await.unwrap();
        let finished: u64 = RunState::ALL
            .into_iter()
            .filter(|state| state.is_terminal())
            .map(|state| stats.count(state))
            .sum();
        (finished >= count as u64).then_some(())
    })
    .await;
}
