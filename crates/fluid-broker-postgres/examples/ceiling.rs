//! How much of PostgreSQL's own speed is left to the broker: 50,000 runs enqueued, claimed and finished in batches of
//! 500, beside as many rows inserted, claimed with SKIP LOCKED and ended by plain statements of the same size, on the
//! same server in the same run.
//!
//! `cargo run --release -p fluid-broker-postgres --example ceiling [runs] [URL]`: without a URL it starts a server of
//! its own, whose commits wait for the disk.

use std::error::Error;
use std::time::{Duration, Instant};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, NewRun, Params,
    QueueName, TaskLimits, TaskName,
};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

type Done<T> = Result<T, Box<dyn Error>>;

const BATCH: usize = 500;
/// The fastest of so many rounds counts: a disk has other things to do as well.
const ROUNDS: usize = 3;

/// Putting in, claiming, and ending.
type Times = [Duration; 3];

/// How the raw queue ends what was claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It forgets it.
    Delete,
    /// It keeps it as a row in another state.
    Update,
}

/// The least that a queue on PostgreSQL is: rows with an id, and an index in the order of claiming.
const RAW: &str = "DROP TABLE IF EXISTS raw_queue;
     CREATE TABLE raw_queue (id uuid PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, state smallint NOT NULL,
         priority smallint NOT NULL, due_at bigint NOT NULL, token bigint, params text NOT NULL);
     CREATE INDEX raw_queued ON raw_queue (priority, due_at, seq) WHERE state = 1;";

async fn raw(client: &Client, runs: usize, end: End) -> Done<Times> {
    client.batch_execute(RAW).await?;
    let new: Vec<NewRun> = (0..runs).map(|_| new_run()).collect::<Done<_>>()?;
    let ids: Vec<Uuid> = new
        .iter()
        .map(|run| Uuid::from_bytes(*run.id.as_bytes()))
        .collect();
    let due = vec![1_795_000_000_000_000_i64; BATCH];
    let params = vec!["{}"; BATCH];

    let insert = client
        .prepare(
            "INSERT INTO raw_queue (id, state, priority, due_at, params) \
             SELECT id, 1, 1, due_at, params FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS n (id, due_at, params)",
        )
        .await?;
    let since = Instant::now();
    for batch in ids.chunks(BATCH) {
        let n = batch.len();
        client
            .execute(&insert, &[&batch, &&due[..n], &&params[..n]])
            .await?;
    }
    let inserted = since.elapsed();

    let claim = client
        .prepare(
            "UPDATE raw_queue SET state = 3, token = $1 + seq WHERE id IN ( \
               SELECT id FROM raw_queue WHERE state = 1 ORDER BY priority, due_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED) \
             RETURNING id, token, params",
        )
        .await?;
    let since = Instant::now();
    let mut claimed: Vec<Uuid> = Vec::with_capacity(runs);
    while claimed.len() < runs {
        let limit = i64::try_from(BATCH)?;
        let rows = client.query(&claim, &[&1_000_000_i64, &limit]).await?;
        for row in rows {
            let (id, _, _): (Uuid, i64, String) = (row.get(0), row.get(1), row.get(2));
            claimed.push(id);
        }
    }
    let took = since.elapsed();

    let finish = client
        .prepare(match end {
            End::Delete => "DELETE FROM raw_queue WHERE id = ANY ($1)",
            End::Update => "UPDATE raw_queue SET state = 4 WHERE id = ANY ($1)",
        })
        .await?;
    let since = Instant::now();
    for batch in claimed.chunks(BATCH) {
        client.execute(&finish, &[&batch]).await?;
    }
    Ok([inserted, took, since.elapsed()])
}

fn new_run() -> Done<NewRun> {
    Ok(NewRun::new(TaskName::parse("noop")?, Params::default()))
}

async fn fluid(client: &Client, url: &str, runs: usize) -> Done<Times> {
    client
        .batch_execute("DROP SCHEMA IF EXISTS ceiling CASCADE")
        .await?;
    let options = PostgresOptions::from_url(url)?.schema("ceiling")?;
    let broker = PostgresBroker::open(options).await?;
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
    let (url, server) = if let Some(url) = arguments.next() {
        (url, None)
    } else {
        let server = Postgres::start(&Server::new().durable())?;
        (server.socket_url("postgres"), Some(server))
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let version: String = client
        .query_typed_one(
            "SHOW server_version",
            &[] as &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
        )
        .await?
        .get(0);
    let (mut deletes, mut updates, mut broker) = (None, None, None);
    for _ in 0..ROUNDS {
        faster(&mut deletes, raw(&client, runs, End::Delete).await?);
        faster(&mut updates, raw(&client, runs, End::Update).await?);
        faster(&mut broker, fluid(&client, &url, runs).await?);
    }
    client
        .batch_execute("DROP TABLE raw_queue; DROP SCHEMA ceiling CASCADE")
        .await?;
    drop(client);
    connection.await??;
    drop(server);
    let (Some(deletes), Some(updates), Some(broker)) = (deletes, updates, broker) else {
        return Err("nothing was measured".into());
    };
    println!("{runs} runs in batches of {BATCH}, PostgreSQL {version}, best of {ROUNDS}");
    println!("          raw, deleted  raw, kept     broker  of deleted    of kept");
    let print = |name: &str, deletes: Duration, updates: Duration, broker: Duration| {
        println!(
            "{name:<8} {:>10.0} ms {:>7.0} ms {:>7.0} ms {:>9.0} % {:>8.0} %",
            deletes.as_secs_f64() * 1e3,
            updates.as_secs_f64() * 1e3,
            broker.as_secs_f64() * 1e3,
            100.0 * deletes.as_secs_f64() / broker.as_secs_f64(),
            100.0 * updates.as_secs_f64() / broker.as_secs_f64(),
        );
    };
    for (place, name) in ["enqueue", "claim", "finish"].into_iter().enumerate() {
        print(name, deletes[place], updates[place], broker[place]);
    }
    print(
        "whole",
        deletes.iter().sum(),
        updates.iter().sum(),
        broker.iter().sum(),
    );
    Ok(())
}
