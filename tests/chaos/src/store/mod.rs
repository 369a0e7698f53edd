//! The brokers that a storm can be on. Another one is a file here, and a line in each of the two functions below.

mod postgres;
mod redis;
mod sqlite;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;
use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, BrokerError, BrokerResult};
use fluid_proof::{ClockOff, Clocks};

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A file, no server
    Sqlite,
    /// A server of ours with an append-only file
    Redis,
    /// A server of ours whose commits wait for the disk
    Postgres,
}

impl Kind {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// A fresh store; what it needs is kept in `folder`.
    pub(crate) fn start(self, folder: &Path) -> anyhow::Result<Box<dyn Store>> {
        Ok(match self {
            Self::Sqlite => Box::new(sqlite::Sqlite::new(folder)?),
            Self::Redis => Box::new(redis::Redis::start()?),
            Self::Postgres => Box::new(postgres::Postgres::start()?),
        })
    }
}

/// Opens the broker of a URL in this process, on this clock if it takes its time from the process.
///
/// # Errors
/// The broker's own.
pub(crate) async fn open(url: &str, clock: ClockOff) -> BrokerResult<Arc<dyn Broker>> {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme {
        "sqlite" => {
            let options = SqliteOptions::from_url(url)?.clock(Arc::new(clock));
            Ok(Arc::new(SqliteBroker::open(options).await?))
        }
        "redis" => {
            let options = RedisOptions::from_url(url)?;
            Ok(Arc::new(RedisBroker::open(options).await?))
        }
        "postgres" => {
            let options = PostgresOptions::from_url(url)?;
            Ok(Arc::new(PostgresBroker::open(options).await?))
        }
        _ => Err(BrokerError::Invalid {
            broker: scheme.to_owned(),
            reason: "no storm is known for it".to_owned(),
        }),
    }
}

/// What keeps the runs in a storm: a file, or a server that can be disturbed. Everything here may block.
pub(crate) trait Store {
    /// Whose clock its times are from.
    fn clocks(&self) -> Clocks;

    /// The URL for a process that reaches the server at `address`; at its own if that is `None`.
    fn url(&self, address: Option<SocketAddr>) -> String;

    /// Where the server listens, now and after it was started again. `None` if there is no server; then nothing goes
    /// through a proxy and none of the calls below is made.
    fn server(&self) -> Option<SocketAddr> {
        None
    }

    /// Ends the server as `kill -9` does, and waits until it is gone.
    fn kill(&mut self) -> anyhow::Result<()> {
        bail!("this broker has no server")
    }

    /// Starts the server again on what it has kept, and waits until it takes connections.
    fn start_again(&mut self) -> anyhow::Result<()> {
        bail!("this broker has no server")
    }

    /// Stops the server where it is (SIGSTOP), or lets it go on (SIGCONT).
    fn pause(&mut self, paused: bool) -> anyhow::Result<()> {
        let _ = paused;
        bail!("this broker has no server")
    }
}
