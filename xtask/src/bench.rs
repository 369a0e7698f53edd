//! Figures, each beside the raw ceiling of the same run.

use crate::process::{cargo, run};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to the benchmark: names of the parts to run. `http` is for pages with a million runs, and stands alone
    parts: Vec<String>,
}

/// Builds for release and measures.
pub(crate) fn run_command(arguments: &Arguments) -> anyhow::Result<()> {
    if let [part, rest @ ..] = arguments.parts.as_slice()
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
    run(bench.args(&arguments.parts))
}
