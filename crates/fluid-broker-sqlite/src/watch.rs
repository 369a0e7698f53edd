//! How processes that share the file hear of each other's commits.
//!
//! Who commits sets the modification time of the file afterwards, which the others watch: one cheap event for
//! each commit, and none before the commit can be seen. Whatever is lost on the way, a poll finds later.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod inotify;

use std::path::Path;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Watch;
#[cfg(target_os = "linux")]
pub(crate) use inotify::Watch;

/// Listens to what others do to the file, within a runtime; says so if that is impossible.
pub(crate) fn listen(path: &Path, broker: &str) -> Option<Watch> {
    let watch = Watch::new(path).inspect_err(|error| {
        tracing::warn!(broker, %error, "can't watch the file; changes by other processes are polled for");
    });
    watch.ok()
}

/// Tells the other processes that something was committed. That it can't be told is no fault: they poll.
#[cfg(unix)]
pub(crate) fn announce(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

    // By path: closing a descriptor of the file would drop the locks that SQLite holds on it.
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    let _ = utimensat(CWD, path, &times, AtFlags::empty());
}

/// Elsewhere the others poll.
#[cfg(not(unix))]
pub(crate) fn announce(_path: &Path) {}
