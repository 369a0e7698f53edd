//! Why a run is not running, in one sentence.

use fluid_core::{BrokerResult, ConsumerInfo, RunState, TaskRun};

use crate::manager::TaskManager;

impl TaskManager {
    /// Why a run is not running: what it waits for, in one sentence. `None` when it runs or is finished.
    ///
    /// # Errors
    /// The broker's.
    pub async fn why_waiting(&self, run: &TaskRun) -> BrokerResult<Option<String>> {
        match run.state {
            RunState::Scheduled => Ok(Some(why_scheduled(run))),
            RunState::Queued => self.why_queued(run).await.map(Some),
            RunState::Running => Ok(run.waiting.clone()),
            _ => Ok(None),
        }
    }

    async fn why_queued(&self, run: &TaskRun) -> BrokerResult<String> {
        let settings = self.broker().settings().await?;
        if settings.paused_queues.contains(&run.queue) {
            return Ok(format!("queue {:?} is paused", run.queue));
        }
        if settings.disabled_tasks.contains(&run.task) {
            return Ok(format!("task {:?} is disabled", run.task));
        }
        let consumers = self.broker().consumers().await?;
        let fit = match fitting(&consumers, run) {
            Ok(fit) => fit,
            Err(why) => return Ok(why),
        };
        let stats = self.broker().stats().await?;
        let count = |state| {
            stats
                .tasks
                .get(&run.task)
                .and_then(|task| task.get(&state))
                .copied()
                .unwrap_or(0)
        };
        let running = count(RunState::Running);
        let task = |consumer: &&ConsumerInfo| {
            consumer
                .tasks
                .iter()
                .find(|task| task.name == run.task)
                .map(|task| task.max_concurrency)
        };
        let limit = fit
            .iter()
            .filter_map(task)
            .filter(|limit| *limit > 0)
            .min()
            .map(u64::from);
        if let Some(limit) = limit.filter(|limit| running >= *limit) {
            return Ok(if run.concurrency_key.is_empty() {
                format!(
                    "{running} of at most {limit} runs of task {:?} are running",
                    run.task
                )
            } else {
                format!(
                    "task {:?} runs at most {limit} at once for each concurrency key, and {running} are running",
                    run.task
                )
            });
        }
        let slots: usize = fit
            .iter()
            .map(|consumer| consumer.max_concurrent_tasks)
            .sum();
        let busy: usize = fit.iter().map(|consumer| consumer.running).sum();
        if busy >= slots {
            let queued = stats.count(RunState::Queued);
            return Ok(format!(
                "all {slots} slots of {} are busy, and {queued} runs are queued",
                many(fit.len())
            ));
        }
        if let Some(rate) = self.task(&run.task).and_then(|task| task.rate_limit) {
            let period = fluid_core::duration::format(rate.period);
            return Ok(format!(
                "task {:?} may start {} runs per {period}",
                run.task, rate.limit
            ));
        }
        Ok(format!("{} may claim it at any moment", many(fit.len())))
    }
}

fn why_scheduled(run: &TaskRun) -> String {
    match &run.error {
        Some(error) if run.failures > 0 => {
            format!(
                "attempt {} is due at {} after: {error}",
                run.attempt + 1,
                run.due_at
            )
        }
        _ => format!("it is due at {}", run.due_at),
    }
}

/// The consumers that could take the run, or why there are none.
fn fitting<'a>(
    consumers: &'a [ConsumerInfo],
    run: &TaskRun,
) -> Result<Vec<&'a ConsumerInfo>, String> {
    if consumers.is_empty() {
        return Err("no consumer is running: start one with `serve`".to_owned());
    }
    let subscribed: Vec<_> = consumers
        .iter()
        .filter(|c| c.queues.contains(&run.queue))
        .collect();
    if subscribed.is_empty() {
        return Err(format!(
            "none of {} takes from queue {:?}",
            many(consumers.len()),
            run.queue
        ));
    }
    let knows = |consumer: &&ConsumerInfo| consumer.tasks.iter().any(|task| task.name == run.task);
    let knowing: Vec<_> = subscribed.iter().copied().filter(knows).collect();
    if knowing.is_empty() {
        return Err(format!(
            "none of {} on queue {:?} knows task {:?}",
            many(subscribed.len()),
            run.queue,
            run.task
        ));
    }
    let open: Vec<_> = knowing
        .iter()
        .copied()
        .filter(|consumer| !consumer.draining)
        .collect();
    if open.is_empty() {
        return Err(format!(
            "{} that could take it is stopping",
            many(knowing.len())
        ));
    }
    Ok(open)
}

fn many(consumers: usize) -> String {
    if consumers == 1 {
        "1 consumer".to_owned()
    } else {
        format!("{consumers} consumers")
    }
}
