//! The end of a consumer: wait for what runs, give back what is left.

use std::time::Duration;

use fluid_core::BrokerResult;
use tokio::time::{Instant, sleep_until};

use super::work::Work;

/// How long, beyond the grace of an execution, to wait for executions that were told to stop.
const STUBBORN: Duration = Duration::from_secs(5);

impl Work<'_> {
    /// Claims no more; returns when every run was finished or given back.
    pub(super) async fn drain(mut self) -> BrokerResult<()> {
        let config = &self.consumer.config;
        self.pulse.drain();
        self.give_back_claimed().await;
        self.active.hand_over(true);
        if !self.attempts.is_empty() {
            let seconds = config.drain_timeout.as_secs();
            tracing::info!(
                runs = self.attempts.len(),
                seconds,
                "waiting for runs to end"
            );
        }
        let deadline = Instant::now() + config.drain_timeout;
        self.until_idle(deadline, true).await?;
        if !self.attempts.is_empty() {
            tracing::info!(runs = self.attempts.len(), "giving runs back");
            self.active.hand_over(false);
            self.until_idle(Instant::now() + config.grace + STUBBORN, false)
                .await?;
        }
        match self.active.len() {
            0 => {}
            runs => tracing::warn!(
                runs,
                "stopped without having written how runs ended; others take them when their leases run out"
            ),
        }
        Ok(())
    }

    /// Writes what ends until nothing runs or the deadline passes.
    async fn until_idle(&mut self, deadline: Instant, may_be_forced: bool) -> BrokerResult<()> {
        let force = self.consumer.force.clone();
        loop {
            self.measure();
            if self.has_unwritten() {
                if let Some(rest_until) = self.take_rest() {
                    if rest_until > deadline {
                        return Ok(());
                    }
                    sleep_until(rest_until).await;
                }
                self.finish();
                self.until_written().await?;
                continue;
            }
            tokio::select! {
                biased;
                ended = self.attempts.join_next() => match ended {
                    Some(ended) => self.note(ended),
                    None => return Ok(()),
                },
                () = sleep_until(deadline) => return Ok(()),
                () = force.cancelled(), if may_be_forced => return Ok(()),
            }
        }
    }
}
