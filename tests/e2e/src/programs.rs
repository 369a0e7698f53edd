//! Other programs of this machine.

use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Whether there is such a program on the path; an absolute name is looked for where it says.
pub(crate) fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Runs one to its end; what it printed belongs to the error. Dropping the future kills it.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("could not start {:?}", command.as_std()))?;
    if !output.status.success() {
        bail!(
            "{:?} ended with {}: {}",
            command.as_std(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
