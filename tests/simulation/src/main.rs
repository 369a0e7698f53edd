//! `cargo xtask chaos --simulation`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use fluid_proof::Sabotage;
use fluid_simulation::{run_all, simulate};

/// How many seeds the short form runs.
const SHORT: u64 = 200;
/// How many seeds the long form runs.
const LONG: u64 = 10_000;
/// How many broken promises of a seed are shown.
const SHOWN: usize = 10;

/// Simulates consumers, schedulers and the memory broker in virtual time, under the disturbances that each seed
/// chooses, and checks that nothing is lost or done twice.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask chaos --simulation", disable_version_flag = true)]
struct Arguments {
    /// Passed on by `cargo xtask chaos`
    #[arg(long, hide = true)]
    simulation: bool,

    /// Run this many seeds [default: 200, or 10000 with --long]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,

    /// Run many seeds
    #[arg(long)]
    long: bool,

    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,

    /// Run this seed alone and say all that is wrong with it
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "long", "from"])]
    seed: Option<u64>,

    /// With --seed: print everything that happened
    #[arg(long, requires = "seed")]
    trace: bool,

    /// With --seed: break the broker first: fencing, ticks, loss or switches
    #[arg(long, requires = "seed")]
    sabotage: Option<Sabotage>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => Ok(many(&arguments)),
    }
}

fn one(seed: u64, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let outcome = simulate(seed, arguments.sabotage)?;
    if arguments.trace {
        print!("{}", outcome.trace());
    }
    println!("seed {seed}: {:?}", outcome.verdict.counts);
    for violation in &outcome.verdict.violations {
        println!("  BROKEN {violation}");
    }
    let holds = outcome.verdict.violations.is_empty();
    println!(
        "{}",
        if holds {
            "every promise holds"
        } else {
            "promises were broken"
        }
    );
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn many(arguments: &Arguments) -> ExitCode {
    let usual = if arguments.long { LONG } else { SHORT };
    let count = arguments.seeds.unwrap_or(usual);
    let begin = Instant::now();
    let summary = run_all(arguments.from, count, |done| {
        if done % 1000 == 0 {
            eprintln!("{done} of {count} seeds, {} s", begin.elapsed().as_secs());
        }
    });
    for failure in &summary.failures {
        println!("seed {}:", failure.seed);
        for violation in failure.violations.iter().take(SHOWN) {
            println!("  BROKEN {violation}");
        }
        if failure.violations.len() > SHOWN {
            println!("  … and {} more", failure.violations.len() - SHOWN);
        }
        println!(
            "  again: cargo xtask chaos --simulation --seed {}",
            failure.seed
        );
    }
    println!(
        "{} seeds from {} in {} s: {} runs, {} attempts, {} calls failed, {} writes refused, {} of them after \
         a pause; {} seeds broke a promise",
        summary.seeds,
        arguments.from,
        begin.elapsed().as_secs(),
        summary.runs,
        summary.attempts,
        summary.failed_calls,
        summary.refused,
        summary.refused_after_pause,
        summary.failures.len(),
    );
    if summary.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
