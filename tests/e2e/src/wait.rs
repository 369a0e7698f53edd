//! Waiting for what a cluster will do in its own time.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

/// How long between two looks at what cannot be watched.
const PAUSE: Duration = Duration::from_millis(100);

/// The instant after which a wait has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks until there is something to see. An error of the look ends the wait, and so does the deadline, which names
/// `what` was waited for. Cancel safe if `look` is.
pub(crate) async fn until<T>(
    deadline: Deadline,
    what: String,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if deadline.passed() {
            bail!("waited too long for {what}");
        }
        sleep(PAUSE).await;
    }
}
