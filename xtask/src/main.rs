//! Everything a contributor runs: `cargo xtask --help`.

mod bench;
mod chaos;
mod e2e;
mod layers;
mod lint;
mod process;
mod python;
mod screenshots;
mod test;
mod tools;

use clap::{Parser, Subcommand};

/// Everything a contributor to fluid runs.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests; installs or names what is missing first.
    Test(test::Arguments),
    /// Check format, lints, documentation, layers, licences and bans.
    Lint,
    /// Print the cost of queueing and dispatch beside the raw ceiling of the same run: `cargo xtask bench --help`.
    Bench(bench::Arguments),
    /// Make a picture of every page of the dashboard, light and dark, wide and narrow.
    Screenshots,
    /// Prove that nothing is lost or done twice under disturbances: `cargo xtask chaos --help`.
    Chaos(chaos::Arguments),
    /// Prove fluid on a real Kubernetes cluster: `cargo xtask e2e --help`.
    E2e(e2e::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test(arguments) => test::run_command(&arguments),
        Command::Lint => lint::run_command(),
        Command::Bench(arguments) => bench::run_command(&arguments),
        Command::Screenshots => screenshots::run_command(),
        Command::Chaos(arguments) => chaos::run_command(&arguments),
        Command::E2e(arguments) => e2e::run_command(&arguments),
    }
}
