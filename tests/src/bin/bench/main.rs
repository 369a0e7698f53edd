//! What queueing and dispatch cost, each beside the raw ceiling of the same run. `cargo xtask bench [PART ...]`.
//!
//! Parts: `queue`, `latency`, `idle`, `dispatch`; all of them when none is named. A bound that is missed ends it
//! with exit code 1.

mod dispatch;
mod figures;
mod idle;
mod latency;
mod queue;
mod raw;

use std::process::ExitCode;

use figures::Bounds;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, path] = arguments.as_slice()
        && role == latency::CONSUMER
    {
        return report(latency::consume(path.as_ref()).await.map(|()| true));
    }
    report(measure(&arguments).await)
}

async fn measure(parts: &[String]) -> Result<bool, Failure> {
    const PARTS: [&str; 4] = ["queue", "latency", "idle", "dispatch"];
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!(
            "{unknown:?} is no part of the benchmark: use {}",
            PARTS.join(", ")
        )
        .into());
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut bounds = Bounds::default();
    if wanted("queue") {
        queue::measure(&mut bounds).await?;
    }
    if wanted("latency") {
        latency::measure(&mut bounds).await?;
    }
    if wanted("idle") {
        idle::measure(&mut bounds)?;
    }
    if wanted("dispatch") {
        dispatch::measure(&mut bounds).await?;
    }
    Ok(bounds.print())
}

fn report(result: Result<bool, Failure>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the benchmark could not run: {error}");
            ExitCode::from(2)
        }
    }
}
