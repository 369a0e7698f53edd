//! The proof on a real Kubernetes cluster; it is a program of its own, tests/e2e.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use crate::process::{MANIFEST, cargo, output, root};

/// The Kubernetes executor's own tests on a cluster.
const TESTS: &str = "cluster";

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
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--profile=e2e",
        "--message-format=json-render-diagnostics",
    ]);
    for package in ["fluid-cli", "fluid-exec-k8s", "fluid-e2e"] {
        build.args(["--package", package]);
    }
    // All in one go: what they share is built once.
    build.args(["--bins", "--example", "suite", "--test", TESTS]);
    let built = output(build.stderr(Stdio::inherit()))?;
    let find = |kind, name| {
        let found = built.lines().find_map(|line| executable(line, kind, name));
        found.with_context(|| format!("cargo told of no {kind} {name:?}"))
    };
    let tests = find("test", TESTS)?;
    let program = find("bin", "fluid-e2e")?;
    let error = Command::new(&program)
        .args(&arguments.arguments)
        .env("FLUID_SUITE_TESTS", tests)
        .env(MANIFEST, root().join("tests/e2e"))
        .exec();
    Err(error).with_context(|| format!("could not start {program}"))
}

/// The path in the message that cargo prints of a program it built.
fn executable(line: &str, kind: &str, name: &str) -> Option<String> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_it = message["target"]["name"] == name && message["target"]["kind"][0] == kind;
    let executable = message["executable"].as_str().filter(|_| is_it)?;
    Some(executable.to_owned())
}
