//! How many runs there are in each state, by task and queue.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::error::Outcome;
use crate::sql;
use crate::state::Stored;

/// Changes of the counts that the current transaction has still to write.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    changes: BTreeMap<(i64, i64, i64), i64>,
}

impl Counts {
    pub(crate) fn enter(&mut self, state: Stored, task: i64, queue: i64) {
        *self.changes.entry((state.code(), task, queue)).or_default() += 1;
    }

    pub(crate) fn leave(&mut self, state: Stored, task: i64, queue: i64) {
        *self.changes.entry((state.code(), task, queue)).or_default() -= 1;
    }

    pub(crate) fn move_over(&mut self, from: Stored, to: Stored, task: i64, queue: i64) {
        self.leave(from, task, queue);
        self.enter(to, task, queue);
    }

    pub(crate) fn forget(&mut self) {
        self.changes.clear();
    }

    pub(crate) fn write(&mut self, connection: &Connection) -> Outcome<()> {
        if self.changes.values().any(|change| *change != 0) {
            let mut add = connection.prepare_cached(sql::COUNT_ADD)?;
            for ((state, task, queue), change) in &self.changes {
                if *change != 0 {
                    add.execute((state, task, queue, change))?;
                }
            }
        }
        self.changes.clear();
        Ok(())
    }
}
