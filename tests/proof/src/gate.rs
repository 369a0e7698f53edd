//! Holds up a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    closed: AtomicBool,
    // Wakes who waits in the order in which they came; a watch channel would do so at random.
    opened: Notify,
}

/// Holds up whoever passes as long as it is closed. Clones are one gate, which is open at first.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<State>);

impl Gate {
    /// Closes or opens it.
    pub fn close(&self, closed: bool) {
        self.0.closed.store(closed, Ordering::Release);
        if !closed {
            self.0.opened.notify_waiters();
        }
    }

    /// Waits while it is closed. Cancellation safe.
    pub async fn pass(&self) {
        loop {
            // Who waits from before the look misses no opening.
            let opened = self.0.opened.notified();
            if !self.0.closed.load(Ordering::Acquire) {
                return;
            }
            opened.await;
        }
    }
}
