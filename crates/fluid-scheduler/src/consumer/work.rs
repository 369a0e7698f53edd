//! The loop of a consumer: write what ended, claim what is due, start it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    AttemptEvent, AttemptIo, BrokerError, BrokerResult, ChildQueue, ClaimRequest, Claimed,
    ErrorKind, Event, Finish, Finished, LeaseRef, LeaseToken, RawContext, Report, RunError,
    StoredOutput, TaskLimits, TaskRun,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::active::ActiveRuns;
use super::{TaskConsumer, stored};
use crate::attempt::{Plan, carry_out};
use crate::backoff::Backoff;
use crate::manager::TaskManager;
use crate::reporter::LastReports;

/// An attempt that ended and what to write of it; `None` when its lease was lost.
type Ended = (LeaseRef, Option<Finish>);

/// What the loop knows between two rounds.
pub(super) struct Work<'a> {
    pub(super) consumer: &'a TaskConsumer,
    pub(super) active: &'a ActiveRuns,
    last: &'a LastReports,
    news: mpsc::Sender<AttemptEvent>,
    children: Arc<dyn ChildQueue>,
    pub(super) attempts: JoinSet<Ended>,
    /// Ended, and not written yet.
    ended: Vec<(LeaseRef, Finish)>,
    /// What they told last, to be written with it.
    reports: Vec<Report>,
    /// There may be something to claim.
    look: bool,
    /// The broker said, or the poll interval says, to look again then.
    look_at: Instant,
    /// The broker failed: leave it alone until then.
    rest_until: Option<Instant>,
    claiming: Backoff,
    finishing: Backoff,
}

impl TaskConsumer {
    pub(super) async fn work(
        &self,
        stop: &CancellationToken,
        active: &ActiveRuns,
        last: &LastReports,
        news: mpsc::Sender<AttemptEvent>,
    ) -> BrokerResult<()> {
        let mut events = self.manager.broker().subscribe();
        let mut work = Work {
            consumer: self,
            active,
            last,
            news,
            children: Arc::new(self.manager.clone()),
            attempts: JoinSet::new(),
            ended: Vec::new(),
            reports: Vec::new(),
            look: true,
            look_at: Instant::now(),
            rest_until: None,
            claiming: Backoff::new("claiming runs"),
            finishing: Backoff::new("writing results"),
        };
        while !stop.is_cancelled() {
            work.wait(stop, &mut events).await;
            work.gather(&mut events).await;
            let limit = if stop.is_cancelled() || !work.look {
                0
            } else {
                work.free()
            };
            work.round(limit).await?;
        }
        work.drain().await
    }
}

impl Work<'_> {
    fn free(&self) -> usize {
        let busy = self.attempts.len();
        self.consumer
            .config
            .max_concurrent_tasks
            .saturating_sub(busy)
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, stop: &CancellationToken, events: &mut broadcast::Receiver<Event>) {
        if let Some(rest_until) = self.rest_until.take() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(rest_until) => {}
            }
            return;
        }
        while self.ended.is_empty() && !(self.look && self.free() > 0) {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = self.attempts.join_next() => self.note(ended),
                () = sleep_until(self.look_at), if !self.look => self.look = true,
                event = events.recv(), if !self.look => match event {
                    Ok(event) => self.look |= wakes(&event, &self.consumer.limits),
                    Err(RecvError::Lagged(_)) => self.look = true,
                    Err(RecvError::Closed) => {
                        self.look_at = Instant::now() + self.consumer.config.poll;
                        sleep_until(self.look_at).await;
                        self.look = true;
                    }
                },
            }
        }
    }

    /// Takes what else ended or happened meanwhile. While attempts that are about to end do so, it lets them: one
    /// round for many of them costs little more than one for each.
    async fn gather(&mut self, events: &mut broadcast::Receiver<Event>) {
        loop {
            let before = self.ended.len();
            while let Some(ended) = self.attempts.try_join_next() {
                self.note(ended);
            }
            if self.ended.len() == before || self.attempts.is_empty() {
                break;
            }
            yield_now().await;
        }
        loop {
            match events.try_recv() {
                Ok(event) => self.look |= wakes(&event, &self.consumer.limits),
                Err(TryRecvError::Lagged(_)) => self.look = true,
                Err(_) => break,
            }
        }
    }

    pub(super) fn note(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok((lease, Some(finish))) => {
                self.ended.push((lease, finish));
                self.reports.extend(self.last.take(lease));
            }
            Ok((lease, None)) => {
                self.last.take(lease);
                tracing::warn!(run_id = %lease.run, "the lease was lost; another consumer has the run");
                self.active.remove(lease);
            }
            // Attempts catch their panics and are only aborted with the whole set.
            Err(error) => tracing::error!(%error, "an attempt vanished"),
        }
    }

    /// Writes what ended and claims at most `limit` runs, both at once.
    pub(super) async fn round(&mut self, limit: usize) -> BrokerResult<()> {
        let broker = self.consumer.manager.broker().clone();
        let (batch, reports) = (self.ended.clone(), self.reports.clone());
        let finish = async {
            if batch.is_empty() {
                None
            } else {
                Some(broker.report_and_finish(reports, batch).await)
            }
        };
        let claim = async {
            if limit == 0 {
                None
            } else {
                Some(broker.claim(self.request(limit)).await)
            }
        };
        let (finished, claimed) = tokio::join!(finish, claim);
        match finished {
            Some(Ok(answers)) => {
                self.finishing.succeeded();
                self.written(answers);
            }
            Some(Err(error)) => {
                let delay = failed(&mut self.finishing, error)?;
                self.rest(delay);
            }
            None => {}
        }
        match claimed {
            Some(Ok(claimed)) => {
                self.claiming.succeeded();
                self.look = claimed.runs.len() == limit;
                self.look_at = Instant::now() + self.pause(&claimed);
                for (run, token) in claimed.runs {
                    self.start(run, token, claimed.now);
                }
            }
            Some(Err(error)) => {
                let delay = failed(&mut self.claiming, error)?;
                self.rest(delay);
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn has_unwritten(&self) -> bool {
        !self.ended.is_empty()
    }

    pub(super) fn take_rest(&mut self) -> Option<Instant> {
        self.rest_until.take()
    }

    fn rest(&mut self, delay: Duration) {
        let until = Instant::now() + delay;
        self.rest_until = Some(self.rest_until.map_or(until, |other| other.max(until)));
    }

    fn request(&self, limit: usize) -> ClaimRequest {
        ClaimRequest {
            consumer: self.consumer.config.id.clone(),
            queues: self.consumer.queues.clone(),
            tasks: self.consumer.limits.clone(),
            limit,
            lease: self.consumer.config.lease,
        }
    }

    /// How long there will be nothing to claim unless an event says otherwise.
    fn pause(&self, claimed: &Claimed) -> Duration {
        let poll = self.consumer.config.poll;
        let next = claimed.next.map(|next| next.duration_since(claimed.now));
        next.map_or(poll, |next| {
            Duration::try_from(next).unwrap_or_default().min(poll)
        })
    }

    fn written(&mut self, answers: Vec<Finished>) {
        self.reports.clear();
        for ((lease, finish), answer) in self.ended.drain(..).zip(answers) {
            self.active.remove(lease);
            match answer {
                Finished::Lost => {
                    tracing::warn!(run_id = %lease.run, "the lease was lost before the end was written; another consumer has the run");
                }
                Finished::Written(state) => match &finish {
                    Finish::Failure(error) | Finish::Retry { error, .. } => {
                        tracing::debug!(run_id = %lease.run, %state, %error, "attempt failed");
                    }
                    _ => tracing::debug!(run_id = %lease.run, %state, "attempt ended"),
                },
            }
        }
    }

    fn start(&mut self, run: TaskRun, token: LeaseToken, now: Timestamp) {
        let lease = LeaseRef { run: run.id, token };
        let manager = &self.consumer.manager;
        let Some((task, executor)) = manager
            .task(&run.task)
            .and_then(|t| Some((t, self.consumer.executors.of(t).ok()?)))
        else {
            let reason = format!("this consumer does not know task {:?}", run.task);
            self.ended.push((
                lease,
                Finish::Failure(RunError::new(ErrorKind::Start, reason)),
            ));
            return;
        };
        let stop = self.active.add(lease, executor.survives_consumer());
        if run.cancel_requested {
            stop.stop(crate::attempt::StopReason::Cancelled);
        }
        let span = tracing::info_span!(
            "attempt", run_id = %run.id, task = %run.task, attempt = run.attempt, executor = %executor.kind(),
        );
        let spent = run.started_at.map(|at| now.duration_since(at));
        let spent = spent
            .and_then(|spent| Duration::try_from(spent).ok())
            .unwrap_or_default();
        let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), self.news.clone());
        let (task, executor) = (task.clone(), executor.clone());
        let (manager, children) = (manager.clone(), self.children.clone());
        let grace = self.consumer.config.grace;
        let attempt = async move {
            let adopts = executor.survives_consumer() && !spent.is_zero();
            let stored = if adopts {
                stored_output(&manager, &run).await
            } else {
                None
            };
            let plan = Plan {
                time_left: task.timeout.map(|timeout| timeout.saturating_sub(spent)),
                context: RawContext::new(
                    Arc::new(run),
                    io.after(stored),
                    CancellationToken::new(),
                    manager.state().clone(),
                    children,
                ),
                task,
                executor,
                grace,
            };
            let carried = AssertUnwindSafe(carry_out(plan, &stop))
                .catch_unwind()
                .await;
            let finish = carried.unwrap_or_else(|_| {
                let error = RunError::new(ErrorKind::Panic, "the executor panicked");
                Some(Finish::Failure(error))
            });
            (lease, finish)
        };
        self.attempts.spawn(attempt.instrument(span));
    }
}

/// How far the output of a run's attempt was stored by those who had it before. If that can't be told it may be
/// stored twice.
async fn stored_output(manager: &TaskManager, run: &TaskRun) -> Option<StoredOutput> {
    let stored = stored::output(&**manager.broker(), run.id, run.attempt).await;
    stored
        .inspect_err(|error| tracing::warn!(%error, "some output may be stored twice"))
        .ok()
        .flatten()
}

/// How long to leave the broker alone after this error.
fn failed(backoff: &mut Backoff, error: BrokerError) -> BrokerResult<Duration> {
    if error.is_transient() {
        Ok(backoff.failed(&error))
    } else {
        Err(error)
    }
}

/// Whether an event may mean that there is something to claim under these limits.
fn wakes(event: &Event, limits: &[TaskLimits]) -> bool {
    match event {
        Event::Enqueued { .. } | Event::Changed => true,
        // An end makes room for the next run only where the number of runs is limited.
        Event::Finished { task, .. } => limits
            .iter()
            .any(|limits| limits.task == *task && limits.max_concurrency > 0),
        _ => false,
    }
}
