//! News for the tabs that are looked at: one subscription to the broker for all of them, and one stream for each.
//!
//! News are collected and told at most once a second, the first of them soon. What was asked or rendered up to a second
//! ago is given to many, so news are told once more a second later: then nobody is left with what was before. Since
//! events are hints, all are told to look from time to time even without any.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::{self, KeepAlive, Sse};
use fluid_core::{Event, RunId};
use fluid_scheduler::TaskManager;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use crate::site::Site;

/// The shortest time between two messages.
const PACE: Duration = Duration::from_secs(1);
/// How long the first of some news waits for those that come with it.
const GATHER: Duration = Duration::from_millis(50);
/// How often all look without any news.
const LOOK: Duration = Duration::from_secs(5);
/// How many messages a tab may be behind.
const BEHIND: usize = 8;

/// What happened since the last message.
#[derive(Debug, Clone, Default)]
struct News {
    /// Anything at all.
    any: bool,
    /// Nobody knows to which run.
    all: bool,
    runs: HashSet<RunId>,
    logs: HashSet<RunId>,
}

impl News {
    fn everything() -> Self {
        Self {
            any: true,
            all: true,
            ..Self::default()
        }
    }

    fn add(&mut self, event: &Event) {
        self.any |= !matches!(event, Event::Log { .. });
        match (event, event.run()) {
            (Event::Log { run }, _) => {
                self.logs.insert(*run);
            }
            (_, Some(run)) => {
                self.runs.insert(run);
            }
            (_, None) => self.all = true,
        }
    }

    fn join(&mut self, other: &Self) {
        self.any |= other.any;
        self.all |= other.all;
        self.runs.extend(&other.runs);
        self.logs.extend(&other.logs);
    }

    fn is_empty(&self) -> bool {
        !self.any && self.logs.is_empty()
    }

    /// The messages for a tab that looks at one run, or at many.
    fn told_to(&self, run: Option<RunId>) -> Option<&'static str> {
        let Some(run) = run else {
            return self.any.then_some("changed");
        };
        let changed = self.all || self.runs.contains(&run);
        match (changed, self.all || self.logs.contains(&run)) {
            (true, true) => Some("changed and log"),
            (true, false) => Some("changed"),
            (false, true) => Some("log"),
            (false, false) => None,
        }
    }
}

/// Where the news of one broker come in once and go out to all tabs.
#[derive(Debug)]
pub(super) struct Hub {
    out: broadcast::Sender<Arc<News>>,
    /// Whether somebody brings news: while there is a tab to tell them to.
    works: Arc<Mutex<bool>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            out: broadcast::Sender::new(BEHIND),
            works: Arc::default(),
        }
    }
}

impl Hub {
    /// News from now on. The first tab starts the work, which ends by itself soon after the last tab went.
    fn listen(&self, manager: &TaskManager) -> broadcast::Receiver<Arc<News>> {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = self.out.subscribe();
        if !*works {
            *works = true;
            let (out, flag) = (self.out.clone(), Arc::clone(&self.works));
            tokio::spawn(bring(manager.events(), out, flag));
        }
        listener
    }
}

async fn bring(
    mut events: broadcast::Receiver<Event>,
    out: broadcast::Sender<Arc<News>>,
    works: Arc<Mutex<bool>>,
) {
    let (mut news, mut again) = (News::default(), News::default());
    let mut last = Instant::now();
    let mut next = None;
    loop {
        let at = next.unwrap_or(last + LOOK);
        tokio::select! {
            biased;
            () = sleep_until(at) => {
                let told = if next.is_none() {
                    News::everything()
                } else {
                    again.join(&news);
                    std::mem::replace(&mut again, std::mem::take(&mut news))
                };
                let told = Arc::new(told);
                last = Instant::now();
                next = (!again.is_empty()).then_some(last + PACE);
                let mut works = works.lock().unwrap_or_else(PoisonError::into_inner);
                if out.send(told).is_err() {
                    *works = false;
                    return;
                }
            }
            event = events.recv() => {
                match event {
                    Ok(event) => news.add(&event),
                    Err(RecvError::Lagged(_)) => news.join(&News::everything()),
                    // The broker is closed, and so will the process be.
                    Err(RecvError::Closed) => {
                        *works.lock().unwrap_or_else(PoisonError::into_inner) = false;
                        return;
                    }
                }
                let soon = (last + PACE).max(Instant::now() + GATHER);
                next = Some(next.map_or(soon, |next| next.min(soon)));
            }
        }
    }
}

/// What a tab looks at.
#[derive(Debug, Deserialize)]
pub(super) struct Looks {
    run: Option<RunId>,
}

/// The stream of one tab.
pub(super) async fn stream(State(site): State<Site>, Query(looks): Query<Looks>) -> Response {
    let listener = site.shared.hub.listen(&site.manager);
    let messages = stream::unfold(listener, move |mut listener| async move {
        loop {
            let told = match listener.recv().await {
                Ok(news) => news.told_to(looks.run),
                Err(RecvError::Lagged(_)) => News::everything().told_to(looks.run),
                Err(RecvError::Closed) => return None,
            };
            if let Some(told) = told {
                let message = sse::Event::default().event("news").data(told);
                return Some((Ok::<_, Infallible>(message), listener));
            }
        }
    });
    Sse::new(messages)
        .keep_alive(KeepAlive::default())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_told_of_what_it_looks_at_alone() {
        let (mine, other) = (RunId::new(), RunId::new());
        let mut news = News::default();
        news.add(&Event::Log { run: mine });
        assert_eq!(news.told_to(Some(mine)), Some("log"));
        assert_eq!(
            (news.told_to(Some(other)), news.told_to(None)),
            (None, None)
        );
        news.add(&Event::Progress { run: other });
        assert_eq!(news.told_to(Some(mine)), Some("log"));
        assert_eq!(news.told_to(None), Some("changed"));
        news.add(&Event::Changed);
        assert_eq!(news.told_to(Some(mine)), Some("changed and log"));
    }
}
