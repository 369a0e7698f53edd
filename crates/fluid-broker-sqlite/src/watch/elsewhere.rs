//! Where there is no inotify, a thread of the crate notify tells the writer's.

use std::path::Path;
use std::sync::Arc;

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Hears of commits until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    poke: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    pub(crate) fn new(path: &Path) -> notify::Result<Self> {
        let poke = Arc::new(Notify::new());
        let poked = Arc::clone(&poke);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Opening and closing the file is no change. Whatever went wrong may have hidden one.
                if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                    return;
                }
                poked.notify_one();
            })?;
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(Self {
            poke,
            _watcher: watcher,
        })
    }

    /// Waits until there may have been a commit. Cancellation safe.
    pub(crate) async fn changed(&self) {
        self.poke.notified().await;
    }

    /// Forgets nothing: who was poked for its own commit looks once too often.
    pub(crate) fn forget(&self) {}
}
