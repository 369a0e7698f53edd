//! A run that is about to change its state, and the changes.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    AttemptOutcome, ConsumerId, ErrorKind, JsonText, LeaseToken, RunError, RunId, RunState,
};
use rusqlite::{OptionalExtension, Row, ToSql};

use crate::error::{Fault, Outcome};
use crate::instant::later;
use crate::record::{error_text, result_text, run_id, state};
use crate::sql;
use crate::state::{Coded, Stored};
use crate::store::Writing;

/// What a change of state has to know of a run.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) seq: i64,
    pub(crate) id: RunId,
    pub(crate) task: i64,
    pub(crate) queue: i64,
    pub(crate) state: Stored,
    pub(crate) attempt: u32,
    pub(crate) failures: u32,
    pub(crate) interruptions: u32,
    pub(crate) max_interruptions: u32,
    pub(crate) cancel_requested: bool,
    pub(crate) survives: bool,
    pub(crate) due_at: i64,
    pub(crate) started_at: i64,
    consumer: i64,
    pub(crate) execution: Option<String>,
    pub(crate) unique_key: Option<Arc<str>>,
    lease_token: i64,
}

impl Current {
    fn read(row: &Row<'_>) -> Outcome<Self> {
        Ok(Self {
            seq: row.get(0)?,
            id: run_id(row, 1)?,
            task: row.get(2)?,
            queue: row.get(3)?,
            state: state(row.get(4)?)?,
            attempt: row.get(5)?,
            failures: row.get(6)?,
            interruptions: row.get(7)?,
            max_interruptions: row.get(8)?,
            cancel_requested: row.get(9)?,
            survives: row.get(10)?,
            due_at: row.get(11)?,
            started_at: row.get(12)?,
            consumer: row.get(13)?,
            execution: row.get(14)?,
            unique_key: row.get(15)?,
            lease_token: row.get(16)?,
        })
    }

    fn find(on: &Writing, sql: &'static str, key: impl ToSql) -> Outcome<Option<Self>> {
        let mut find = on.base.connection.prepare_cached(sql)?;
        find.query_row([key], |row| Ok(Self::read(row)))
            .optional()?
            .transpose()
    }

    pub(crate) fn by_id(on: &Writing, id: RunId) -> Outcome<Option<Self>> {
        Self::find(on, sql::CURRENT_BY_ID, id.as_bytes())
    }

    pub(crate) fn by_seq(on: &Writing, seq: i64) -> Outcome<Self> {
        Self::find(on, sql::CURRENT_BY_SEQ, seq)?
            .ok_or_else(|| Fault::Corrupt(format!("an index knows run {seq}, its table does not")))
    }

    pub(crate) fn is_held_by(&self, token: LeaseToken) -> bool {
        self.state == Stored::Running && self.lease_token == token.as_i64()
    }

    pub(crate) fn succeeded_under(&self, token: LeaseToken) -> bool {
        self.state == Stored::Success && self.lease_token == token.as_i64()
    }

    /// Who claimed it last.
    pub(crate) fn consumer(&self, on: &mut Writing) -> Outcome<ConsumerId> {
        let base = &mut on.base;
        base.names.consumers.name(&base.connection, self.consumer)
    }

    /// The run ends, and with it the attempt that runs, if one does.
    pub(crate) fn end(
        self,
        on: &mut Writing,
        to: Stored,
        result: Option<&JsonText>,
        error: Option<&RunError>,
    ) -> Outcome<RunState> {
        let error = error_text(error)?;
        self.end_with(on, to, result.and_then(result_text), error.as_deref())
    }

    pub(crate) fn end_with(
        self,
        on: &mut Writing,
        to: Stored,
        result: Option<&str>,
        error: Option<&str>,
    ) -> Outcome<RunState> {
        on.must_last();
        on.base
            .connection
            .prepare_cached(sql::SET_ENDED)?
            .execute((
                self.seq,
                to.code(),
                on.now,
                self.failures,
                self.interruptions,
                result,
                error,
            ))?;
        self.moved(on, to);
        if let Some(key) = &self.unique_key {
            self.free(on, key)?;
        }
        on.tell_finished(self.id, self.task, to)?;
        Ok(to.public())
    }

    /// The run no longer stands in the way of others with its unique key, or only as long as its window lasts.
    fn free(&self, on: &Writing, key: &str) -> Outcome<()> {
        let connection = &on.base.connection;
        let mut free = connection.prepare_cached(sql::UNIQUE_FREE)?;
        if free.execute((self.task, key, self.id.as_bytes(), on.now))? == 0 {
            let mut finished = connection.prepare_cached(sql::UNIQUE_FINISHED)?;
            finished.execute((self.task, key, self.id.as_bytes()))?;
        }
        Ok(())
    }

    /// The attempt ended and the run goes on: it waits for the next one, for `delay` if there is one, and
    /// otherwise in its old place. `error` is `None` when the attempt did not fail, and then the error of an
    /// earlier one stays.
    pub(crate) fn wait_for_next(
        self,
        on: &mut Writing,
        outcome: AttemptOutcome,
        error: Option<&RunError>,
        delay: Option<Duration>,
    ) -> Outcome<RunState> {
        let error = error_text(error)?;
        let consumer = self.consumer(on)?;
        on.base
            .connection
            .prepare_cached(sql::ATTEMPT_ADD)?
            .execute((
                self.seq,
                self.attempt,
                consumer.as_str(),
                &self.execution,
                self.started_at,
                on.now,
                outcome.code(),
                &error,
            ))?;
        let due_at = delay.map_or(self.due_at, |delay| later(on.now, delay));
        let to = match delay {
            Some(delay) if !delay.is_zero() => Stored::Scheduled,
            _ => Stored::Queued,
        };
        self.wait(on, to, due_at, error.as_deref())?;
        on.tell_finished(self.id, self.task, to)?;
        on.tell_claimable(self.id, self.task)?;
        Ok(to.public())
    }

    /// The attempt goes on without its consumer, and waits to be adopted.
    pub(crate) fn wait_for_adoption(self, on: &mut Writing) -> Outcome<RunState> {
        self.wait(on, Stored::Adoptable, self.due_at, None)?;
        on.tell_claimable(self.id, self.task)?;
        Ok(RunState::Queued)
    }

    fn wait(&self, on: &mut Writing, to: Stored, due_at: i64, error: Option<&str>) -> Outcome<()> {
        on.base
            .connection
            .prepare_cached(sql::SET_WAITING)?
            .execute((
                self.seq,
                to.code(),
                due_at,
                self.failures,
                self.interruptions,
                error,
            ))?;
        self.moved(on, to);
        Ok(())
    }

    pub(crate) fn abort(self, on: &mut Writing, why: impl Into<String>) -> Outcome<RunState> {
        let error = RunError::new(ErrorKind::Aborted, why);
        self.end(on, Stored::Aborted, None, Some(&error))
    }

    fn moved(&self, on: &mut Writing, to: Stored) {
        on.counts.move_over(self.state, to, self.task, self.queue);
    }
}
