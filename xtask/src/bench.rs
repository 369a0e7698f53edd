//! Figures, each beside the raw ceiling of the same run.

use crate::process::{cargo, run};
use crate::tools;

/// What is passed on.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// `cargo xtask bench --help` has them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds for release and measures.
pub(crate) fn run_command(arguments: &Arguments) -> anyhow::Result<()> {
    tools::programs()?;
    if let [part, rest @ ..] = arguments.arguments.as_slice()
        && part == "http"
    {
        let pages = [
            "run",
            "--release",
            "--package",
            "fluid-system-tests",
            "--bin",
            "pages",
            "--",
        ];
        return run(cargo().args(pages).args(rest));
    }
    run(cargo().args(["build", "--release", "--package", "fluid-cli"]))?;
    let mut bench = cargo();
    bench.args([
        "run",
        "--release",
        "--package",
        "fluid-system-tests",
        "--bin",
        "bench",
        "--",
    ]);
    run(bench.args(&arguments.arguments))
}
