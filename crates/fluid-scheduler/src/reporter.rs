//! Stores what running attempts tell: output, progress, where they run and why they don't yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fluid_core::{AttemptEvent, AttemptNews, Broker, LeaseRef, LogBatch, Report};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::outage::{Chore, Outage};
use crate::output::Output;

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
/// fills up and whoever prints has to wait. [`Output`] says what becomes of output while the broker is full.
///
/// The news of an attempt that flushes are left in `last`, except for its output.
pub(crate) async fn report(
    broker: &dyn Broker,
    mut news: mpsc::Receiver<AttemptEvent>,
    last: &LastReports,
    outage: &Arc<Outage>,
) {
    let mut output = Output::new(outage);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            received = news.recv_many(&mut batch, BATCH) => received,
            () = output.notices_due() => {
                output.store(broker, Vec::new()).await;
                continue;
            }
        };
        if received == 0 {
            break;
        }
        let deadline = Instant::now() + LINGER;
        while batch.len() < BATCH && batch.iter().all(can_wait) {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(deadline, news.recv_many(&mut batch, room)).await {
                Ok(received) if received > 0 => {}
                _ => break,
            }
        }
        let news = sort(&mut batch, last);
        if !news.logs.is_empty() {
            output.store(broker, news.logs).await;
        }
        if !news.reports.is_empty() {
            Backoff::new(Chore::Progress, outage)
                .until_done(|| broker.report(news.reports.clone()))
                .await;
        }
        for done in news.flushes {
            // The attempt may have been dropped meanwhile.
            let _ = done.send(());
        }
    }
    output.end(broker).await;
}

/// A batch of news by what is done with it.
struct News {
    logs: Vec<LogBatch>,
    reports: Vec<Report>,
    /// Who waits for all of this to be stored.
    flushes: Vec<oneshot::Sender<()>>,
}

fn can_wait(event: &AttemptEvent) -> bool {
    !matches!(event.what, AttemptNews::Flush(_))
}

fn sort(batch: &mut Vec<AttemptEvent>, last: &LastReports) -> News {
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
    News {
        logs: logs.into_values().collect(),
        reports: reports.into_values().collect(),
        flushes,
    }
}

fn of(reports: &mut HashMap<LeaseRef, Report>, lease: LeaseRef) -> &mut Report {
    reports.entry(lease).or_insert_with(|| Report::new(lease))
}
