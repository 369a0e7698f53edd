//! Format, lints, documentation, layers, licences and bans.

use crate::process::{cargo, run};
use crate::{layers, tools};

/// Checks everything that needs no test; fails at the first fault.
pub(crate) fn run_command() -> anyhow::Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]))?;
    layers::check()?;
    let mut doc = cargo();
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    run(doc.args(["doc", "--workspace", "--no-deps", "--all-features"]))?;
    let mut deny = tools::cargo_deny()?;
    run(deny.args(["check", "licenses", "bans", "sources"]))
}
