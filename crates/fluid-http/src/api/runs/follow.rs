//! A log as server-sent events.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use fluid_core::{BrokerResult, Event, RunId, RunState, TaskRun};
use futures_util::TryStreamExt;
use futures_util::stream::{iter, try_unfold};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use super::logs::{READ, Reader};
use crate::api::Problem;
use crate::api::events::KEEP_ALIVE;

/// How often to look although nothing said that there is something new: events are hints.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What is printed within so long is read at once.
const GATHER: Duration = Duration::from_millis(100);

struct Following {
    reader: Reader,
    events: Receiver<Event>,
    /// The end was told.
    told: bool,
}

/// The lines after the reader's position, or after the last that an earlier stream told, and the end.
pub(super) async fn stream(
    mut reader: Reader,
    run: &TaskRun,
    events: Receiver<Event>,
    told_before: Option<u64>,
) -> Result<Response, Problem> {
    if let Some(last) = told_before {
        reader.after = last;
        if run.state.is_terminal() && !goes_on(&reader).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let following = Following {
        reader,
        events,
        told: false,
    };
    let pieces = try_unfold(following, async |mut following| {
        let piece = following.next().await?;
        BrokerResult::Ok(piece.map(|piece| (piece, following)))
    });
    let sent = pieces.map_ok(|piece| iter(piece.into_iter().map(BrokerResult::Ok)));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(sent.try_flatten())
        .keep_alive(keep_alive)
        .into_response())
}

async fn goes_on(reader: &Reader) -> BrokerResult<bool> {
    let broker = reader.site.manager.broker();
    let lines = broker.read_logs(reader.run, reader.after, 1).await?;
    Ok(!lines.is_empty())
}

impl Following {
    /// The next events, as soon as there are any; `None` after the end.
    async fn next(&mut self) -> BrokerResult<Option<Vec<Sent>>> {
        if self.told {
            return Ok(None);
        }
        let run = self.reader.run;
        loop {
            // In this order: what was printed before the end is stored before it.
            let record = self.reader.site.manager.broker().get(run).await?;
            let state = record.map(|record| record.state);
            let ended = state.is_none_or(RunState::is_terminal);
            let (lines, full) = self.reader.read(READ).await?;
            let told = lines.iter().filter_map(|line| {
                let event = Sent::default().event("line").id(line.position.to_string());
                event.json_data(line).ok()
            });
            let mut told: Vec<Sent> = told.collect();
            if ended && !full {
                let end = Sent::default()
                    .event("end")
                    .id(self.reader.after.to_string());
                told.extend(end.json_data(json!({ "state": state })));
                self.told = true;
            }
            if !told.is_empty() {
                return Ok(Some(told));
            }
            if !full {
                let _ = timeout(LOOK_EVERY, news_of(&mut self.events, run)).await;
                sleep(GATHER).await;
            }
        }
    }
}

/// Waits until something may be new about a run. Cancellation safe.
async fn news_of(events: &mut Receiver<Event>, wanted: RunId) {
    loop {
        match events.recv().await {
            Ok(Event::Log { run } | Event::Finished { run, .. }) if run == wanted => return,
            Ok(Event::Changed) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
