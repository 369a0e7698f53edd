//! Lets others know that a consumer is there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::TaskConsumer;
use super::active::ActiveRuns;

const EVERY: Duration = Duration::from_secs(10);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

impl TaskConsumer {
    pub(super) async fn be_present(
        &self,
        active: &ActiveRuns,
        draining: &CancellationToken,
        over: &CancellationToken,
    ) {
        let broker = self.manager.broker();
        while !over.is_cancelled() {
            let stops = draining.is_cancelled();
            let info = self.info(active.len(), stops);
            if let Err(error) = broker.heartbeat(info, FORGOTTEN_AFTER).await {
                tracing::debug!(%error, "could not say that this consumer lives");
            }
            tokio::select! {
                biased;
                () = over.cancelled() => break,
                () = draining.cancelled(), if !stops => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        if let Err(error) = broker.farewell(self.config.id.clone()).await {
            tracing::debug!(%error, "could not say that this consumer stopped");
        }
    }
}
