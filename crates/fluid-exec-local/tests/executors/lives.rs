//! Processes as seen from outside.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long a process may take to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// A process that lived when it was looked at; never another of the same id.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Life {
    pub(crate) fn of(pid: i32) -> Self {
        let handle = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty());
        let handle = handle.unwrap_or_else(|error| panic!("process {pid}: {error}"));
        let life = Self { pid, handle };
        assert!(!life.ends_within(Duration::ZERO), "{pid} has ended already");
        life
    }

    /// Waits for its end.
    pub(crate) fn must_end(&self) {
        let file = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        assert!(
            self.ends_within(DEADLINE),
            "process {} still lives after {DEADLINE:?}: {:?} {:?}",
            self.pid,
            file("cmdline"),
            file("stat"),
        );
    }

    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
        let limit = Timespec::try_from(limit).unwrap();
        poll(&mut handles, Some(&limit)).unwrap() > 0
    }
}

/// The ids of the children of a process.
pub(crate) fn children_of(pid: u32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = threads.map(|thread| thread.unwrap().path().join("children"));
    // A thread may have ended meanwhile.
    let lists = lists.filter_map(|list| std::fs::read_to_string(list).ok());
    let all: String = lists.collect::<Vec<_>>().join(" ");
    all.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}
