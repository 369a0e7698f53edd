//! Ties a child to this process before its program starts: the one place with unsafe code.
#![expect(
    unsafe_code,
    reason = "only code that runs between fork and exec can tie a child to its parent without a gap, and \
              `pre_exec` is unsafe because little is allowed there"
)]

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::net::{SendFlags, send};
use rustix::process::{Pid, getpid};

/// Makes the child of `command` die with the thread that spawns it (on Linux), and tell the guard of its
/// process group. Call [`CommandExt::process_group`] with 0 too.
pub(super) fn tether(command: &mut Command, guard: Option<Arc<UnixStream>>) {
    let parent = getpid();
    let tie = move || {
        die_with(parent)?;
        if let Some(guard) = &guard {
            // A guard that is gone is replaced before the next child starts, and told of this one.
            let _ = send(
                guard.as_ref(),
                joined(getpid(), &mut [0; 16]),
                SendFlags::NOSIGNAL,
            );
        }
        Ok(())
    };
    // SAFETY: After a fork of a process with threads only async-signal-safe functions may be called, because a
    // lock of the allocator or of the standard library may be held by a thread that no longer exists. The
    // closure takes no lock and allocates nothing: it makes the system calls prctl, getppid, getpid and sendto
    // (signal-safety(7); rustix calls the kernel or these thin wrappers), formats a number into an array on
    // the stack, and makes errors of numbers alone, which need no allocation. It only reads what it captured,
    // and that is dropped in the parent: the child execs or exits without running destructors.
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

/// The line that tells the guard of a group, written without allocation.
fn joined(group: Pid, line: &mut [u8; 16]) -> &[u8] {
    let mut rest = group.as_raw_nonzero().get().unsigned_abs();
    let mut start = line.len() - 1;
    line[start] = b'\n';
    while rest > 0 {
        start -= 1;
        line[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line[start - 2..start].copy_from_slice(b"+ ");
    &line[start - 2..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_the_guard_fits_every_process_id() {
        for pid in [1, 10, 4711, i32::MAX] {
            let line = joined(Pid::from_raw(pid).unwrap(), &mut [0; 16]).to_vec();
            assert_eq!(String::from_utf8(line).unwrap(), format!("+ {pid}\n"));
        }
    }
}
