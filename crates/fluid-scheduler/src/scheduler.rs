//! Fires the ticks of schedules.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    BrokerError, BrokerResult, Due, MissedTicks, RunFilter, Schedule, Task, TaskName, Tick, Ticked,
    Trigger,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::manager::{TaskManager, new_run_of};
use crate::meters::TickMeters;
use crate::outage::Chore;
use crate::vitals::{Part, ROUND};

/// A tick that is noticed later than this counts as missed, and the task's policy says what to do about it.
pub(crate) const LATE: SignedDuration = SignedDuration::from_secs(60);
/// The longest sleep, so that a clock that was turned is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How often finished runs that are too old are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How many runs are deleted in one call.
const PURGE_BATCH: usize = 1000;

/// Fires the ticks of the manager's schedules and deletes finished runs that are too old.
///
/// Any number of schedulers may work on one broker, with clocks that differ: each tick fires once, because its
/// identity is the task and the instant, and the broker accepts it once.
#[derive(Debug)]
pub struct TaskScheduler {
    manager: TaskManager,
    retention: Option<Duration>,
}

struct Cursor {
    task: Arc<Task>,
    schedule: Schedule,
    /// The first tick that was not dealt with.
    next: Option<Timestamp>,
}

impl TaskScheduler {
    /// A scheduler of the manager's tasks that deletes nothing.
    pub fn new(manager: TaskManager) -> Self {
        Self {
            manager,
            retention: None,
        }
    }

    /// Also deletes runs that finished longer ago than this, with their logs and attempts.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Works until `stop` is cancelled. While the broker can't be reached it waits, and then deals with the
    /// ticks of that time as each task's policy for missed ticks says. Cancellation safe.
    ///
    /// # Errors
    /// Only what waiting can't mend: a damaged broker, one of a newer version, or one that is closed.
    pub async fn run(&self, stop: CancellationToken) -> BrokerResult<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = self.fire() => result,
            result = self.purge() => result,
        }
    }

    async fn fire(&self) -> BrokerResult<()> {
        let broker = self.manager.broker();
        let mut backoff = Backoff::new(Chore::Ticks, self.manager.outage());
        let vitals = self.manager.loops();
        let pulse = vitals.begin(Part::Scheduler, LONGEST_SLEEP + ROUND);
        let mut cursors = loop {
            pulse.beat();
            match self.begin().await {
                Ok(cursors) => break cursors,
                Err(error) => wait_after(&mut backoff, error).await?,
            }
        };
        for cursor in &cursors {
            TickMeters::announce(&cursor.task.name);
        }
        loop {
            pulse.beat();
            let now = match broker.now().await {
                Ok(now) => now,
                Err(error) => {
                    wait_after(&mut backoff, error).await?;
                    continue;
                }
            };
            if let Err(error) = self.catch_up(&mut cursors, now).await {
                wait_after(&mut backoff, error).await?;
                continue;
            }
            let due: Vec<Dues> = cursors
                .iter()
                .map(|cursor| due_ticks(cursor, now))
                .collect();
            let ticks: Vec<Tick> = due.iter().flat_map(|due| due.ticks.clone()).collect();
            if !ticks.is_empty() {
                match broker.tick(ticks.clone()).await {
                    Ok(answers) => told(&ticks, &answers, now),
                    Err(error) => {
                        wait_after(&mut backoff, error).await?;
                        continue;
                    }
                }
            }
            backoff.succeeded();
            for (cursor, due) in cursors.iter().zip(due) {
                TickMeters::missed(&cursor.task.name, due.missed);
            }
            for cursor in cursors
                .iter_mut()
                .filter(|c| c.next.is_some_and(|next| next <= now))
            {
                cursor.next = cursor.schedule.next_after(now);
            }
            let next = cursors.iter().filter_map(|cursor| cursor.next).min();
            let pause = next.map(|next| next.duration_since(now));
            let pause = pause.and_then(|pause| Duration::try_from(pause).ok());
            sleep_until(Instant::now() + pause.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)).await;
        }
    }

    /// Passes over what others dealt with while this scheduler was held up.
    async fn catch_up(&self, cursors: &mut [Cursor], now: Timestamp) -> BrokerResult<()> {
        let is_behind = |cursor: &Cursor| {
            cursor
                .next
                .is_some_and(|next| now.duration_since(next) > LATE)
        };
        if !cursors.iter().any(is_behind) {
            return Ok(());
        }
        let seen = self.manager.broker().last_ticks().await?;
        for cursor in cursors.iter_mut().filter(|cursor| is_behind(cursor)) {
            if let Some(seen) = seen.get(&cursor.task.name)
                && cursor.next.is_some_and(|next| next <= *seen)
            {
                cursor.next = cursor.schedule.next_after(*seen);
            }
        }
        Ok(())
    }

    /// Where each schedule stands: after the latest tick that anybody saw, or now when there was none.
    async fn begin(&self) -> BrokerResult<Vec<Cursor>> {
        // In this order: what comes due between the two, and nobody else fires, is ours.
        let now = self.manager.broker().now().await?;
        let seen = self.manager.broker().last_ticks().await?;
        let scheduled = self
            .manager
            .tasks()
            .filter_map(|task| Some((task, task.schedule.clone()?)));
        Ok(scheduled
            .map(|(task, schedule)| {
                let seen = seen.get(&task.name).copied().unwrap_or(now).min(now);
                let next = schedule.next_after(seen);
                Cursor {
                    task: task.clone(),
                    schedule,
                    next,
                }
            })
            .collect())
    }

    async fn purge(&self) -> BrokerResult<()> {
        let Some(retention) = self.retention else {
            return std::future::pending().await;
        };
        let broker = self.manager.broker();
        let mut backoff = Backoff::new(Chore::Retention, self.manager.outage());
        loop {
            match purge_once(self.manager.broker().as_ref(), retention).await {
                Ok(PURGE_BATCH) => {
                    backoff.succeeded();
                    tokio::task::yield_now().await;
                }
                Ok(deleted) => {
                    backoff.succeeded();
                    tracing::debug!(deleted, broker = broker.describe(), "deleted old runs");
                    tokio::time::sleep(PURGE_EVERY).await;
                }
                Err(error) => wait_after(&mut backoff, error).await?,
            }
        }
    }
}

impl TaskManager {
    /// The next tick of each scheduled task after `now`.
    pub fn next_ticks(&self, now: Timestamp) -> BTreeMap<TaskName, Timestamp> {
        let next =
            |task: &Arc<Task>| Some((task.name.clone(), task.schedule.as_ref()?.next_after(now)?));
        self.tasks().filter_map(next).collect()
    }
}

async fn purge_once(broker: &dyn fluid_core::Broker, retention: Duration) -> BrokerResult<usize> {
    let before = broker
        .now()
        .await?
        .checked_sub(retention)
        .unwrap_or(Timestamp::MIN);
    let filter = RunFilter {
        ended_before: Some(before),
        ..RunFilter::default()
    };
    broker.purge(filter, PURGE_BATCH).await
}

async fn wait_after(backoff: &mut Backoff, error: BrokerError) -> BrokerResult<()> {
    if !error.is_transient() {
        return Err(error);
    }
    tokio::time::sleep(backoff.failed(&error)).await;
    Ok(())
}

/// How many ticks after `last` nobody fired, though more than a minute passed; counted up to
/// [`MissedTicks::MAX_ALL`].
pub fn missed_ticks(schedule: &Schedule, last: Timestamp, now: Timestamp) -> usize {
    let ticks = std::iter::successors(schedule.next_after(last), |tick| schedule.next_after(*tick));
    let late = |tick: &Timestamp| now.duration_since(*tick) > LATE;
    ticks.take(MissedTicks::MAX_ALL).take_while(late).count()
}

/// What one schedule asks for.
struct Dues {
    /// The ticks to fire.
    ticks: Vec<Tick>,
    /// How many ticks were missed and are left out.
    missed: u64,
}

/// The ticks of one schedule up to `now`.
fn due_ticks(cursor: &Cursor, now: Timestamp) -> Dues {
    let mut missed = VecDeque::new();
    let mut fresh = Vec::new();
    let mut dropped = 0_u64;
    let mut next = cursor.next;
    while let Some(instant) = next.filter(|instant| *instant <= now) {
        if now.duration_since(instant) <= LATE {
            fresh.push(instant);
        } else {
            missed.push_back(instant);
            if missed.len() > MissedTicks::MAX_ALL {
                missed.pop_front();
                dropped += 1;
            }
        }
        next = cursor.schedule.next_after(instant);
    }
    let all_missed = missed.len() as u64 + dropped;
    let missed = match cursor.task.missed {
        MissedTicks::Once if fresh.is_empty() => missed.pop_back().into_iter().collect(),
        MissedTicks::Once | MissedTicks::Skip => VecDeque::new(),
        MissedTicks::All => {
            if dropped > 0 {
                tracing::warn!(task = %cursor.task.name, dropped, kept = missed.len(), "too many missed ticks: the oldest are dropped");
            }
            missed
        }
    };
    Dues {
        missed: all_missed - missed.len() as u64,
        ticks: missed
            .into_iter()
            .chain(fresh)
            .filter_map(|instant| tick_of(cursor, instant))
            .collect(),
    }
}

fn tick_of(cursor: &Cursor, instant: Timestamp) -> Option<Tick> {
    let task = &cursor.task;
    // The parameters were checked when the manager was built.
    let params = task.params.check(task.schedule_params.clone()).ok()?;
    let mut run = new_run_of(
        task,
        params,
        Due::At(cursor.schedule.due(&task.name, instant)),
    );
    run.trigger = Trigger::Schedule;
    Some(Tick {
        task: task.name.clone(),
        instant,
        run,
    })
}

fn told(ticks: &[Tick], answers: &[Ticked], now: Timestamp) {
    for (tick, answer) in ticks.iter().zip(answers) {
        TickMeters::answered(tick, *answer, now);
        match answer {
            Ticked::Fired(run) => {
                tracing::debug!(task = %tick.task, tick = %tick.instant, run_id = %run, "tick fired");
            }
            Ticked::AlreadyFired => {
                tracing::trace!(task = %tick.task, tick = %tick.instant, "another scheduler fired the tick");
            }
            Ticked::Disabled => {
                tracing::debug!(task = %tick.task, tick = %tick.instant, "the task is disabled");
            }
        }
    }
}
