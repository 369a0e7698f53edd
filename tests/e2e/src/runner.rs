//! Runs scenarios, together where they can, and tells what was seen.

use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;

use crate::diagnosis::diagnose;
use crate::scenario::{Scenario, Stage};
use crate::world::World;

/// How many run at once: each starts a few pods.
const TOGETHER: usize = 6;
/// The longest that any scenario may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How a scenario ended.
struct Report {
    name: &'static str,
    took: Duration,
    outcome: Result<String, String>,
}

/// Runs them all and prints the table. True if all of them showed what they must.
pub(crate) async fn run(world: &World, scenarios: &[Scenario], keep: bool) -> bool {
    let start = Instant::now();
    let (alone, together): (Vec<_>, Vec<_>) = scenarios
        .iter()
        .copied()
        .partition(|scenario| scenario.alone);
    let mut reports: Vec<Report> = stream::iter(together)
        .map(|scenario| perform(world.clone(), scenario, keep))
        .buffer_unordered(TOGETHER)
        .collect()
        .await;
    for scenario in alone {
        reports.push(perform(world.clone(), scenario, keep).await);
    }
    reports.sort_by_key(|report| {
        scenarios
            .iter()
            .position(|scenario| scenario.name == report.name)
    });
    println!("{}", table(&reports));
    let passed = reports
        .iter()
        .filter(|report| report.outcome.is_ok())
        .count();
    let failed = reports.len() - passed;
    println!(
        "e2e: {passed} passed, {failed} failed in {} s",
        start.elapsed().as_secs()
    );
    failed == 0
}

async fn perform(world: World, scenario: Scenario, keep: bool) -> Report {
    let start = Instant::now();
    let stage = Stage::new(world, scenario.name);
    let outcome = match timeout(LIMIT, (scenario.run)(stage.clone())).await {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("took longer than {} s", LIMIT.as_secs())),
    };
    let took = start.elapsed();
    let name = scenario.name;
    match &outcome {
        Ok(_) => eprintln!("  ok {name} ({:.1} s)", took.as_secs_f64()),
        Err(error) => {
            let diagnosis = diagnose(&stage.places()).await;
            eprintln!(
                "  FAILED {name} ({:.1} s): {error}\n{diagnosis}",
                took.as_secs_f64()
            );
            eprintln!("  again: cargo xtask e2e --keep --only {name}");
        }
    }
    if !keep {
        for place in stage.places() {
            if let Err(error) = place.dismiss().await {
                eprintln!("  {name} left {}: {error:#}", place.namespace);
            }
        }
    }
    Report {
        name,
        took,
        outcome,
    }
}

fn table(reports: &[Report]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["scenario", "", "seconds", "seen"]);
    for report in reports {
        let (word, seen) = match &report.outcome {
            Ok(seen) => ("ok", seen),
            Err(error) => ("FAILED", error),
        };
        let seconds = format!("{:.1}", report.took.as_secs_f64());
        // The whole of a failure was told when it happened.
        let seen: String = seen
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        table.add_row([report.name, word, &seconds, &seen]);
    }
    table
}
