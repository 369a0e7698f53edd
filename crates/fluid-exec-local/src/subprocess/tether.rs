//! Ties a child to this process before its program starts, where no guard can: the one place with unsafe code.
#![expect(
    unsafe_code,
    reason = "only code that runs between fork and exec can tie a child to its parent without a gap, and \
              `pre_exec` is unsafe because little is allowed there"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, getpid};

/// Makes the child of `command` die with the thread that spawns it (on Linux).
///
/// Such a child is started by a fork, for which the kernel copies the page tables of the whole process: 10 ms
/// for 512 MiB. Without it the standard library starts children in a way that costs the same for every size.
pub(super) fn tether(command: &mut Command) {
    let parent = getpid();
    let tie = move || die_with(parent);
    // SAFETY: After a fork of a process with threads only async-signal-safe functions may be called, because a
    // lock of the allocator or of the standard library may be held by a thread that no longer exists. The
    // closure takes no lock and allocates nothing: it makes the system calls prctl and getppid (rustix calls the
    // kernel or these thin wrappers), and makes errors of numbers alone, which need no allocation. It only reads
    // what it captured, a number: the child execs or exits without running destructors.
    unsafe {
        command.pre_exec(tie);
    }
}

/// Has the kernel kill this process when its parent ends, and fails if that has happened already.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(rustix::io::Errno::SRCH.into())
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: Pid) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_tethered_child_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            tether(command.arg("1000"));
            command.spawn()
        };
        let started = std::thread::spawn(start).join();
        let Ok(Ok(mut child)) = started else {
            panic!("not started: {started:?}");
        };
        let ended = child.wait().map(|status| status.signal());
        assert_eq!(ended.ok(), Some(Some(9)));
    }
}
