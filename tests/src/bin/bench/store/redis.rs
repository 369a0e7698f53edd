//! A Redis that writes all down, and a queue of pipelined list moves: LPUSH for a request, LMOVE to a list of what is
//! being worked on for a claim, LREM from there for an end.

use async_trait::async_trait;
use fluid_test_servers::redis::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;

use super::{Calls, Store};
use crate::Failure;
use crate::raw::{RawQueue, Row};

const FSYNC: &str = "everysec";

pub(super) struct Redis {
    server: RedisServer,
    connection: MultiplexedConnection,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Failure> {
        let options = RedisOptions::new()
            .line("appendonly yes")
            .line(&format!("appendfsync {FSYNC}"))
            // What happens to be rewritten meanwhile is not what is measured.
            .line("auto-aof-rewrite-percentage 0");
        let server = RedisServer::start(&options)?;
        let connection = connect(&server).await?;
        Ok(Self { server, connection })
    }

    async fn info(&mut self, section: &str) -> Result<String, Failure> {
        let mut info = redis::cmd("INFO");
        Ok(info.arg(section).query_async(&mut self.connection).await?)
    }
}

async fn connect(server: &RedisServer) -> Result<MultiplexedConnection, Failure> {
    let client = redis::Client::open(server.url())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

#[async_trait]
impl Store for Redis {
    async fn describe(&self) -> Result<String, Failure> {
        let version = self.server.info("redis_version")?;
        Ok(format!("Redis {version}, appendonly, appendfsync {FSYNC}"))
    }

    async fn fresh(&mut self) -> Result<String, Failure> {
        redis::cmd("FLUSHALL")
            .query_async::<()>(&mut self.connection)
            .await?;
        Ok(self.server.url())
    }

    fn raw_queues(&self) -> &'static [&'static str] {
        &["list moves"]
    }

    async fn raw(
        &mut self,
        _name: &str,
        connections: usize,
    ) -> Result<Vec<Box<dyn RawQueue>>, Failure> {
        self.fresh().await?;
        let mut lists: Vec<Box<dyn RawQueue>> = Vec::new();
        for number in 0..connections {
            lists.push(Box::new(Lists {
                connection: connect(&self.server).await?,
                taken: format!("raw:taken:{number}"),
            }));
        }
        Ok(lists)
    }

    async fn calls(&mut self) -> Result<Option<Calls>, Failure> {
        let stats = self.info("commandstats").await?;
        redis::cmd("CONFIG")
            .arg("RESETSTAT")
            .query_async::<()>(&mut self.connection)
            .await?;
        let mut calls = Calls {
            trips: 0,
            inside: 0,
            words: ("scripts", "commands in them"),
        };
        // cmdstat_evalsha:calls=7,usec=…
        for line in stats.lines() {
            let Some((name, rest)) = line.split_once(":calls=") else {
                continue;
            };
            let count: u64 = rest.split(',').next().unwrap_or_default().parse()?;
            match name {
                "cmdstat_evalsha" | "cmdstat_eval" => calls.trips += count,
                _ => calls.inside += count,
            }
        }
        Ok(Some(calls))
    }
}

struct Lists {
    connection: MultiplexedConnection,
    taken: String,
}

const WAITING: &str = "raw:queue";

#[async_trait]
impl RawQueue for Lists {
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let mut pipeline = redis::pipe();
        for row in rows {
            pipeline.cmd("LPUSH").arg(WAITING).arg(&row.text).ignore();
        }
        Ok(pipeline.query_async::<()>(&mut self.connection).await?)
    }

    async fn drain(&mut self, limit: usize) -> Result<usize, Failure> {
        let mut pipeline = redis::pipe();
        for _ in 0..limit {
            pipeline
                .cmd("LMOVE")
                .arg(WAITING)
                .arg(&self.taken)
                .arg("RIGHT")
                .arg("LEFT");
        }
        let moved: Vec<Option<String>> = pipeline.query_async(&mut self.connection).await?;
        let taken: Vec<String> = moved.into_iter().flatten().collect();
        let mut pipeline = redis::pipe();
        for text in &taken {
            pipeline.cmd("LREM").arg(&self.taken).arg(-1).arg(text);
        }
        if !taken.is_empty() {
            let removed: Vec<usize> = pipeline.query_async(&mut self.connection).await?;
            if removed.iter().sum::<usize>() != taken.len() {
                return Err("the lists lost something".into());
            }
        }
        Ok(taken.len())
    }
}
