//! What tabs share: what was asked of the broker or rendered a moment ago, and the news.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fluid_core::{Broker, BrokerResult, Stats};
use jiff::Timestamp;
use tokio::time::Instant;

use super::chart::{Minute, Throughput};
use super::live::Hub;
use super::page::Live;
use crate::api::Problem;

/// How long an answer will do for others that ask the same. News that came meanwhile are told once more after it, see
/// [`Hub`].
const FRESH: Duration = Duration::from_millis(900);
/// How many renderings are kept.
const RENDERINGS: usize = 256;

/// A value that is asked for once in a while, however many want it.
#[derive(Debug)]
struct Recent<T>(tokio::sync::Mutex<Option<(Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T: Clone> Recent<T> {
    /// The lock is held while the value is made: whoever comes meanwhile waits for it and takes it.
    async fn get<E>(&self, make: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut kept = self.0.lock().await;
        if let Some((at, value)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(value.clone());
        }
        let value = make.await?;
        *kept = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    async fn forget(&self) {
        *self.0.lock().await = None;
    }

    fn is_stale(&self) -> bool {
        self.0
            .try_lock()
            .is_ok_and(|kept| kept.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH))
    }
}

/// An address, and whether who asks may change anything.
pub(super) type Key = (String, bool);

/// What the pages of one site share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stats: Recent<Arc<Stats>>,
    throughput: tokio::sync::Mutex<Throughput>,
    renderings: Mutex<HashMap<Key, Arc<Recent<Arc<Live>>>>>,
    pub(super) hub: Hub,
}

impl Shared {
    /// The broker's counts, asked for about once a second at most.
    pub(super) async fn stats(&self, broker: &dyn Broker) -> BrokerResult<Arc<Stats>> {
        self.stats
            .get(async { broker.stats().await.map(Arc::new) })
            .await
    }

    /// What ended in each minute of the last hour; `None` when the broker does not tell.
    pub(super) async fn throughput(
        &self,
        broker: &dyn Broker,
        now: Timestamp,
    ) -> BrokerResult<Option<Vec<Minute>>> {
        self.throughput.lock().await.get(broker, now).await
    }

    /// The changing part of a page, made once for all who look at it in the same second.
    pub(super) async fn rendering(
        &self,
        key: Key,
        make: impl Future<Output = Result<Arc<Live>, Problem>>,
    ) -> Result<Arc<Live>, Problem> {
        let slot = {
            let mut kept = self
                .renderings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= RENDERINGS {
                kept.retain(|_, slot| !slot.is_stale());
            }
            Arc::clone(kept.entry(key).or_default())
        };
        slot.get(make).await
    }

    /// Forgets all: somebody changed something here and now looks at what became of it.
    pub(super) async fn forget(&self) {
        self.stats.forget().await;
        self.renderings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
