//! A long history: runs of the last day, most of them done.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_core::{
    Broker, ConsumerId, ErrorKind, ExportedRun, JsonText, Params, QueueName, RunError, RunId,
    RunState, TaskName, TaskRun,
};
use jiff::Timestamp;
use uuid::{NoContext, Uuid};

use crate::Failure;

/// So many tasks share the runs.
pub(crate) const TASKS: usize = 20;
const BATCH: usize = 2000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The name of a task.
pub(crate) fn task(number: usize) -> Result<TaskName, Failure> {
    Ok(TaskName::parse(format!("task-{}", number % TASKS))?)
}

/// Fills in so many runs, evenly over the last day: one in fifty failed, the last thousandth waits.
pub(crate) async fn fill(broker: &dyn Broker, runs: usize) -> Result<(), Failure> {
    let now = broker.now().await?;
    let begin = now - DAY;
    for first in (0..runs).step_by(BATCH) {
        let batch = (first..runs.min(first + BATCH)).map(|number| {
            #[expect(clippy::cast_possible_truncation, reason = "a few millions")]
            let at = begin + DAY / runs as u32 * number as u32;
            run(number, runs, at).map(|run| ExportedRun::new(run, None, Vec::new()))
        });
        let batch = batch.collect::<Result<Vec<_>, _>>()?;
        broker.import(batch, BTreeMap::new()).await?;
    }
    Ok(())
}

fn run(number: usize, runs: usize, at: Timestamp) -> Result<TaskRun, Failure> {
    let seconds = u64::try_from(at.as_second())?;
    let nanos = u32::try_from(at.subsec_nanosecond())?;
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos));
    let queue = QueueName::parse(format!("queue-{}", number % 4))?;
    let mut run = TaskRun::new(
        RunId::from_bytes(id.into_bytes()),
        task(number)?,
        queue,
        Params::default(),
        at,
    );
    if number < runs - runs / 1000 {
        run.state = if number.is_multiple_of(50) {
            RunState::Failure
        } else {
            RunState::Success
        };
        run.attempt = 1;
        run.started_at = Some(at);
        run.ended_at = Some(at + Duration::from_secs(1));
        run.consumer = Some(ConsumerId::parse("worker-1")?);
        if run.state == RunState::Failure {
            run.error = Some(RunError::new(ErrorKind::Error, "it did not work"));
        } else {
            run.result = Some(JsonText::null());
        }
    }
    Ok(run)
}
