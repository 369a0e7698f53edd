//! A PostgreSQL whose commits wait for the disk, and queues of batched statements with SKIP LOCKED.

use async_trait::async_trait;
use fluid_test_servers::postgres::{Postgres as Server, PostgresOptions};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use super::{Calls, Store};
use crate::Failure;
use crate::fluid::BATCH;
use crate::raw::{RawQueue, Row};

/// It keeps what ended as rows in another state, as fluid keeps it.
const KEPT: &str = "SKIP LOCKED, rows kept";
/// It deletes what ended.
const DELETED: &str = "SKIP LOCKED, rows deleted";

pub(super) struct Postgres {
    server: Server,
    client: Client,
}

impl Postgres {
    pub(super) async fn start() -> Result<Self, Failure> {
        let options = PostgresOptions::new()
            .durable()
            .setting("shared_preload_libraries", "pg_stat_statements")
            // Nothing is counted while it is timed.
            .setting("pg_stat_statements.track", "none");
        let server = Server::start(&options)?;
        let client = connect(&server).await?;
        client
            .batch_execute("CREATE EXTENSION pg_stat_statements")
            .await?;
        Ok(Self { server, client })
    }

    async fn empty(&self) -> Result<(), Failure> {
        let empty = "DROP TABLE IF EXISTS raw_queue; DROP SCHEMA IF EXISTS fluid CASCADE;";
        Ok(self.client.batch_execute(empty).await?)
    }
}

async fn connect(server: &Server) -> Result<Client, Failure> {
    let (client, connection) =
        tokio_postgres::connect(&server.socket_url("postgres"), NoTls).await?;
    // It ends with its client.
    tokio::spawn(connection);
    Ok(client)
}

#[async_trait]
impl Store for Postgres {
    async fn describe(&self) -> Result<String, Failure> {
        let settings = "SELECT format('PostgreSQL %s, fsync=%s, synchronous_commit=%s, full_page_writes=%s', \
             split_part(current_setting('server_version'), ' ', 1), current_setting('fsync'), \
             current_setting('synchronous_commit'), current_setting('full_page_writes'))";
        Ok(self.client.query_one(settings, &[]).await?.get(0))
    }

    async fn fresh(&mut self) -> Result<String, Failure> {
        self.empty().await?;
        Ok(self.server.socket_url("postgres"))
    }

    fn raw_queues(&self) -> &'static [&'static str] {
        &[KEPT, DELETED]
    }

    async fn raw(
        &mut self,
        name: &str,
        connections: usize,
    ) -> Result<Vec<Box<dyn RawQueue>>, Failure> {
        self.empty().await?;
        self.client.batch_execute(SCHEMA).await?;
        let mut queues: Vec<Box<dyn RawQueue>> = Vec::new();
        for _ in 0..connections {
            let client = connect(&self.server).await?;
            queues.push(Box::new(Queue::new(client, name == DELETED).await?));
        }
        Ok(queues)
    }

    fn watched(&self, url: &str) -> String {
        format!("{url}&options=-c%20pg_stat_statements.track%3Dall")
    }

    async fn calls(&mut self) -> Result<Option<Calls>, Failure> {
        let sums = "SELECT coalesce(sum(calls) FILTER (WHERE toplevel), 0)::bigint, \
             coalesce(sum(calls) FILTER (WHERE NOT toplevel), 0)::bigint FROM pg_stat_statements";
        let sums = self.client.query_one(sums, &[]).await?;
        self.client
            .batch_execute("SELECT pg_stat_statements_reset()")
            .await?;
        Ok(Some(Calls {
            trips: u64::try_from(sums.get::<_, i64>(0))?,
            inside: u64::try_from(sums.get::<_, i64>(1))?,
            words: ("statements", "statements in their functions"),
        }))
    }
}

/// The least that a queue on PostgreSQL is: rows with an id, and an index in the order of claiming.
const SCHEMA: &str = "CREATE TABLE raw_queue (id uuid PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, \
         state smallint NOT NULL, priority smallint NOT NULL, due_at bigint NOT NULL, token bigint, params text NOT NULL); \
     CREATE INDEX raw_queued ON raw_queue (priority, due_at, seq) WHERE state = 1;";
const INSERT: &str = "INSERT INTO raw_queue (id, state, priority, due_at, params) \
     SELECT id, 1, 1, due_at, params FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS n (id, due_at, params)";
const CLAIM: &str = "UPDATE raw_queue SET state = 3, token = $1 + seq WHERE id IN ( \
       SELECT id FROM raw_queue WHERE state = 1 ORDER BY priority, due_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED) \
     RETURNING id, token, params";
const DELETE: &str = "DELETE FROM raw_queue WHERE id = ANY ($1)";
const KEEP: &str = "UPDATE raw_queue SET state = 4 WHERE id = ANY ($1)";

struct Queue {
    client: Client,
    insert: Statement,
    claim: Statement,
    end: Statement,
}

impl Queue {
    async fn new(client: Client, deletes: bool) -> Result<Self, Failure> {
        Ok(Self {
            insert: client.prepare(INSERT).await?,
            claim: client.prepare(CLAIM).await?,
            end: client.prepare(if deletes { DELETE } else { KEEP }).await?,
            client,
        })
    }
}

#[async_trait]
impl RawQueue for Queue {
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let params: Vec<&str> = rows.iter().map(|row| row.params.as_str()).collect();
        let due = vec![1_795_000_000_000_000_i64; rows.len()];
        self.client
            .execute(&self.insert, &[&ids, &due, &params])
            .await?;
        Ok(())
    }

    async fn drain(&mut self, limit: usize) -> Result<usize, Failure> {
        let limit = i64::try_from(limit)?;
        let rows = self
            .client
            .query(&self.claim, &[&1_000_000_i64, &limit])
            .await?;
        let mut claimed: Vec<Uuid> = Vec::with_capacity(BATCH);
        for row in rows {
            let (id, _, _): (Uuid, i64, String) = (row.get(0), row.get(1), row.get(2));
            claimed.push(id);
        }
        if !claimed.is_empty() {
            self.client.execute(&self.end, &[&claimed]).await?;
        }
        Ok(claimed.len())
    }
}
