//! The ceilings: what plain rusqlite takes for the same number of rows, with the same pragmas and batches, and nothing
//! around it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use uuid::Uuid;

/// What the two halves took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) insert: Duration,
    pub(crate) claim_and_delete: Duration,
}

impl Raw {
    pub(crate) fn total(self) -> Duration {
        self.insert + self.claim_and_delete
    }
}

/// Rows that are nothing but a number: inserted, marked and deleted in the order of that number. No queue can be built
/// on this; it shows what SQLite's storage alone costs.
pub(crate) fn bare_rows(path: &Path, count: usize, batch: usize) -> rusqlite::Result<Raw> {
    let mut db = open(
        path,
        "CREATE TABLE queue (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, params TEXT NOT NULL)",
    )?;
    let begin = Instant::now();
    for _ in 0..count / batch {
        let transaction = db.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO queue (state, params) VALUES (0, '{}')")?;
            for _ in 0..batch {
                insert.execute([])?;
            }
        }
        transaction.commit()?;
    }
    let insert = begin.elapsed();
    let begin = Instant::now();
    let mut after = 0_i64;
    for _ in 0..count / batch {
        let transaction = db.transaction()?;
        let claimed: Vec<i64> = {
            let mut claim = transaction.prepare_cached(
                "UPDATE queue SET state = 1 WHERE id IN (SELECT id FROM queue WHERE id > ?1 ORDER BY id LIMIT ?2) RETURNING id",
            )?;
            claim
                .query_map(params![after, batch], |row| row.get(0))?
                .collect::<Result<_, _>>()?
        };
        transaction.commit()?;
        after = claimed.iter().copied().max().unwrap_or(after);
        let transaction = db.transaction()?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM queue WHERE id = ?1")?;
            for id in &claimed {
                delete.execute([id])?;
            }
        }
        transaction.commit()?;
    }
    Ok(Raw {
        insert,
        claim_and_delete: begin.elapsed(),
    })
}

/// The least that a queue is: rows under a unique id of 16 bytes, claimed in the order of priority, due time and
/// arrival under a token, deleted by id and token. No history, limits, schedules, logs or events.
pub(crate) fn queue_rows(path: &Path, count: usize, batch: usize) -> rusqlite::Result<Raw> {
    let mut db = open(
        path,
        "CREATE TABLE queue (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, task TEXT NOT NULL, state INTEGER NOT NULL, \
         priority INTEGER NOT NULL, due INTEGER NOT NULL, token INTEGER, lease INTEGER, params TEXT NOT NULL); \
         CREATE INDEX queue_order ON queue (priority, due, seq) WHERE state = 0;",
    )?;
    let begin = Instant::now();
    for number in 0..count / batch {
        let transaction = db.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO queue (id, task, state, priority, due, params) VALUES (?1, 'noop', 0, 1, ?2, '{}')",
            )?;
            for _ in 0..batch {
                insert.execute(params![Uuid::now_v7().as_bytes(), number])?;
            }
        }
        transaction.commit()?;
    }
    let insert = begin.elapsed();
    let begin = Instant::now();
    for number in 0..count / batch {
        let transaction = db.transaction()?;
        let claimed: Vec<([u8; 16], i64, String)> = {
            let mut claim = transaction.prepare_cached(
                "UPDATE queue SET state = 1, token = abs(random()), lease = ?1 WHERE seq IN \
                 (SELECT seq FROM queue WHERE state = 0 ORDER BY priority, due, seq LIMIT ?2) RETURNING id, token, params",
            )?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            claim
                .query_map(params![number, batch], row)?
                .collect::<Result<_, _>>()?
        };
        transaction.commit()?;
        let transaction = db.transaction()?;
        {
            let mut delete =
                transaction.prepare_cached("DELETE FROM queue WHERE id = ?1 AND token = ?2")?;
            for (id, token, _) in &claimed {
                delete.execute(params![id, token])?;
            }
        }
        transaction.commit()?;
    }
    Ok(Raw {
        insert,
        claim_and_delete: begin.elapsed(),
    })
}

fn open(path: &Path, schema: &str) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    db.execute_batch(schema)?;
    Ok(db)
}
