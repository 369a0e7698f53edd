//! The loop of a consumer: write what ended, claim what is due, start it. While the broker is at one of these the
//! attempts go on, and so does the other.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    AttemptEvent, AttemptIo, BrokerError, BrokerResult, ChildQueue, ClaimRequest, Claimed,
    ErrorKind, Event, Finish, LeaseRef, LeaseToken, RawContext, Report, RunError, StoredOutput,
    TaskLimits, TaskRun,
};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::active::ActiveRuns;
use super::finishing::{Finishing, answered};
use super::{TaskConsumer, stored};
use crate::attempt::{Plan, carry_out};
use crate::backoff::Backoff;
use crate::manager::TaskManager;
use crate::meters::{Meters, Slots};
use crate::outage::Chore;
use crate::reporter::LastReports;
use crate::vitals::{BEAT, Part, Pulse, ROUND};

/// An attempt that ended and what to write of it; `None` when its lease was lost.
type Ended = (LeaseRef, Option<Finish>);

/// Where there are slots for many, half of them are claimed at once, but so many at the least: some runs are on their
/// way while others are carried out.
const CLAIM_AT_LEAST: usize = 32;

/// What the loop knows.
pub(super) struct Work<'a> {
    pub(super) consumer: &'a TaskConsumer,
    pub(super) active: &'a ActiveRuns,
    last: &'a LastReports,
    news: mpsc::Sender<AttemptEvent>,
    children: Arc<dyn ChildQueue>,
    pub(super) attempts: JoinSet<Ended>,
    pub(super) finishing: Option<Finishing>,
    /// Claims, each with how many runs it asks for.
    claiming: FuturesUnordered<BoxFuture<'static, (usize, BrokerResult<Claimed>)>>,
    /// How many runs all of them ask for.
    claimable: usize,
    /// Ended, and nobody writes it yet.
    pub(super) ended: Vec<(LeaseRef, Finish)>,
    /// What they told last, to be written with it.
    pub(super) reports: Vec<Report>,
    /// There may be something to claim.
    look: bool,
    /// There are no more events; the poll interval remains.
    deaf: bool,
    /// The broker said, or the poll interval says, to look again then.
    look_at: Instant,
    /// The broker failed: leave it alone until then.
    pub(super) rest_until: Option<Instant>,
    claims: Backoff,
    pub(super) finishes: Backoff,
    meters: Meters,
    slots: Slots,
    pub(super) pulse: Pulse,
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
            finishing: None,
            claiming: FuturesUnordered::new(),
            claimable: 0,
            ended: Vec::new(),
            reports: Vec::new(),
            look: true,
            deaf: false,
            look_at: Instant::now(),
            rest_until: None,
            claims: Backoff::new(Chore::Claims, self.manager.outage()),
            finishes: Backoff::new(Chore::Ends, self.manager.outage()),
            meters: Meters::of(self.manager.tasks(), &self.executors),
            slots: Slots::new(self.config.max_concurrent_tasks),
            pulse: self.manager.loops().begin(Part::Consumer, ROUND),
        };
        while !stop.is_cancelled() {
            work.measure();
            work.finish();
            work.claim();
            work.wait(stop, &mut events).await?;
            work.gather(&mut events).await;
        }
        work.drain().await
    }
}

impl Work<'_> {
    /// The loop came round.
    pub(super) fn measure(&mut self) {
        self.pulse.beat();
        let backlog = self.news.max_capacity() - self.news.capacity();
        self.slots.set(self.attempts.len(), backlog);
    }

    /// Slots for runs that are still to be claimed. Ends that can't be written take up some, too.
    fn free(&self) -> usize {
        let most = self.consumer.config.max_concurrent_tasks;
        if self.ended.len() >= most {
            return 0;
        }
        most.saturating_sub(self.attempts.len() + self.claimable)
    }

    /// Begins to claim if there is reason to.
    fn claim(&mut self) {
        let config = &self.consumer.config;
        let most_at_once = (config.max_concurrent_tasks / 2).max(CLAIM_AT_LEAST);
        while self.look && self.rest_until.is_none() {
            let free = self.free();
            if free == 0 {
                return;
            }
            let limit = free.min(most_at_once);
            let broker = self.consumer.manager.broker().clone();
            let request = self.request(limit);
            let claim = async move { (limit, broker.claim(request).await) };
            self.claiming.push(claim.boxed());
            self.claimable += limit;
            self.look = limit < free;
        }
    }

    /// Waits until something happened.
    async fn wait(
        &mut self,
        stop: &CancellationToken,
        events: &mut broadcast::Receiver<Event>,
    ) -> BrokerResult<()> {
        let idle = !self.look && self.claiming.is_empty();
        tokio::select! {
            // The end of a run may be what lets the next one be claimed.
            biased;
            () = stop.cancelled() => {}
            answer = answered(&mut self.finishing) => self.finished(answer)?,
            Some((limit, answer)) = self.claiming.next() => self.claimed(limit, answer)?,
            Some(ended) = self.attempts.join_next() => self.note(ended),
            () = until(self.rest_until) => self.rest_until = None,
            () = sleep_until(self.look_at), if idle => self.look = true,
            event = events.recv(), if !self.look && !self.deaf => match event {
                Ok(event) => self.look = wakes(&event, &self.consumer.limits),
                Err(RecvError::Lagged(_)) => self.look = true,
                Err(RecvError::Closed) => self.deaf = true,
            },
            () = sleep(BEAT) => {}
        }
        Ok(())
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
                let meters = self.active.remove(lease);
                meters.inspect(|meters| meters.lease_lost());
            }
            // Attempts catch their panics and are only aborted with the whole set.
            Err(error) => tracing::error!(%error, "an attempt vanished"),
        }
    }

    fn claimed(&mut self, limit: usize, answer: BrokerResult<Claimed>) -> BrokerResult<()> {
        self.claimable -= limit;
        match answer {
            Ok(claimed) => {
                self.claims.succeeded();
                self.look |= claimed.runs.len() == limit;
                self.look_at = Instant::now() + self.pause(&claimed);
                for (run, token) in claimed.runs {
                    self.start(run, token, claimed.now);
                }
            }
            Err(error) => {
                let delay = failed(&mut self.claims, error)?;
                self.look = true;
                self.rest(delay);
            }
        }
        Ok(())
    }

    /// Waits for the claims that were begun, and gives back what they bring.
    pub(super) async fn give_back_claimed(&mut self) {
        while let Some((_, answer)) = self.claiming.next().await {
            // A broker that can't be reached has no runs for anybody.
            let runs = answer.map_or_else(|_| Vec::new(), |claimed| claimed.runs);
            let released = |(run, token): (TaskRun, LeaseToken)| {
                let lease = LeaseRef { run: run.id, token };
                (lease, Finish::Released)
            };
            self.ended.extend(runs.into_iter().map(released));
        }
    }

    pub(super) fn take_rest(&mut self) -> Option<Instant> {
        self.rest_until.take()
    }

    pub(super) fn rest(&mut self, delay: Duration) {
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
        let meters = self.meters.get(&run.task).cloned();
        let stop = self
            .active
            .add(lease, executor.survives_consumer(), meters.clone());
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
        let adopts = executor.survives_consumer() && !spent.is_zero();
        if let Some(meters) = meters.as_ref().filter(|_| !adopts) {
            meters.claimed(&run, now);
        }
        let io = AttemptIo::new(lease, run.attempt, run.params.redactor(), self.news.clone());
        let (task, executor) = (task.clone(), executor.clone());
        let (manager, children) = (manager.clone(), self.children.clone());
        let grace = self.consumer.config.grace;
        let attempt = async move {
            let begin = Instant::now();
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
            if let Some(meters) = meters {
                meters.took(spent + begin.elapsed(), finish.as_ref());
            }
            (lease, finish)
        };
        self.attempts.spawn(attempt.instrument(span));
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
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
pub(super) fn failed(backoff: &mut Backoff, error: BrokerError) -> BrokerResult<Duration> {
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
