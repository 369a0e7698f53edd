//! A whole application in one file: a light task on a schedule, a heavy one that it asks for, and one that the heavy
//! one asks for in turn. The heavy one is `cpu_bound`, so it never runs in the consumer: here it is a subprocess, in a
//! Kubernetes cluster it would be a Job, and nothing in this file would change.
//!
//!     cargo run -p rust-app -- serve

use fluid_cli::App;
use fluid_cli::core::{TaskContext, TaskError, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `count_primes` is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Range {
    /// Count the primes from here
    from: u64,
    /// up to here
    to: u64,
}

/// What `count_primes` found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Found {
    /// How many
    primes: u64,
    /// The largest of them
    largest: u64,
}

/// Every five seconds asks for the primes of another range.
#[task(crate = fluid_cli::core, schedule(every = "5s"), tags("demo"))]
async fn plan(ctx: TaskContext) -> Result<String, TaskError> {
    let second = u64::try_from(ctx.run().due_at.as_second())?;
    let from = second % 1000 * 1000;
    let run = ctx
        .queue(
            &count_primes,
            Range {
                from,
                to: from + 200_000,
            },
        )
        .await?;
    Ok(format!("asked for {run}"))
}

/// Counts primes the slow way.
#[task(crate = fluid_cli::core, cpu_bound, timeout = "1m", retry(attempts = 2), max_concurrency = 1, tags("demo"))]
async fn count_primes(ctx: TaskContext<Range>) -> Result<Found, TaskError> {
    let Range { from, to } = ctx.params;
    if to <= from {
        return Err(TaskError::fatal("the range is empty"));
    }
    println!(
        "counting from {from} to {to} in process {}",
        std::process::id()
    );
    let mut found = Found {
        primes: 0,
        largest: 0,
    };
    let quarter = (to - from).div_ceil(4);
    for step in 1..=4_u32 {
        for n in from + quarter * u64::from(step - 1)..to.min(from + quarter * u64::from(step)) {
            if is_prime(n) {
                found = Found {
                    primes: found.primes + 1,
                    largest: n,
                };
            }
        }
        println!("{} primes so far", found.primes);
        ctx.progress(f64::from(step) / 4.0, format!("{} primes", found.primes));
    }
    let largest = Found {
        primes: found.primes,
        largest: found.largest,
    };
    ctx.queue(&announce, largest).await?;
    Ok(found)
}

/// Tells of the result: the last link of the chain.
#[task(crate = fluid_cli::core, tags("demo"))]
async fn announce(ctx: TaskContext<Found>) -> Result<String, TaskError> {
    Ok(format!(
        "{} primes, the largest is {}",
        ctx.params.primes, ctx.params.largest
    ))
}

fn is_prime(n: u64) -> bool {
    n > 1 && (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor))
}

fn main() -> std::process::ExitCode {
    App::new("rust-app")
        .about("Counts primes as an example of fluid")
        .task(plan)
        .task(count_primes)
        .task(announce)
        .main()
}

#[cfg(test)]
mod tests {
    #[test]
    fn primes_are_told_from_other_numbers() {
        let primes: Vec<u64> = (0..30).filter(|n| super::is_prime(*n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    }
}
