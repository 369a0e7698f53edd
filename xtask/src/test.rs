//! All tests.

use crate::process::{cargo, run};
use crate::{python, tools};

/// How to run the tests.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Runs everything: unit, integration, system and documentation tests.
pub(crate) fn run_command(arguments: &Arguments) -> anyhow::Result<()> {
    tools::programs()?;
    // The system tests start the binaries as a user would.
    run(cargo().args(["build", "--workspace", "--bins", "--examples"]))?;
    let browser = tools::browser()?;
    let mut tests = cargo();
    tests.env("FLUID_TEST_PYTHON", python::prepared()?);
    tests.env("FLUID_BROWSER", &browser);
    tests.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    run(tests.args(&arguments.filter))?;
    run(cargo()
        .args(["test", "--workspace", "--doc"])
        .args(&arguments.filter))
}
