//! The proof under disturbances; its programs are tests/chaos, and tests/simulation in virtual time.

use crate::process::{cargo, run};

/// What is passed on.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// `cargo xtask chaos --help` has them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the storm, or the simulation.
pub(crate) fn run_command(arguments: &Arguments) -> anyhow::Result<()> {
    let simulation = arguments
        .arguments
        .iter()
        .any(|word| word == "--simulation");
    let package = if simulation {
        "fluid-simulation"
    } else {
        "fluid-chaos"
    };
    run(cargo()
        .args(["run", "--quiet", "--package", package, "--"])
        .args(&arguments.arguments))
}
