//! How processes that share the file hear of each other's commits.
//!
//! Who commits sets the modification time of the file afterwards, which the others watch: one cheap event for
//! each commit, and none before the commit can be seen. Whatever is lost on the way, a poll finds later.

use std::path::Path;
use std::sync::Arc;

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Pokes whenever the file may have changed, until it is dropped.
pub(crate) fn watch(path: &Path, poke: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Opening and closing the file is no change. Whatever went wrong may have hidden one.
        if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            return;
        }
        poke.notify_one();
    })?;
    watcher.watch(path, RecursiveMode::NonRecursive)?;
    Ok(watcher)
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
