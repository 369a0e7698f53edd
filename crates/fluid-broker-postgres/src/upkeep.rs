//! Finished runs that are done once more, and those that are deleted.

use fluid_core::{BrokerResult, Event, RunFilter, RunId};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::broker::PostgresBroker;
use crate::error::Fault;
use crate::link::{Param, Repeat, Statement};
use crate::query;
use crate::record::{run_id, task};

impl PostgresBroker {
    /// Enqueues finished runs once more.
    pub(crate) async fn do_once_more(
        &self,
        filter: &RunFilter,
        limit: usize,
    ) -> BrokerResult<Vec<RunId>> {
        let filter = query::filter(filter);
        let now = self.time();
        let limit = query::limit(limit).min(i64::from(u32::MAX));
        let base = base();
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&self.teller.origin, Type::TEXT),
            (&false, Type::BOOL),
            (&base, Type::UUID),
        ];
        let schema = &self.link().schema;
        let ids = query::finished_ids(schema, &filter, limit, true, &mut params);
        let sql = format!("SELECT * FROM {schema}.once_more($1, $2, $3, $4, {ids})");
        let repeat = Repeat::Flagged(2);
        let answer = self
            .link()
            .ask(&Statement {
                sql,
                params,
                repeat,
            })
            .await?;
        let row = self.only(&answer)?;
        let read = || Ok((row.try_get(0)?, row.try_get(1)?));
        let (ids, tasks): (Option<Vec<Uuid>>, Option<Vec<&str>>) = self.told(read())?;
        let ids: Vec<RunId> = ids.unwrap_or_default().into_iter().map(run_id).collect();
        let mut events = Vec::new();
        for (run, name) in ids.iter().zip(tasks.unwrap_or_default()) {
            let (run, task) = (*run, self.told(task(name))?);
            events.push(Event::Enqueued { run, task });
        }
        self.tell(events, true);
        Ok(ids)
    }

    /// Deletes finished runs.
    pub(crate) async fn delete(&self, filter: &RunFilter, limit: usize) -> BrokerResult<usize> {
        let filter = query::filter(filter);
        let limit = query::limit(limit);
        let mut params: Vec<Param<'_>> = vec![(&self.teller.origin, Type::TEXT)];
        let schema = &self.link().schema;
        let ids = query::finished_ids(schema, &filter, limit, false, &mut params);
        let sql = format!("SELECT * FROM {schema}.purge($1, {ids})");
        // Once more would delete as many once more.
        let repeat = Repeat::Never;
        let answer = self
            .link()
            .ask(&Statement {
                sql,
                params,
                repeat,
            })
            .await?;
        let count: i64 = self.told(self.only(&answer)?.try_get(0).map_err(Fault::from))?;
        if count > 0 {
            self.tell(vec![Event::Changed], true);
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// An id from which others are counted up: its last 32 bits are zeros.
fn base() -> Uuid {
    let mut bytes = *RunId::new().as_bytes();
    bytes[12..].fill(0);
    Uuid::from_bytes(bytes)
}
