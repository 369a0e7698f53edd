//! Storing output, and what becomes of it while the broker is full.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Broker, BrokerError, LogBatch, LogLine, LogStream, RunId};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::outage::{Chore, Outage};

/// How long output that only a full broker refuses holds up the ends of attempts.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of how many attempts it is remembered that some was left out.
const REMEMBERED: usize = 10_000;

/// The output of one attempt that was left out.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    lines: u64,
    last_at: Timestamp,
}

/// Stores output. While the broker can't be reached it waits. A broker that takes ends but no output, because it is
/// full, is waited for ten seconds; then output is left out until there is room, and a line in its place says so.
#[derive(Debug)]
pub(crate) struct Output {
    backoff: Backoff,
    outage: Arc<Outage>,
    full_since: Option<Instant>,
    /// When the broker is asked again, while output is left out.
    ask_at: Instant,
    left_out: BTreeMap<(RunId, u32), LeftOut>,
    lines_left_out: u64,
}

impl Output {
    pub(crate) fn new(outage: &Arc<Outage>) -> Self {
        Self {
            backoff: Backoff::new(Chore::Output, outage),
            outage: outage.clone(),
            full_since: None,
            ask_at: Instant::now(),
            left_out: BTreeMap::new(),
            lines_left_out: 0,
        }
    }

    /// Waits until the broker may be asked whether it takes the notices of what was left out; forever if there are none.
    pub(crate) async fn notices_due(&self) {
        if self.left_out.is_empty() {
            return pending().await;
        }
        sleep_until(self.ask_at).await;
    }

    /// Stores lines, and the notices of what was left out before. Returns when they are stored or left out.
    pub(crate) async fn store(&mut self, broker: &dyn Broker, logs: Vec<LogBatch>) {
        if self.lines_left_out > 0 && Instant::now() < self.ask_at {
            return self.leave_out(&logs);
        }
        let mut batches = self.notices();
        batches.extend(logs.iter().cloned());
        if batches.is_empty() {
            return;
        }
        loop {
            match broker.append_logs(batches.clone()).await {
                Ok(()) => return self.stored(),
                Err(error) if error.is_transient() => {
                    let delay = self.backoff.failed(&error);
                    if self.is_given_up(&error) {
                        self.ask_at = Instant::now() + delay;
                        return self.leave_out(&logs);
                    }
                    sleep(delay).await;
                }
                Err(error) => return self.backoff.give_up(&error),
            }
        }
    }

    /// Whether output has been refused for so long that nothing else is to wait for it any longer. Where ends are
    /// refused as well nothing is gained by that.
    fn is_given_up(&mut self, error: &BrokerError) -> bool {
        if !matches!(error, BrokerError::Full { .. }) || self.outage.holds_up_runs() {
            self.full_since = None;
            return false;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        since.elapsed() >= PATIENCE
    }

    /// Stores the notices that are left, if the broker takes them now.
    pub(crate) async fn end(mut self, broker: &dyn Broker) {
        self.ask_at = Instant::now();
        self.store(broker, Vec::new()).await;
    }

    fn leave_out(&mut self, logs: &[LogBatch]) {
        if self.lines_left_out == 0 && !logs.is_empty() {
            tracing::warn!("output is left out until the broker has room again");
        }
        for LogBatch {
            run,
            attempt,
            lines,
        } in logs
        {
            let Some(last) = lines.last() else { continue };
            let count = lines.len() as u64;
            self.lines_left_out += count;
            let key = (*run, *attempt);
            if self.left_out.len() < REMEMBERED || self.left_out.contains_key(&key) {
                let left_out = self.left_out.entry(key).or_insert(LeftOut {
                    lines: 0,
                    last_at: last.at,
                });
                left_out.lines += count;
                left_out.last_at = last.at;
            }
        }
    }

    fn notices(&self) -> Vec<LogBatch> {
        let notice = |(&(run, attempt), left_out): (&(RunId, u32), &LeftOut)| LogBatch {
            run,
            attempt,
            lines: vec![LogLine {
                at: left_out.last_at,
                stream: LogStream::System,
                text: match left_out.lines {
                    1 => "a line of output is missing here: the broker was full".to_owned(),
                    lines => {
                        format!("{lines} lines of output are missing here: the broker was full")
                    }
                },
            }],
        };
        self.left_out.iter().map(notice).collect()
    }

    fn stored(&mut self) {
        self.full_since = None;
        self.left_out.clear();
        let lines = std::mem::take(&mut self.lines_left_out);
        if lines > 0 {
            tracing::warn!(lines, "output was left out while the broker was full");
        }
        self.backoff.succeeded();
    }
}
