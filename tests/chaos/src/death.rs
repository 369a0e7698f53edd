//! A process that does not outlive the one that started it.

use anyhow::bail;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Has the kernel kill this process when `parent` is gone, however it goes.
pub(crate) fn with(parent: i32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        bail!("the storm is over");
    }
    Ok(())
}
