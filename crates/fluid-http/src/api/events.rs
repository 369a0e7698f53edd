//! `/events`: what changed, as it changes.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use fluid_core::{Event, RunId};
use futures_util::Stream;
use futures_util::stream::unfold;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use crate::site::Site;

/// What happens within so long is told in one message.
const GATHER: Duration = Duration::from_secs(1);
/// How many runs a message names.
const NAMED: usize = 100;
/// How often a comment says that the stream lives.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What changed since the last message.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// Runs that were enqueued, started, told something or ended; at most 100.
    runs: BTreeSet<RunId>,
    /// More than these runs changed: anything may have.
    more: bool,
}

impl Changed {
    fn add(&mut self, event: Result<Event, RecvError>) {
        match event.map(|event| event.run()) {
            Ok(Some(run)) if self.runs.contains(&run) || self.runs.len() < NAMED => {
                self.runs.insert(run);
            }
            _ => self.more = true,
        }
    }
}

/// What changes, from now on, as server-sent events: at most one message per second, and none while nothing happens.
///
/// Each message is of the type `changed`. Messages are hints: ask again for what is shown, and now and then anyway.
#[utoipa::path(
    get, path = "/events", tag = "status",
    responses((status = 200, description = "The stream; the data of each message is a `Changed`", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream(
    State(site): State<Site>,
) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let messages = unfold(site.manager.events(), async |mut events| {
        let message = next(&mut events).await?;
        Some((Ok(message), events))
    });
    Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// The next message; `None` once nothing more can happen.
async fn next(events: &mut Receiver<Event>) -> Option<Sent> {
    let mut changed = Changed::default();
    let first = events.recv().await;
    if matches!(first, Err(RecvError::Closed)) {
        return None;
    }
    changed.add(first);
    let end = Instant::now() + GATHER;
    while let Ok(event) = timeout_at(end, events.recv()).await {
        let closed = matches!(event, Err(RecvError::Closed));
        changed.add(event);
        if closed {
            break;
        }
    }
    Sent::default().event("changed").json_data(changed).ok()
}
