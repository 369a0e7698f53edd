//! What ten million finished runs cost a claim and an end: batches are enqueued, claimed and finished in an empty schema,
//! then as many runs are filled in as if they had been finished before, and the same is measured again.
//!
//! `cargo run --release -p fluid-broker-postgres --example history [millions] [URL]`: without a URL it starts a server of
//! its own. Ten millions take some minutes and 4 GB.

use std::error::Error;
use std::time::{Duration, Instant};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, NewRun, Params,
    QueueName, RunFilter, RunState, TaskLimits, TaskName,
};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};
use tokio_postgres::{Client, NoTls};

type Done<T> = Result<T, Box<dyn Error>>;

/// Filled in by so many rows at a time.
const FILL: i64 = 500_000;

/// Runs that ended one each millisecond before now, of ten tasks, one in a hundred a failure. `$1` is the first number,
/// `$2` the last.
const FINISHED: &str = "
    INSERT INTO history.finished (created_at, due_at, started_at, ended_at, token, max_interruptions, id, attempt,
        failures, interruptions, state, priority, trigger, by_attempt, task, queue, ckey, params, consumer)
    SELECT at, at, at + 1000, at + 2000, n, 3,
        (lpad(to_hex(at / 1000), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid, 1,
        (n % 100 = 0)::int, 0, CASE WHEN n % 100 = 0 THEN 5 ELSE 4 END, 1, 0, true, 'task-' || n % 10, 'default', '',
        '{\"n\": ' || n || '}', 'worker-' || n % 4
    FROM (SELECT n, (extract(epoch FROM now()) * 1000000)::bigint - 86400000000 - (20000000 - n) * 1000 AS at
          FROM generate_series($1::bigint, $2::bigint) AS n) g";

struct Figures {
    batch: [Duration; 3],
    single: [Duration; 3],
    stats: Duration,
    page: Duration,
    failures: Duration,
}

async fn claim(broker: &PostgresBroker, limit: usize) -> Done<Vec<LeaseRef>> {
    let request = ClaimRequest {
        consumer: ConsumerId::parse("history")?,
        queues: vec![QueueName::default()].into(),
        tasks: vec![TaskLimits::none(TaskName::parse("task-1")?)].into(),
        limit,
        lease: DEFAULT_LEASE * 20,
    };
    let claimed = broker.claim(request).await?;
    let lease = |(run, token): &(fluid_core::TaskRun, _)| LeaseRef {
        run: run.id,
        token: *token,
    };
    Ok(claimed.runs.iter().map(lease).collect())
}

/// The median time of a batch of so many to be enqueued, claimed and finished.
async fn lives(broker: &PostgresBroker, size: usize, rounds: usize) -> Done<[Duration; 3]> {
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..rounds {
        let task = TaskName::parse("task-1")?;
        let runs = (0..size).map(|_| NewRun::new(task.clone(), Params::default()));
        let runs: Vec<NewRun> = runs.collect();
        let since = Instant::now();
        broker.enqueue(runs).await?;
        times[0].push(since.elapsed());
        let since = Instant::now();
        let leases = claim(broker, size).await?;
        times[1].push(since.elapsed());
        if leases.len() != size {
            return Err(format!("{} of {size} runs were claimed", leases.len()).into());
        }
        let ends = leases
            .into_iter()
            .map(|lease| (lease, Finish::Success(JsonText::null())));
        let ends = ends.collect();
        let since = Instant::now();
        broker.finish(ends).await?;
        times[2].push(since.elapsed());
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    }))
}

async fn measure(broker: &PostgresBroker) -> Done<Figures> {
    lives(broker, 500, 5).await?;
    let batch = lives(broker, 500, 60).await?;
    let single = lives(broker, 1, 300).await?;
    let since = Instant::now();
    broker.stats().await?;
    let stats = since.elapsed();
    let since = Instant::now();
    broker.list(RunFilter::default(), None, 50).await?;
    let page = since.elapsed();
    let failed = RunFilter {
        states: vec![RunState::Failure],
        ..RunFilter::default()
    };
    let since = Instant::now();
    broker.list(failed, None, 50).await?;
    let failures = since.elapsed();
    Ok(Figures {
        batch,
        single,
        stats,
        page,
        failures,
    })
}

async fn fill(client: &Client, runs: i64) -> Done<()> {
    let mut first = 1;
    while first <= runs {
        let last = (first + FILL - 1).min(runs);
        client.execute(FINISHED, &[&first, &last]).await?;
        first = last + 1;
    }
    let counts = "INSERT INTO history.counts (task, queue, success, failure)
        SELECT task, queue, count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5)
        FROM history.finished WHERE attempt = 1 AND consumer LIKE 'worker-%' GROUP BY task, queue";
    client.execute(counts, &[]).await?;
    client
        .batch_execute("VACUUM ANALYZE history.finished")
        .await?;
    // What the filling left to be written is not what is measured.
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let millions: i64 = arguments
        .next()
        .map_or(Ok(10), |millions| millions.parse())?;
    let (url, server) = if let Some(url) = arguments.next() {
        (url, None)
    } else {
        let settings = Server::new()
            .durable()
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "4GB");
        let server = Postgres::start(&settings)?;
        (server.socket_url("postgres"), Some(server))
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let connection = tokio::spawn(connection);
    client
        .batch_execute("DROP SCHEMA IF EXISTS history CASCADE")
        .await?;
    let options = PostgresOptions::from_url(&url)?.schema("history")?;
    let broker = PostgresBroker::open(options).await?;

    let empty = measure(&broker).await?;
    let since = Instant::now();
    fill(&client, millions * 1_000_000).await?;
    eprintln!(
        "{millions} million finished runs filled in within {:.0?}",
        since.elapsed()
    );
    let full = measure(&broker).await?;

    let told = broker.stats().await?;
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    println!(
        "                      empty     {:>9} finished",
        told.count(RunState::Success) + told.count(RunState::Failure)
    );
    let print = |name: &str, before: Duration, after: Duration| {
        println!("{name:<16} {:>10} {:>19}", millis(before), millis(after));
    };
    for (place, name) in ["enqueue", "claim", "finish"].into_iter().enumerate() {
        print(
            &format!("{name} of 500"),
            empty.batch[place],
            full.batch[place],
        );
    }
    for (place, name) in ["enqueue", "claim", "finish"].into_iter().enumerate() {
        print(
            &format!("{name} of 1"),
            empty.single[place],
            full.single[place],
        );
    }
    print("stats", empty.stats, full.stats);
    print("a page", empty.page, full.page);
    print("failures", empty.failures, full.failures);
    drop(broker);
    client.batch_execute("DROP SCHEMA history CASCADE").await?;
    drop(client);
    connection.await??;
    drop(server);
    Ok(())
}
