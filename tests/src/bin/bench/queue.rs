//! Enqueueing and draining of runs that do nothing, beside the raw queues of the same server.

use std::time::Duration;

use clap::ValueEnum;

use crate::figures::{Bounds, Spread, per};
use crate::fluid::{self, BATCH, Load};
use crate::raw;
use crate::store::{Kind, Store};
use crate::{Arguments, Failure};

/// Those that are enqueued one by one: each waits for its answer, and many of them for a disk.
const SINGLES: usize = 1000;
/// Consumers or raw connections where there are several.
const SEVERAL: usize = 4;

/// What each took, by round; there are two enqueues in each.
#[derive(Default)]
struct Times {
    single: Vec<Duration>,
    enqueue: Vec<Duration>,
    drain: Vec<Duration>,
    /// By several at once.
    shared: Vec<Duration>,
}

pub(crate) async fn measure(
    kind: Kind,
    store: &mut dyn Store,
    arguments: &Arguments,
    bounds: &mut Bounds,
) -> Result<(), Failure> {
    for load in Load::value_variants() {
        measure_load(kind, store, arguments, *load, bounds).await?;
    }
    Ok(())
}

async fn measure_load(
    kind: Kind,
    store: &mut dyn Store,
    arguments: &Arguments,
    load: Load,
    bounds: &mut Bounds,
) -> Result<(), Failure> {
    let (runs, rounds) = (arguments.runs, arguments.rounds);
    let what = match load {
        Load::Alike => "runs that differ in nothing but their ids",
        Load::Each => "runs with parameters and results of their own",
    };
    println!(
        "queue: {runs} {what}, batches of {BATCH}, {rounds} rounds, interleaved; {SEVERAL} consumers are in one process, \
         each with connections of its own"
    );
    let names = store.raw_queues();
    let mut raws: Vec<Times> = names.iter().map(|_| Times::default()).collect();
    let mut ours = Times::default();
    for _ in 0..rounds {
        for (name, times) in names.iter().zip(&mut raws) {
            measure_raw(store, name, load, runs, times).await?;
        }
        measure_fluid(store, load, runs, &mut ours).await?;
    }

    Spread::print_head();
    ours.print("fluid", "consumer", runs);
    for (name, times) in names.iter().zip(&raws) {
        times.print(name, "connection", runs);
    }
    for (place, (name, times)) in names.iter().zip(&raws).enumerate() {
        let share = ours.share_of(times, |times| &times.drain);
        let shared = ours.share_of(times, |times| &times.shared);
        let name = format!("share of {name}");
        share.print_percent(&name, "1 consumer, 1 connection");
        shared.print_percent("", &format!("{SEVERAL} of each"));
        if place == 0 {
            let least = if kind == Kind::Sqlite { 0.5 } else { 0.4 };
            let of = match load {
                Load::Alike => "alike",
                Load::Each => "each its own",
            };
            bounds.check(
                &format!("{kind}: enqueue and drain, {of}, {name}"),
                format!("{:.0} %", share.median() * 100.0),
                &format!(">= {:.0} %", least * 100.0),
                share.median() >= least,
            );
        }
    }
    count_calls(store, load, runs).await
}

async fn measure_raw(
    store: &mut dyn Store,
    name: &str,
    load: Load,
    runs: usize,
    times: &mut Times,
) -> Result<(), Failure> {
    let mut queue = store.raw(name, 1).await?;
    let singles = raw::rows(load, SINGLES);
    times
        .single
        .push(raw::enqueue(&mut *queue[0], &singles, 1).await?);
    for (connections, drains) in [(1, &mut times.drain), (SEVERAL, &mut times.shared)] {
        let mut queue = store.raw(name, connections).await?;
        let rows = raw::rows(load, runs);
        times
            .enqueue
            .push(raw::enqueue(&mut *queue[0], &rows, BATCH).await?);
        drains.push(raw::drain(queue, runs).await?);
    }
    Ok(())
}

async fn measure_fluid(
    store: &mut dyn Store,
    load: Load,
    runs: usize,
    times: &mut Times,
) -> Result<(), Failure> {
    let url = store.fresh().await?;
    times
        .single
        .push(fluid::one_by_one(&url, load, SINGLES).await?);
    for (consumers, drains) in [(1, &mut times.drain), (SEVERAL, &mut times.shared)] {
        let url = store.fresh().await?;
        let (enqueue, drain) = fluid::enqueue_and_drain(&url, load, runs, consumers).await?;
        times.enqueue.push(enqueue);
        drains.push(drain);
    }
    Ok(())
}

/// Not in the same run as the times: counting takes time.
async fn count_calls(store: &mut dyn Store, load: Load, runs: usize) -> Result<(), Failure> {
    for consumers in [1, SEVERAL] {
        let url = store.fresh().await?;
        let url = store.watched(&url);
        // Who comes first makes the schema.
        fluid::one_by_one(&url, load, 0).await?;
        store.calls().await?;
        fluid::enqueue_and_drain(&url, load, runs, consumers).await?;
        let Some(calls) = store.calls().await? else {
            return Ok(());
        };
        let (trips, inside) = calls.words;
        println!(
            "  asked of the server for a run, {consumers} consumer{}: {} {trips}, {} {inside}",
            if consumers == 1 { "" } else { "s" },
            per(calls.trips, runs),
            per(calls.inside, runs),
        );
    }
    println!();
    Ok(())
}

impl Times {
    fn print(&self, name: &str, who: &str, runs: usize) {
        let several = format!("drain, {SEVERAL} {who}s");
        Spread::rates(SINGLES, &self.single).print_rates(name, "enqueue one by one");
        Spread::rates(runs, &self.enqueue).print_rates("", "enqueue in batches");
        Spread::rates(runs, &self.drain).print_rates("", &format!("drain, 1 {who}"));
        Spread::rates(runs, &self.shared).print_rates("", &several);
    }

    /// How much of another's speed it has, in enqueueing and one of the drains together, by round.
    fn share_of(&self, other: &Self, drain: impl Fn(&Self) -> &Vec<Duration>) -> Spread {
        let whole = |times: &Self| -> Vec<f64> {
            let drains = drain(times);
            let enqueues = times
                .enqueue
                .chunks(2)
                .map(|both| both.iter().sum::<Duration>() / 2);
            let both = enqueues.zip(drains);
            both.map(|(enqueue, drain)| (enqueue + *drain).as_secs_f64())
                .collect()
        };
        let shares = whole(other).into_iter().zip(whole(self));
        Spread::new(shares.map(|(raw, ours)| raw / ours).collect())
    }
}
