//! How long pages and lists take with a long history, at the server, with several clients. `cargo xtask bench http`.
//!
//! Each broker is filled with a million runs, or as many as the first argument says, and asked for what pages show: first
//! the broker by itself, then the pages over HTTP. A bound that is missed ends it with exit code 1.

mod asked;
mod fill;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::Broker;
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RUNS: usize = 1_000_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the benchmark could not run: {error}");
            ExitCode::from(2)
        }
    }
}

async fn measure() -> Result<bool, Failure> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |runs| runs.parse())?;
    let folder = tempfile::tempdir()?;
    let sqlite = SqliteBroker::open(SqliteOptions::new(folder.path().join("pages.db"))).await?;
    let mut holds = one("sqlite", Arc::new(sqlite), runs).await?;
    let server = Postgres::start(&Server::new())?;
    let postgres = PostgresOptions::from_url(&server.url("postgres"))?;
    let postgres = PostgresBroker::open(postgres).await?;
    holds &= one("postgres", Arc::new(postgres), runs).await?;
    Ok(holds)
}

async fn one(name: &str, broker: Arc<dyn Broker>, runs: usize) -> Result<bool, Failure> {
    let since = Instant::now();
    fill::fill(&*broker, runs).await?;
    let took = since.elapsed().as_secs();
    println!("{name}: {runs} runs, filled in within {took} s");
    let of_broker = asked::broker(&broker).await?;
    let of_pages = asked::pages(broker).await?;
    Ok(of_broker && of_pages)
}
