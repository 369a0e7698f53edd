//! The ceilings: how fast the least that a queue can be takes runs in and gives them out, on the same server, in the
//! same batches, and with nothing around it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Failure;
use crate::fluid::{BATCH, Load};

/// One connection to a raw queue.
#[async_trait]
pub(crate) trait RawQueue: Send {
    /// Puts these in, all at once.
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Failure>;

    /// Takes at most so many out and ends them, in one batch each; how many there were.
    async fn drain(&mut self, limit: usize) -> Result<usize, Failure>;
}

/// What a raw queue keeps of a run.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) params: String,
    /// All of it, where a queue knows nothing but texts.
    pub(crate) text: String,
}

/// So many runs, made before the clock starts.
pub(crate) fn rows(load: Load, count: usize) -> Vec<Row> {
    let row = |number| {
        let (id, params) = (Uuid::now_v7(), load.params(number));
        let text = format!(
            "{{\"id\":\"{id}\",\"task\":\"noop\",\"queue\":\"default\",\"params\":{params}}}"
        );
        Row { id, params, text }
    };
    (0..count).map(row).collect()
}

/// Puts rows in, so many at a time.
pub(crate) async fn enqueue(
    queue: &mut dyn RawQueue,
    rows: &[Row],
    batch: usize,
) -> Result<Duration, Failure> {
    let begin = Instant::now();
    for batch in rows.chunks(batch) {
        queue.insert(batch).await?;
    }
    Ok(begin.elapsed())
}

/// Takes out all that there is, by all of these connections at once.
pub(crate) async fn drain(
    connections: Vec<Box<dyn RawQueue>>,
    expected: usize,
) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let mut drains: JoinSet<Result<usize, Failure>> = JoinSet::new();
    for mut queue in connections {
        drains.spawn(async move {
            let mut drained = 0;
            loop {
                match queue.drain(BATCH).await? {
                    0 => return Ok(drained),
                    some => drained += some,
                }
            }
        });
    }
    let mut drained = 0;
    while let Some(one) = drains.join_next().await {
        drained += one??;
    }
    let took = begin.elapsed();
    if drained != expected {
        return Err(format!("a raw queue gave out {drained} of {expected} rows").into());
    }
    Ok(took)
}
