//! Starting programs and stopping at the first that fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Where cargo says a package is. What it said when this was compiled may be another checkout that shares the target
/// folder.
pub(crate) const MANIFEST: &str = "CARGO_MANIFEST_DIR";

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os(MANIFEST).map(PathBuf::from);
    let root = manifest.as_deref().and_then(Path::parent);
    root.map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The cargo that runs this xtask.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Says what is run, runs it, and fails when it does.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let words = words(command);
    eprintln!("» {words}");
    let status = command
        .status()
        .with_context(|| format!("could not start {words}"))?;
    if !status.success() {
        bail!("{words} ended with {status}");
    }
    Ok(())
}

/// What a program prints on standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let words = words(command);
    let output = command
        .output()
        .with_context(|| format!("could not start {words}"))?;
    if !output.status.success() {
        bail!(
            "{words} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
