//! How much of SQLite's own speed is left to the broker: 50,000 runs enqueued, claimed and finished in batches of
//! 500, beside as many rows inserted, updated and deleted by plain rusqlite, in the same run and with the same
//! durability.
//!
//! `cargo run --release -p fluid-broker-sqlite --example ceiling [runs] [folder]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, NewRun, Params,
    QueueName, TaskLimits, TaskName,
};
use rusqlite::Connection;

type Done<T> = Result<T, Box<dyn Error>>;

const BATCH: usize = 500;
/// The fastest of so many rounds counts: a disk has other things to do as well.
const ROUNDS: usize = 3;

/// Putting in, claiming, and ending or deleting.
type Times = [Duration; 3];

/// Rows without any index, found by their number: nothing that keeps runs can be faster.
const BARE: &str = "CREATE TABLE runs (seq INTEGER PRIMARY KEY, id BLOB, state INTEGER, priority INTEGER, \
     due_at INTEGER, token INTEGER, params TEXT) STRICT";
/// The same as a queue: what waits is found in its order, and ended by its id.
const INDEXED: &str = "CREATE UNIQUE INDEX runs_id ON runs (id);
     CREATE INDEX runs_queued ON runs (priority, due_at) WHERE state = 1";

fn raw(path: &Path, runs: usize, indexed: bool) -> Done<Times> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.execute_batch(BARE)?;
    if indexed {
        connection.execute_batch(INDEXED)?;
    }
    let ids: Vec<NewRun> = (0..runs).map(|_| new_run()).collect::<Done<_>>()?;

    let since = Instant::now();
    for batch in ids.chunks(BATCH) {
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO runs (id, state, priority, due_at, params) VALUES (?1, 1, 1, ?2, '{}')",
        )?;
        for run in batch {
            insert.execute((run.id.as_bytes(), 1_795_000_000_000_000_i64))?;
        }
        drop(insert);
        transaction.commit()?;
    }
    let inserted = since.elapsed();

    let since = Instant::now();
    let mut first = 1;
    for batch in ids.chunks(BATCH) {
        let transaction = connection.transaction()?;
        let sql = if indexed {
            "SELECT seq FROM runs WHERE state = 1 ORDER BY priority, due_at LIMIT ?1"
        } else {
            "SELECT seq FROM runs WHERE seq >= ?2 ORDER BY seq LIMIT ?1"
        };
        let mut find = transaction.prepare_cached(sql)?;
        let count = i64::try_from(batch.len())?;
        let numbers: Vec<i64> = if indexed {
            find.query_map([count], |row| row.get(0))?
                .collect::<Result<_, _>>()?
        } else {
            find.query_map([count, first], |row| row.get(0))?
                .collect::<Result<_, _>>()?
        };
        drop(find);
        let mut claim =
            transaction.prepare_cached("UPDATE runs SET state = 3, token = ?2 WHERE seq = ?1")?;
        for number in &numbers {
            claim.execute((number, number ^ 0x5555))?;
        }
        drop(claim);
        transaction.commit()?;
        first += count;
    }
    let claimed = since.elapsed();

    let since = Instant::now();
    let mut seq = 0_i64;
    for batch in ids.chunks(BATCH) {
        let transaction = connection.transaction()?;
        let by_id = "DELETE FROM runs WHERE id = ?1";
        let by_number = "DELETE FROM runs WHERE seq = ?1";
        let mut delete = transaction.prepare_cached(if indexed { by_id } else { by_number })?;
        for run in batch {
            seq += 1;
            if indexed {
                delete.execute([run.id.as_bytes()])?;
            } else {
                delete.execute([seq])?;
            }
        }
        drop(delete);
        transaction.commit()?;
    }
    Ok([inserted, claimed, since.elapsed()])
}

fn new_run() -> Done<NewRun> {
    Ok(NewRun::new(TaskName::parse("noop")?, Params::default()))
}

async fn fluid(path: &Path, runs: usize) -> Done<Times> {
    let broker = SqliteBroker::open(SqliteOptions::new(path)).await?;
    let mut new: Vec<NewRun> = (0..runs).map(|_| new_run()).collect::<Done<_>>()?;

    let since = Instant::now();
    while !new.is_empty() {
        let rest = new.split_off(new.len().min(BATCH));
        broker.enqueue(std::mem::replace(&mut new, rest)).await?;
    }
    let enqueued = since.elapsed();

    let request = ClaimRequest {
        consumer: ConsumerId::parse("ceiling")?,
        queues: vec![QueueName::default()].into(),
        tasks: vec![TaskLimits::none(TaskName::parse("noop")?)].into(),
        limit: BATCH,
        lease: DEFAULT_LEASE * 20,
    };
    let since = Instant::now();
    let mut leases = Vec::with_capacity(runs);
    while leases.len() < runs {
        let claimed = broker.claim(request.clone()).await?;
        leases.extend(claimed.runs.iter().map(|(run, token)| LeaseRef {
            run: run.id,
            token: *token,
        }));
    }
    let claimed = since.elapsed();

    let since = Instant::now();
    for batch in leases.chunks(BATCH) {
        let success = batch
            .iter()
            .map(|lease| (*lease, Finish::Success(JsonText::null())));
        broker.finish(success.collect()).await?;
    }
    Ok([enqueued, claimed, since.elapsed()])
}

fn faster(best: &mut Option<Times>, times: Times) {
    let total = |times: &Times| times.iter().sum::<Duration>();
    if best.is_none_or(|best| total(&times) < total(&best)) {
        *best = Some(times);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let runs: usize = arguments.next().map_or(Ok(50_000), |runs| runs.parse())?;
    let below = arguments
        .next()
        .map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let (mut bare, mut queue, mut broker) = (None, None, None);
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(&below)?;
        faster(&mut bare, raw(&folder.path().join("bare.db"), runs, false)?);
        faster(
            &mut queue,
            raw(&folder.path().join("queue.db"), runs, true)?,
        );
        let path = folder.path().join("fluid.db");
        faster(&mut broker, fluid(&path, runs).await?);
    }
    let (Some(bare), Some(queue), Some(broker)) = (bare, queue, broker) else {
        return Err("nothing was measured".into());
    };
    println!("{runs} runs in batches of {BATCH}, WAL, synchronous=FULL, best of {ROUNDS}");
    println!("            bare rows   raw queue      broker    of bare     of raw");
    let print = |name: &str, bare: Duration, queue: Duration, broker: Duration| {
        println!(
            "{name:<8} {:>9.0} ms {:>8.0} ms {:>8.0} ms {:>8.0} % {:>8.0} %",
            bare.as_secs_f64() * 1e3,
            queue.as_secs_f64() * 1e3,
            broker.as_secs_f64() * 1e3,
            100.0 * bare.as_secs_f64() / broker.as_secs_f64(),
            100.0 * queue.as_secs_f64() / broker.as_secs_f64(),
        );
    };
    for (place, name) in ["enqueue", "claim", "finish"].into_iter().enumerate() {
        print(name, bare[place], queue[place], broker[place]);
    }
    print(
        "whole",
        bare.iter().sum(),
        queue.iter().sum(),
        broker.iter().sum(),
    );
    Ok(())
}
