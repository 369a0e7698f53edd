//! The brokers' servers, and the raw queues on them that fluid is held against.

mod postgres;
mod redis;
mod sqlite;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use clap::ValueEnum;
use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::Broker;

use crate::Failure;
use crate::raw::RawQueue;

/// A broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Redis,
    Postgres,
}

impl Kind {
    /// Starts what is below it.
    pub(crate) async fn start(self) -> Result<Box<dyn Store>, Failure> {
        Ok(match self {
            Self::Sqlite => Box::new(sqlite::Sqlite::start()?),
            Self::Redis => Box::new(redis::Redis::start().await?),
            Self::Postgres => Box::new(postgres::Postgres::start().await?),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        })
    }
}

/// What brokers and raw queues keep their runs in. It ends with this value.
#[async_trait]
pub(crate) trait Store: Send {
    /// Which version it is, and when a write counts as done: the same for fluid and for what it is held against.
    async fn describe(&self) -> Result<String, Failure>;

    /// The URL of a broker with no runs, after everything else was removed.
    async fn fresh(&mut self) -> Result<String, Failure>;

    /// The raw queues that it has; fluid is held to the first.
    fn raw_queues(&self) -> &'static [&'static str];

    /// An empty raw queue of this name and so many connections to it, after everything else was removed.
    async fn raw(
        &mut self,
        name: &str,
        connections: usize,
    ) -> Result<Vec<Box<dyn RawQueue>>, Failure>;

    /// The same place for a broker whose calls are to be counted.
    fn watched(&self, url: &str) -> String {
        url.to_owned()
    }

    /// What was asked of the server since the last time; `None` where there is no server.
    async fn calls(&mut self) -> Result<Option<Calls>, Failure>;
}

/// What a server was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    /// Scripts or statements: each is one round trip.
    pub(crate) trips: u64,
    /// Commands or statements inside of these.
    pub(crate) inside: u64,
    /// What these are called.
    pub(crate) words: (&'static str, &'static str),
}

/// Opens a broker by its URL.
pub(crate) async fn open(url: &str) -> Result<Arc<dyn Broker>, Failure> {
    Ok(if url.starts_with("sqlite:") {
        Arc::new(SqliteBroker::open(SqliteOptions::from_url(url)?).await?)
    } else if url.starts_with("redis:") {
        Arc::new(RedisBroker::open(RedisOptions::from_url(url)?).await?)
    } else {
        Arc::new(PostgresBroker::open(PostgresOptions::from_url(url)?).await?)
    })
}
