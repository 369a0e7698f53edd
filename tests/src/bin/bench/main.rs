//! What queueing and dispatch cost, each beside the raw ceiling of the same run: `cargo xtask bench --help`.

mod dispatch;
mod figures;
mod fluid;
mod idle;
mod latency;
mod queue;
mod raw;
mod store;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use figures::Bounds;
use store::Kind;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints what queueing and dispatch cost, each beside the raw ceiling of the same run. A bound that is missed ends it
/// with exit code 1.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask bench", disable_version_flag = true)]
struct Arguments {
    /// What to measure; all of it when nothing is named
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// On which broker; may be repeated [default: all]
    #[arg(long, value_enum)]
    broker: Vec<Kind>,

    /// How many runs go through the queue at a time
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    runs: usize,

    /// How many rounds the queue is measured in; medians are of these
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Enqueueing and draining, beside a raw queue on the same server
    Queue,
    /// From the request to the start of a run when nothing else goes on
    Latency,
    /// What a consumer costs that has nothing to do, on SQLite
    Idle,
    /// A program that does nothing, through the queue and bare, on SQLite
    Dispatch,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(latency::CONSUMER) {
        let url = words.next().unwrap_or_default();
        return report(latency::consume(&url).await.map(|()| true));
    }
    report(measure(&Arguments::parse()).await)
}

async fn measure(arguments: &Arguments) -> Result<bool, Failure> {
    let wanted = |part: Part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let brokers = match arguments.broker.as_slice() {
        [] => Kind::value_variants(),
        named => named,
    };
    let mut bounds = Bounds::default();
    for kind in brokers {
        if !(wanted(Part::Queue) || wanted(Part::Latency)) {
            continue;
        }
        let mut store = kind.start().await?;
        println!("{kind}: {}", store.describe().await?);
        if wanted(Part::Queue) {
            queue::measure(*kind, &mut *store, arguments, &mut bounds).await?;
        }
        if wanted(Part::Latency) {
            latency::measure(*kind, &mut *store, &mut bounds).await?;
        }
    }
    if wanted(Part::Idle) {
        idle::measure(&mut bounds)?;
    }
    if wanted(Part::Dispatch) {
        dispatch::measure(&mut bounds).await?;
    }
    Ok(bounds.print())
}

fn report(result: Result<bool, Failure>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the benchmark could not run: {error:#}");
            ExitCode::from(2)
        }
    }
}
