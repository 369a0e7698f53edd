//! Linux tells the writer's thread itself, so that no other thread wakes for every commit, this process's own
//! included.

use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Hears of commits until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// To be made within the runtime that waits.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, path, WatchFlags::ATTRIB)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for types that don't keep to one descriptor; `OwnedFd` does"
        )]
        AsyncFd::with_interest(events, Interest::READABLE).map(Self)
    }

    /// Waits until there may have been a commit. Cancellation safe.
    pub(crate) async fn changed(&self) {
        let Ok(mut ready) = self.0.readable().await else {
            return pending().await;
        };
        self.forget();
        ready.clear_ready();
    }

    /// Forgets what was heard, which may be no more than what this process announced itself.
    pub(crate) fn forget(&self) {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = Reader::new(&self.0, &mut buffer);
        while events.next().is_ok() {}
    }
}
