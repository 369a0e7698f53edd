//! What is waited for before, in and after a storm.

use std::time::Duration;

use fluid_core::{Broker, BrokerResult, RunFilter, RunState, TaskRun};
use tokio::time::{Instant, sleep, timeout};

/// More runs than are ever running at once.
const MANY: usize = 200;
/// Between two looks at what changes fast.
const SOON: Duration = Duration::from_millis(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until each schedule has ticked at least once.
pub(crate) async fn until_ticked(
    broker: &dyn Broker,
    schedules: usize,
    within: Duration,
) -> Result<(), String> {
    until(within, "no tick", async || {
        Ok(broker.last_ticks().await?.len() >= schedules)
    })
    .await
}

/// Waits until each schedule has ticked after the instant that it is now.
pub(crate) async fn until_ticks_go_on(broker: &dyn Broker, within: Duration) -> Result<(), String> {
    let now = broker.now().await.map_err(|error| error.to_string())?;
    until(within, "ticks don't go on", async || {
        let last = broker.last_ticks().await?;
        Ok(last.values().all(|last| *last >= now))
    })
    .await
}

/// Waits until every run has ended.
pub(crate) async fn until_all_ended(broker: &dyn Broker, within: Duration) -> Result<(), String> {
    let waiting = RunState::ALL
        .into_iter()
        .filter(|state| !state.is_terminal());
    let waiting: Vec<RunState> = waiting.collect();
    let ended = until(within, "not all runs ended", async || {
        let stats = broker.stats().await?;
        Ok(waiting.iter().all(|state| stats.count(*state) == 0))
    });
    let Err(how) = ended.await else {
        return Ok(());
    };
    let left = broker.stats().await.map(|stats| stats.queues);
    Err(format!("{how}: {left:?}"))
}

/// Waits until a consumer is at some run; not for long, as it is only a better moment for what comes.
pub(crate) async fn until_busy(broker: &dyn Broker, consumer: &str, within: Duration) {
    let running = RunFilter {
        states: vec![RunState::Running],
        ..RunFilter::default()
    };
    let busy = async {
        loop {
            let page = broker.list(running.clone(), None, MANY).await;
            let is_its = |run: &TaskRun| {
                run.consumer
                    .as_ref()
                    .is_some_and(|c| c.as_str() == consumer)
            };
            if page.is_ok_and(|page| page.runs.iter().any(is_its)) {
                return;
            }
            sleep(SOON).await;
        }
    };
    let _ = timeout(within, busy).await;
}

async fn until(
    within: Duration,
    otherwise: &str,
    mut is_so: impl AsyncFnMut() -> BrokerResult<bool>,
) -> Result<(), String> {
    let deadline = Instant::now() + within;
    loop {
        let answer = is_so().await;
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let said = answer
                .err()
                .map_or_else(String::new, |error| format!(": {error}"));
            return Err(format!("{otherwise} within {} s{said}", within.as_secs()));
        }
        sleep(LOOK_EVERY).await;
    }
}
