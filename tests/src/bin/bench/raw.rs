//! The ceiling: the same number of rows inserted, claimed and deleted in batches by plain rusqlite, with the same
//! pragmas and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// What the three steps took.
pub(crate) struct Raw {
    pub(crate) insert: Duration,
    pub(crate) claim_and_delete: Duration,
}

/// Inserts `count` rows in batches, then claims and deletes them batch by batch.
pub(crate) fn measure(path: &Path, count: usize, batch: usize) -> rusqlite::Result<Raw> {
    let mut db = Connection::open(path)?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    db.execute_batch("CREATE TABLE queue (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, task TEXT NOT NULL, params TEXT NOT NULL)")?;
    let begin = Instant::now();
    let mut left = count;
    while left > 0 {
        let rows = left.min(batch);
        let transaction = db.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO queue (state, task, params) VALUES (0, 'noop', '{}')",
            )?;
            for _ in 0..rows {
                insert.execute([])?;
            }
        }
        transaction.commit()?;
        left -= rows;
    }
    let insert = begin.elapsed();
    let begin = Instant::now();
    let mut first = 0_i64;
    loop {
        let transaction = db.transaction()?;
        let claimed: Vec<i64> = {
            let mut claim = transaction.prepare_cached(
                "UPDATE queue SET state = 1 WHERE id IN (SELECT id FROM queue WHERE id > ?1 AND state = 0 ORDER BY id LIMIT ?2) RETURNING id",
            )?;
            claim
                .query_map(params![first, batch], |row| row.get(0))?
                .collect::<Result<_, _>>()?
        };
        transaction.commit()?;
        let Some(last) = claimed.iter().max() else {
            break;
        };
        first = *last;
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
