//! `cargo xtask e2e`: fluid on a real Kubernetes cluster.

mod arguments;
mod cluster;
mod diagnosis;
mod image;
mod manifests;
mod metrics;
mod place;
mod pod_exec;
mod programs;
mod rights;
mod run;
mod runner;
mod scenario;
mod setup;
mod wait;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, ClusterKind};
use crate::cluster::Cluster;
use crate::scenario::Scenario;
use crate::world::World;

#[tokio::main]
async fn main() -> ExitCode {
    start(Arguments::parse()).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let kind = arguments.cluster.unwrap_or_else(cluster::default_kind);
    let scenarios = chosen(&arguments, kind)?;
    if arguments.list {
        for scenario in scenarios {
            println!("{}", scenario.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.down {
        cluster::remove(kind).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let outcome = tokio::select! {
        outcome = prove(kind, &arguments, &scenarios) => outcome,
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
    };
    if !(arguments.keep || arguments.up) {
        cluster::remove(kind).await?;
    }
    outcome
}

async fn prove(
    kind: ClusterKind,
    arguments: &Arguments,
    scenarios: &[Scenario],
) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let cluster = Cluster::up(kind, arguments).await?;
    let description = cluster.describe();
    let world = World::furnish(cluster).await?;
    eprintln!(
        "the cluster is ready after {} s: {description}",
        start.elapsed().as_secs()
    );
    if arguments.up {
        return Ok(ExitCode::SUCCESS);
    }
    let passed = runner::run(&world, scenarios, arguments.keep).await;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The scenarios whose name contains one of the words, or all where there is none, as far as the cluster allows them.
fn chosen(arguments: &Arguments, kind: ClusterKind) -> anyhow::Result<Vec<Scenario>> {
    let only = |scenario: &Scenario| {
        let words = &arguments.only;
        words.is_empty() || words.iter().any(|word| scenario.name.contains(word))
    };
    let possible = |scenario: &Scenario| !scenario.local || kind == ClusterKind::Local;
    let (scenarios, left_out): (Vec<_>, Vec<_>) = scenario::all().filter(only).partition(possible);
    for scenario in left_out {
        eprintln!("left out: {} needs --cluster local", scenario.name);
    }
    if scenarios.is_empty() {
        bail!("no scenario to run for {:?}: see --list", arguments.only);
    }
    Ok(scenarios)
}
