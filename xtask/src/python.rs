//! The Python that some tests hold fluid against, with what it needs, kept outside the checkout.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::process::{root, run};
use crate::tools;

/// What is installed into it, each in one version.
const REQUIREMENTS: &str = "crates/fluid-http/tests/python/requirements.txt";

/// A Python that has what the requirements name, made once for each list of them.
pub(crate) fn prepared() -> anyhow::Result<PathBuf> {
    let requirements = root().join(REQUIREMENTS);
    let listed = std::fs::read(&requirements).with_context(|| format!("read {REQUIREMENTS}"))?;
    let folder = tools::cached("python", &listed)?;
    let python = folder.join("bin/python");
    // Written last: a folder without it is one that was given up half-way.
    let ready = folder.join("ready");
    if ready.is_file() {
        return Ok(python);
    }
    if !can_make_environments() {
        tools::install(&["python3-venv"])?;
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(&requirements))?;
    std::fs::write(ready, "")?;
    Ok(python)
}

/// Debian's Python comes without the part that makes environments.
fn can_make_environments() -> bool {
    let mut look = Command::new("python3");
    look.args(["-c", "import ensurepip"]).stderr(Stdio::null());
    look.status().is_ok_and(|status| status.success())
}
