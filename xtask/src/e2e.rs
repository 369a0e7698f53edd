//! The proof on a real Kubernetes cluster; it is a program of its own, tests/e2e.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

use crate::process::{cargo, run};

/// What is passed on.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// `cargo xtask e2e --help` has them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds what goes into the images and becomes the e2e, so that Ctrl-C and its exit code are its own.
pub(crate) fn run_command(arguments: &Arguments) -> anyhow::Result<()> {
    let packages = ["--package", "fluid-cli", "--package", "fluid-e2e"];
    run(cargo().args(["build", "--quiet", "--bins"]).args(packages))?;
    let program = std::env::current_exe()?.with_file_name("fluid-e2e");
    let error = Command::new(&program).args(&arguments.arguments).exec();
    Err(error).with_context(|| format!("could not start {}", program.display()))
}
