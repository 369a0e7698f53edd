//! A file, and queues of plain rusqlite with the same pragmas.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::{Calls, Store};
use crate::Failure;
use crate::raw::{RawQueue, Row};

/// The least that a queue is: rows under a unique id of 16 bytes, claimed in the order of priority, due time and
/// arrival under a token, deleted by id and token. No history, limits, schedules, logs or events.
const QUEUE: &str = "plain queue";
/// Rows that are nothing but a number: inserted, marked and deleted in the order of that number. No queue can be built
/// on this; it shows what SQLite's storage alone costs.
const BARE: &str = "bare rows";

pub(super) struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    pub(super) fn start() -> Result<Self, Failure> {
        Ok(Self {
            folder: TempDir::new()?,
        })
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn describe(&self) -> Result<String, Failure> {
        Ok(format!(
            "SQLite {}, WAL, synchronous=FULL",
            rusqlite::version()
        ))
    }

    async fn fresh(&mut self) -> Result<String, Failure> {
        self.folder = TempDir::new()?;
        Ok(format!(
            "sqlite://{}",
            self.folder.path().join("fluid.db").display()
        ))
    }

    fn raw_queues(&self) -> &'static [&'static str] {
        &[QUEUE, BARE]
    }

    async fn raw(
        &mut self,
        name: &str,
        connections: usize,
    ) -> Result<Vec<Box<dyn RawQueue>>, Failure> {
        self.folder = TempDir::new()?;
        let path = self.folder.path().join("raw.db");
        let open = || {
            let db = Connection::open(&path)?;
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
            Ok::<_, rusqlite::Error>(db)
        };
        let bare = name == BARE;
        open()?.execute_batch(if bare { BARE_SCHEMA } else { QUEUE_SCHEMA })?;
        (0..connections)
            .map(|_| {
                let db = open()?;
                Ok(if bare {
                    Box::new(Bare { db, after: 0 }) as Box<dyn RawQueue>
                } else {
                    Box::new(Queue { db })
                })
            })
            .collect()
    }

    async fn calls(&mut self) -> Result<Option<Calls>, Failure> {
        Ok(None)
    }
}

const QUEUE_SCHEMA: &str = "CREATE TABLE queue (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, task TEXT NOT NULL, \
     state INTEGER NOT NULL, priority INTEGER NOT NULL, due INTEGER NOT NULL, token INTEGER, params TEXT NOT NULL); \
     CREATE INDEX queue_order ON queue (priority, due, seq) WHERE state = 0;";

struct Queue {
    db: Connection,
}

#[async_trait]
impl RawQueue for Queue {
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let transaction = self.db.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO queue (id, task, state, priority, due, params) VALUES (?1, 'noop', 0, 1, ?2, ?3)",
            )?;
            for row in rows {
                insert.execute(params![
                    row.id.as_bytes(),
                    1_795_000_000_000_000_i64,
                    row.params
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    async fn drain(&mut self, limit: usize) -> Result<usize, Failure> {
        let transaction = self.db.transaction()?;
        let claimed: Vec<([u8; 16], i64, String)> = {
            let mut claim = transaction.prepare_cached(
                "UPDATE queue SET state = 1, token = abs(random()) WHERE seq IN \
                 (SELECT seq FROM queue WHERE state = 0 ORDER BY priority, due, seq LIMIT ?1) RETURNING id, token, params",
            )?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            claim.query_map([limit], row)?.collect::<Result<_, _>>()?
        };
        transaction.commit()?;
        let transaction = self.db.transaction()?;
        {
            let mut delete =
                transaction.prepare_cached("DELETE FROM queue WHERE id = ?1 AND token = ?2")?;
            for (id, token, _) in &claimed {
                delete.execute(params![id, token])?;
            }
        }
        transaction.commit()?;
        Ok(claimed.len())
    }
}

const BARE_SCHEMA: &str =
    "CREATE TABLE queue (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, params TEXT NOT NULL)";

struct Bare {
    db: Connection,
    after: i64,
}

#[async_trait]
impl RawQueue for Bare {
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let transaction = self.db.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO queue (state, params) VALUES (0, ?1)")?;
            for row in rows {
                insert.execute([&row.params])?;
            }
        }
        Ok(transaction.commit()?)
    }

    async fn drain(&mut self, limit: usize) -> Result<usize, Failure> {
        let transaction = self.db.transaction()?;
        let claimed: Vec<i64> = {
            let mut claim = transaction.prepare_cached(
                "UPDATE queue SET state = 1 WHERE id IN \
                 (SELECT id FROM queue WHERE id > ?1 AND state = 0 ORDER BY id LIMIT ?2) RETURNING id",
            )?;
            claim
                .query_map(params![self.after, limit], |row| row.get(0))?
                .collect::<Result<_, _>>()?
        };
        transaction.commit()?;
        self.after = claimed.iter().copied().max().unwrap_or(self.after);
        let transaction = self.db.transaction()?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM queue WHERE id = ?1")?;
            for id in &claimed {
                delete.execute([id])?;
            }
        }
        transaction.commit()?;
        Ok(claimed.len())
    }
}
