//! What is done to all runs that a filter matches: counted first, then cancelled, retried or deleted.

use fluid_core::{BrokerResult, Cancelled, RunFilter, RunId, RunState, Stats};
use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::Serialize;

use crate::manager::TaskManager;

/// How many runs are looked at in one call of the broker.
const PAGE: usize = 500;
/// How many runs are cancelled at the same time.
const AT_ONCE: usize = 16;
/// How many runs are deleted in one call of the broker.
const DELETED_AT_ONCE: usize = 1000;

/// How many runs a filter matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Matching {
    /// As many as were counted.
    pub count: u64,
    /// Whether these are all; otherwise there are this many or more.
    pub exact: bool,
}

/// What became of the runs that a filter matched when they were cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CancelledMany {
    /// They waited, and are aborted now.
    pub aborted: u64,
    /// They run, and their consumers are told to stop them.
    pub requested: u64,
    /// They finished before they could be cancelled.
    pub finished: u64,
    /// Whether the limit left some that match as they are.
    pub more: bool,
}

impl CancelledMany {
    fn count(&mut self, outcome: Cancelled) {
        match outcome {
            Cancelled::Aborted => self.aborted += 1,
            Cancelled::Requested => self.requested += 1,
            Cancelled::AlreadyFinished(_) | Cancelled::NotFound => self.finished += 1,
        }
    }
}

impl TaskManager {
    /// Counts the runs that a filter matches, at most `cap` one by one: a filter that names nothing but tasks and states,
    /// or queues and states of unfinished runs, is answered from the broker's [`Stats`], exactly and with any number of
    /// runs.
    ///
    /// # Errors
    /// The broker's.
    pub async fn count_matching(&self, filter: &RunFilter, cap: u64) -> BrokerResult<Matching> {
        if counted_by_stats(filter) {
            let stats = self.broker().stats().await?;
            let count = from_stats(&stats, filter);
            return Ok(Matching { count, exact: true });
        }
        let (mut count, mut before) = (0, None);
        loop {
            let left = usize::try_from(cap.saturating_sub(count)).unwrap_or(PAGE);
            if left == 0 {
                return Ok(Matching {
                    count,
                    exact: false,
                });
            }
            let page = self
                .broker()
                .list(filter.clone(), before, left.min(PAGE))
                .await?;
            count += page.runs.len() as u64;
            before = page.next;
            if before.is_none() {
                return Ok(Matching { count, exact: true });
            }
        }
    }

    /// Cancels the unfinished runs that a filter matches, newest first, at most `limit`. Runs that are enqueued meanwhile
    /// are left alone. When dropped, or on an error, some are cancelled and the others are not.
    ///
    /// # Errors
    /// The broker's.
    pub async fn cancel_matching(
        &self,
        filter: &RunFilter,
        limit: usize,
    ) -> BrokerResult<CancelledMany> {
        let mut done = CancelledMany::default();
        let Some(filter) = filter.clone().unfinished() else {
            return Ok(done);
        };
        let (mut left, mut before) = (limit, None);
        loop {
            let page = self
                .broker()
                .list(filter.clone(), before, left.min(PAGE))
                .await?;
            let runs = stream::iter(page.runs).map(|run| self.cancel(run.id));
            let outcomes: Vec<_> = runs.buffered(AT_ONCE).try_collect().await?;
            left = left.saturating_sub(outcomes.len());
            for outcome in outcomes {
                done.count(outcome);
            }
            before = page.next;
            done.more = before.is_some();
            if before.is_none() || left == 0 {
                return Ok(done);
            }
        }
    }

    /// Enqueues the finished runs that a filter matches once more, newest first, at most `limit`, as
    /// [`Broker::retry`](fluid_core::Broker::retry) does: all of them or, on an error, none. The ids of the new runs, in
    /// the order of the old ones.
    ///
    /// # Errors
    /// The broker's.
    pub async fn retry_matching(
        &self,
        filter: &RunFilter,
        limit: usize,
    ) -> BrokerResult<Vec<RunId>> {
        match filter.clone().finished() {
            Some(filter) => self.broker().retry(filter, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// Deletes the finished runs that a filter matches with their attempts and logs, oldest first, at most `limit`. How
    /// many. When dropped, or on an error, some are deleted and the others are not.
    ///
    /// # Errors
    /// The broker's.
    pub async fn purge_matching(&self, filter: &RunFilter, limit: usize) -> BrokerResult<usize> {
        let Some(filter) = filter.clone().finished() else {
            return Ok(0);
        };
        let mut deleted = 0;
        loop {
            let batch = (limit - deleted).min(DELETED_AT_ONCE);
            let gone = self.broker().purge(filter.clone(), batch).await?;
            deleted += gone;
            if gone < batch || deleted == limit {
                return Ok(deleted);
            }
        }
    }
}

/// Whether the broker counts these runs anyway.
fn counted_by_stats(filter: &RunFilter) -> bool {
    let named = RunFilter {
        tasks: filter.tasks.clone(),
        states: filter.states.clone(),
        queues: filter.queues.clone(),
        ..RunFilter::default()
    };
    let unfinished =
        !filter.states.is_empty() && filter.states.iter().all(|state| !state.is_terminal());
    *filter == named && (filter.queues.is_empty() || (filter.tasks.is_empty() && unfinished))
}

fn from_stats(stats: &Stats, filter: &RunFilter) -> u64 {
    let wanted = |state: &RunState| filter.states.is_empty() || filter.states.contains(state);
    let sum = |counts: &std::collections::BTreeMap<RunState, u64>| -> u64 {
        let counts = counts.iter().filter(|(state, _)| wanted(state));
        counts.map(|(_, count)| count).sum()
    };
    if filter.queues.is_empty() {
        let asked = |task| filter.tasks.is_empty() || filter.tasks.contains(task);
        let tasks = stats.tasks.iter().filter(|(task, _)| asked(task));
        tasks.map(|(_, counts)| sum(counts)).sum()
    } else {
        let queues = stats.queues.iter();
        let queues = queues.filter(|(queue, _)| filter.queues.contains(queue));
        queues.map(|(_, counts)| sum(counts)).sum()
    }
}
