//! Tells other processes what happened here.
//!
//! `NOTIFY` holds a lock of the whole database until its transaction is on the disk, so writers that notify wait for
//! each other's disk. What can wait is therefore told by transactions of their own, which write nothing and so wait
//! for no disk, many events at once. Only the first request after a pause is told in its own transaction, for a
//! process that ends right after it would tell nobody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fluid_core::Event;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::events;
use crate::link::{Link, Repeat, Statement};

/// The time between two requests that are told in their own transactions.
const RARELY: Duration = Duration::from_millis(100);
/// How long events gather.
const GATHERING: Duration = Duration::from_millis(20);
/// More events than this wait as one change.
const MOST: usize = 2000;

/// What is to be told.
#[derive(Debug)]
pub(crate) struct Teller {
    /// Who tells: this handle.
    pub(crate) origin: String,
    waiting: Mutex<Vec<Event>>,
    told_at: Mutex<Option<Instant>>,
    something: Notify,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            origin: uuid::Uuid::new_v4().simple().to_string(),
            waiting: Mutex::default(),
            told_at: Mutex::default(),
            something: Notify::new(),
        }
    }

    /// The origin, if the next request is to be told in its own transaction.
    pub(crate) fn at_once(&self) -> Option<&str> {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told_at.is_some_and(|at| now.duration_since(at) < RARELY) {
            return None;
        }
        *told_at = Some(now);
        Some(&self.origin)
    }

    /// Tells these before long.
    pub(crate) fn soon(&self, events: impl IntoIterator<Item = Event>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            // Progress and output come often, and once is enough.
            if waiting.last() != Some(&event) {
                waiting.push(event);
            }
        }
        if waiting.len() > MOST {
            *waiting = vec![Event::Changed];
        }
        if !waiting.is_empty() {
            self.something.notify_one();
        }
    }

    /// Tells what is to be told, for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>, link: Arc<Link>) {
        let sql = format!(
            "SELECT pg_notify('fluid:{}', payload) FROM unnest($1) AS payload",
            link.schema
        );
        loop {
            self.something.notified().await;
            let events = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *waiting)
            };
            if !events.is_empty() {
                let payloads = events::payloads(&self.origin, &events);
                let statement = Statement {
                    sql: sql.clone(),
                    params: vec![(&payloads, Type::TEXT_ARRAY)],
                    repeat: Repeat::Never,
                };
                if let Err(error) = link.ask(&statement).await {
                    // They are hints.
                    tracing::debug!(%error, "others could not be notified");
                }
            }
            tokio::time::sleep(GATHERING).await;
        }
    }
}
