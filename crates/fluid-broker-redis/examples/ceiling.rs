//! How much of Redis's own speed is left to the broker: 50,000 runs enqueued, claimed and finished in batches of 500,
//! beside as many pipelined moves of list elements on the same server in the same run: LPUSH for enqueue, LMOVE to a
//! list of what is being worked on for a claim, LREM from there for an end.
//!
//! Twice: with runs that have all but their ids in common, as a no-op has, and with runs of which each carries its own
//! parameters, is told its own result, and ends in any order.
//!
//! `cargo run --release -p fluid-broker-redis --example ceiling [runs] [url]`; without a URL it starts a server.

use std::error::Error;
use std::time::{Duration, Instant};

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Finish, JsonText, LeaseRef, NewRun, Params,
    QueueName, TaskLimits, TaskName,
};
use fluid_test_servers::redis::{RedisOptions as ServerOptions, RedisServer};
use redis::aio::MultiplexedConnection;

type Done<T> = Result<T, Box<dyn Error>>;

const BATCH: usize = 500;
/// The fastest of so many rounds counts: a machine has other things to do as well.
const ROUNDS: usize = 5;

/// Enqueueing, claiming, ending.
type Times = [Duration; 3];

async fn raw(connection: &mut MultiplexedConnection, runs: usize, kind: Runs) -> Done<Times> {
    let ids: Vec<NewRun> = (0..runs)
        .map(|number| kind.run(number))
        .collect::<Done<_>>()?;
    // What a queue in lists would keep of a run.
    let payloads: Vec<String> = ids
        .iter()
        .map(|run| {
            format!(
                "{{\"id\":\"{}\",\"task\":\"noop\",\"queue\":\"default\",\"params\":{}}}",
                run.id,
                run.params.expose(),
            )
        })
        .collect();
    let since = Instant::now();
    for batch in payloads.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for payload in batch {
            pipeline.cmd("LPUSH").arg("raw:queue").arg(payload).ignore();
        }
        pipeline.query_async::<()>(connection).await?;
    }
    let enqueued = since.elapsed();

    let since = Instant::now();
    let mut taken: Vec<String> = Vec::with_capacity(runs);
    for batch in payloads.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for _ in batch {
            pipeline
                .cmd("LMOVE")
                .arg("raw:queue")
                .arg("raw:taken")
                .arg("RIGHT")
                .arg("LEFT");
        }
        taken.extend(pipeline.query_async::<Vec<String>>(connection).await?);
    }
    let claimed = since.elapsed();

    let since = Instant::now();
    for batch in taken.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for payload in batch {
            pipeline.cmd("LREM").arg("raw:taken").arg(-1).arg(payload);
        }
        let removed: Vec<i64> = pipeline.query_async(connection).await?;
        if removed.iter().sum::<i64>() != i64::try_from(batch.len())? {
            return Err("the lists lost something".into());
        }
    }
    Ok([enqueued, claimed, since.elapsed()])
}

/// What the runs of a round have in common.
#[derive(Clone, Copy, PartialEq)]
enum Runs {
    Alike,
    Each,
}

impl Runs {
    fn params(self, number: usize) -> JsonText {
        match self {
            Self::Alike => JsonText::empty_object(),
            Self::Each => JsonText::trusted(format!("{{\"number\":{number}}}")),
        }
    }

    fn run(self, number: usize) -> Done<NewRun> {
        let params = Params::stored(self.params(number), []);
        Ok(NewRun::new(TaskName::parse("noop")?, params))
    }

    fn result(self, number: usize) -> JsonText {
        match self {
            Self::Alike => JsonText::null(),
            Self::Each => self.params(number),
        }
    }
}

async fn fluid(broker: &RedisBroker, runs: usize, kind: Runs) -> Done<Times> {
    let mut new: Vec<NewRun> = (0..runs)
        .map(|number| kind.run(number))
        .collect::<Done<_>>()?;
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

    let mut ends: Vec<(LeaseRef, Finish)> = leases
        .into_iter()
        .enumerate()
        .map(|(number, lease)| (lease, Finish::Success(kind.result(number))))
        .collect();
    if kind == Runs::Each {
        // The ends of a batch come in any order; an odd step goes through all of them.
        for batch in ends.chunks_mut(BATCH) {
            for place in 0..batch.len() {
                batch.swap(place, place * 7919 % batch.len());
            }
        }
    }
    let since = Instant::now();
    while !ends.is_empty() {
        let rest = ends.split_off(ends.len().min(BATCH));
        broker.finish(std::mem::replace(&mut ends, rest)).await?;
    }
    Ok([enqueued, claimed, since.elapsed()])
}

fn faster(best: &mut Option<Times>, times: Times) {
    let best = best.get_or_insert(times);
    for (best, time) in best.iter_mut().zip(times) {
        *best = time.min(*best);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let runs: usize = arguments.next().map_or(Ok(50_000), |runs| runs.parse())?;
    let mut server = None;
    let url = match arguments.next() {
        Some(url) => url,
        None => server
            .insert(RedisServer::start(&ServerOptions::new())?)
            .url(),
    };
    let mut connection = redis::Client::open(url.as_str())?
        .get_multiplexed_async_connection()
        .await?;
    println!("{runs} runs in batches of {BATCH}, best of {ROUNDS}");
    for (kind, what) in [(Runs::Alike, "all alike"), (Runs::Each, "each its own")] {
        let (mut lists, mut broker) = (None, None);
        for round in 0..ROUNDS {
            faster(&mut lists, raw(&mut connection, runs, kind).await?);
            let options = RedisOptions::from_url(&url)?.prefix(format!("ceiling-{round}"))?;
            let opened = RedisBroker::open(options).await?;
            faster(&mut broker, fluid(&opened, runs, kind).await?);
            // As if each round were the first.
            redis::cmd("FLUSHDB")
                .query_async::<()>(&mut connection)
                .await?;
        }
        let (Some(lists), Some(broker)) = (lists, broker) else {
            return Err("nothing was measured".into());
        };
        table(what, lists, broker);
    }
    Ok(())
}

fn table(what: &str, lists: Times, broker: Times) {
    println!("{what:<12} raw lists      broker  of the ceiling");
    let print = |name: &str, lists: Duration, broker: Duration| {
        println!(
            "{name:<10} {:>8.0} ms {:>8.0} ms {:>12.0} %",
            lists.as_secs_f64() * 1e3,
            broker.as_secs_f64() * 1e3,
            100.0 * lists.as_secs_f64() / broker.as_secs_f64(),
        );
    };
    for (place, name) in ["enqueue", "claim", "finish"].into_iter().enumerate() {
        print(name, lists[place], broker[place]);
    }
    print("drain", lists[1] + lists[2], broker[1] + broker[2]);
    print("whole", lists.iter().sum(), broker.iter().sum());
}
