//! The tasks of the proofs. One function does the work of all; what differs is the policy it runs under.

use std::time::Duration;

use fluid_core::{
    MissedTicks, NameError, RetryPolicy, Schedule, Task, TaskContext, TaskError, UniquePolicy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::What;
use crate::gate::Gate;
use crate::ledger::Ledger;

/// Many more than any run suffers: processes die all the time here.
const INTERRUPTIONS: u32 = 1_000_000;

/// What one run is to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Work {
    /// For how long, in milliseconds.
    pub(crate) ms: u64,
    /// How many attempts are to fail first.
    pub(crate) fails: u32,
    /// How many children to enqueue.
    pub(crate) children: u32,
    /// Its lane, for the task that counts them apart.
    pub(crate) lane: String,
    /// Its key, for the task that takes each once.
    pub(crate) key: String,
}

/// What a run gives: which attempt it was.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) attempt: u32,
}

/// What task functions find in their process.
#[derive(Debug)]
pub struct Scene {
    pub(crate) ledger: Ledger,
    pub(crate) gate: Gate,
}

async fn work(context: TaskContext<Work>) -> Result<Given, TaskError> {
    let scene = context.state::<Scene>()?;
    let (run, attempt) = (context.run().id, context.run().attempt);
    scene.ledger.note(What::Entered { run, attempt });
    let Work {
        ms,
        fails,
        children,
        ..
    } = context.params;
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    context.progress(0.5, "half of it");
    scene.gate.pass().await;
    if context.run().failures < fails {
        return Err(TaskError::new("meant to fail"));
    }
    for _ in 0..children {
        context.queue_named("instant", &Work::default()).await?;
    }
    scene.ledger.note(What::Done { run, attempt });
    Ok(Given { attempt })
}

/// Every task.
///
/// # Errors
/// None, as the names are good ones.
pub fn tasks() -> Result<Vec<Task>, NameError> {
    let named = |name: &str| -> Result<Task, NameError> {
        let mut retry = RetryPolicy::attempts(3).delay(Duration::from_millis(100));
        // Chance would make a simulation differ from itself.
        retry.jitter = 0.0;
        retry.interruptions = INTERRUPTIONS;
        Ok(Task::function(name, work)?.retry(retry))
    };
    let mut fragile = named("fragile")?;
    fragile.retry.interruptions = 1;
    let mut by_key = UniquePolicy::default();
    by_key.by = vec!["key".to_owned()];
    let mut tasks = vec![
        named("instant")?,
        named("work")?,
        named("flaky")?,
        named("narrow")?.max_concurrency(3),
        named("lane")?.max_concurrency(1).concurrency_key("lane"),
        named("unique")?.unique(by_key),
        named("parent")?,
        fragile,
    ];
    let schedules = [
        ("every", Schedule::every(Duration::from_secs(1))),
        ("cron", Schedule::cron("*/2 * * * * *", "UTC")),
    ];
    for (name, schedule) in schedules {
        if let Ok(schedule) = schedule {
            let task = named(name)?.schedule(schedule);
            tasks.push(task.missed(MissedTicks::All));
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_tasks_have_schedules() {
        let tasks = super::tasks().unwrap();
        assert_eq!(
            tasks.iter().filter(|task| task.schedule.is_some()).count(),
            2
        );
    }
}
