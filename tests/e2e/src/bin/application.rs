//! A Rust team's program, with tasks that end in every way that the scenarios look at.

use std::process::ExitCode;
use std::time::Duration;

use fluid_cli::App;
use fluid_cli::core::{K8sConfig, Secret, TaskContext, TaskError, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Numbers {
    numbers: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Statistics {
    count: usize,
    sum: u64,
}

/// Ends well, with a result.
#[task(crate = fluid_cli::core, cpu_bound)]
async fn add(ctx: TaskContext<Numbers>) -> Result<Statistics, TaskError> {
    ctx.progress(0.5, "half-way");
    println!("adding {} numbers", ctx.params.numbers.len());
    Ok(Statistics {
        count: ctx.params.numbers.len(),
        sum: ctx.params.numbers.iter().sum(),
    })
}

/// Ends with an error that has a message.
#[task(crate = fluid_cli::core, cpu_bound)]
async fn refuse() -> Result<(), TaskError> {
    Err(TaskError::new("the picture has no pixels"))
}

/// Ends in a panic.
#[task(crate = fluid_cli::core, cpu_bound)]
async fn panics() -> Result<(), TaskError> {
    println!("so far so good");
    let nothing: Vec<u8> = Vec::new();
    let index = nothing.len() + 7;
    println!("never printed: {}", nothing[index]);
    Ok(())
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Login {
    user: String,
    token: Secret<String>,
    /// How many seconds to stay, to be looked at
    linger: u64,
}

/// Knows a secret and says only how long it is.
#[task(
    crate = fluid_cli::core,
    cpu_bound,
    k8s_config = K8sConfig::default().job_ttl(Duration::from_secs(20)),
)]
async fn login(ctx: TaskContext<Login>) -> Result<usize, TaskError> {
    println!("{} logs in", ctx.params.user);
    tokio::time::sleep(Duration::from_secs(ctx.params.linger)).await;
    Ok(ctx.params.token.expose().len())
}

fn main() -> ExitCode {
    App::new("application")
        .about("What the end-to-end tests run in Jobs")
        .task(add)
        .task(refuse)
        .task(panics)
        .task(login)
        .main()
}
