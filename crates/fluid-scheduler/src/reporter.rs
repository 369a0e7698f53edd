//! Stores what running attempts tell: output, progress, where they run and why they don't yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::{AttemptEvent, AttemptNews, Broker, LeaseRef, LogBatch, Report};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// How many pieces of news are stored in one go.
const BATCH: usize = 1024;
/// How long news may wait for others, so that chatty tasks don't cost a write each line, and short ones none but that
/// of their end.
const LINGER: Duration = Duration::from_millis(10);

/// What attempts told last, to be written together with their ends.
#[derive(Debug, Default)]
pub(crate) struct LastReports(Mutex<HashMap<LeaseRef, Report>>);

impl LastReports {
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, report: Report) {
        self.lock().insert(report.lease, report);
    }

    /// The report of an attempt that has ended.
    pub(crate) fn take(&self, lease: LeaseRef) -> Option<Report> {
        self.lock().remove(&lease)
    }
}

/// Stores news until every sender is gone. Nothing is dropped while the broker can't be reached: the channel
/// fills up and whoever prints has to wait.
///
/// The news of an attempt that flushes are left in `last`, except for its output.
pub(crate) async fn report(
    broker: &dyn Broker,
    mut news: mpsc::Receiver<AttemptEvent>,
    last: &LastReports,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while news.recv_many(&mut batch, BATCH).await > 0 {
        let deadline = Instant::now() + LINGER;
        while batch.len() < BATCH && batch.iter().all(can_wait) {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(deadline, news.recv_many(&mut batch, room)).await {
                Ok(received) if received > 0 => {}
                _ => break,
            }
        }
        store(broker, &mut batch, last).await;
    }
}

fn can_wait(event: &AttemptEvent) -> bool {
    !matches!(event.what, AttemptNews::Flush(_))
}

async fn store(broker: &dyn Broker, batch: &mut Vec<AttemptEvent>, last: &LastReports) {
    let mut logs: HashMap<LeaseRef, LogBatch> = HashMap::new();
    let mut reports: HashMap<LeaseRef, Report> = HashMap::new();
    let mut flushes = Vec::new();
    for AttemptEvent {
        lease,
        attempt,
        what,
    } in batch.drain(..)
    {
        match what {
            AttemptNews::Output(line) => {
                let empty = || LogBatch {
                    run: lease.run,
                    attempt,
                    lines: Vec::new(),
                };
                logs.entry(lease).or_insert_with(empty).lines.push(line);
            }
            AttemptNews::Progress(progress) => of(&mut reports, lease).progress = Some(progress),
            AttemptNews::Execution(place) => of(&mut reports, lease).execution = Some(place),
            AttemptNews::Waiting(why) => of(&mut reports, lease).waiting = Some(why),
            AttemptNews::Flush(done) => {
                if let Some(report) = reports.remove(&lease) {
                    last.put(report);
                }
                flushes.push(done);
            }
        }
    }
    let logs: Vec<_> = logs.into_values().collect();
    if !logs.is_empty() {
        let what = "storing output";
        Backoff::new(what)
            .until_done(|| broker.append_logs(logs.clone()))
            .await;
    }
    let reports: Vec<_> = reports.into_values().collect();
    if !reports.is_empty() {
        let what = "storing progress";
        Backoff::new(what)
            .until_done(|| broker.report(reports.clone()))
            .await;
    }
    for done in flushes {
        // The attempt may have been dropped meanwhile.
        let _ = done.send(());
    }
}

fn of(reports: &mut HashMap<LeaseRef, Report>, lease: LeaseRef) -> &mut Report {
    reports.entry(lease).or_insert_with(|| Report::new(lease))
}
