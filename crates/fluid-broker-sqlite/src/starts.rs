//! The runs that one claim hands out, leased together.

use std::collections::HashMap;

use fluid_core::{ClaimRequest, Event, LeaseToken, TaskRun};
use rusqlite::ToSql;
use rusqlite::types::ValueRef;

use crate::error::{Fault, Outcome};
use crate::instant::later;
use crate::own_leases::OwnLease;
use crate::record::Record;
use crate::sql;
use crate::state::Stored;
use crate::store::{Reading, Writing};

/// How a run is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    /// Its attempt goes on, and is no new one.
    pub(crate) adoption: bool,
    pub(crate) survives: bool,
}

/// What a claim has chosen so far, by number and in order.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    ways: HashMap<i64, Way>,
    order: Vec<i64>,
}

impl Starts {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn contains(&self, seq: i64) -> bool {
        self.ways.contains_key(&seq)
    }

    pub(crate) fn add(&mut self, seq: i64, way: Way) {
        self.ways.insert(seq, way);
        self.order.push(seq);
    }

    /// Leases all of them to the consumer.
    pub(crate) fn lease(
        self,
        on: &mut Writing,
        request: &ClaimRequest,
    ) -> Outcome<Vec<(TaskRun, LeaseToken)>> {
        let mut leased = HashMap::with_capacity(self.len());
        for adoption in [false, true] {
            for survives in [false, true] {
                let way = Way { adoption, survives };
                let chosen = |seq: &&i64| self.ways.get(seq) == Some(&way);
                let seqs: Vec<String> = self
                    .order
                    .iter()
                    .filter(chosen)
                    .map(i64::to_string)
                    .collect();
                if !seqs.is_empty() {
                    let seqs = format!("[{}]", seqs.join(","));
                    lease_all(on, request, way, &seqs, &mut leased)?;
                }
            }
        }
        let taken = |seq: &i64| {
            leased.remove(seq).ok_or_else(|| {
                Fault::Corrupt(format!("an index knows run {seq}, its table does not"))
            })
        };
        self.order.iter().map(taken).collect()
    }
}

/// Leases the runs with these numbers, a JSON array.
fn lease_all(
    on: &mut Writing,
    request: &ClaimRequest,
    way: Way,
    seqs: &str,
    leased: &mut HashMap<i64, (TaskRun, LeaseToken)>,
) -> Outcome<()> {
    let until = later(on.now, request.lease);
    // Each run's token is this and its number.
    let tokens = LeaseToken::random().as_i64();
    let Reading { connection, names } = &mut on.base;
    let consumer = names.consumers.number(connection, &request.consumer)?;
    let bound: [&dyn ToSql; 6] = [&seqs, &until, &way.survives, &consumer, &tokens, &on.now];
    let (sql, bound) = if way.adoption {
        (sql::ADOPT, &bound[..5])
    } else {
        (sql::START, &bound[..])
    };
    let before = if way.adoption {
        Stored::Adoptable
    } else {
        Stored::Queued
    };
    on.base.connection.prepare_cached(sql)?.execute(bound)?;
    let records = {
        let base = &mut on.base;
        let mut lease = base.connection.prepare_cached(sql::RUNS_BY_SEQ)?;
        let mut rows = lease.query([seqs])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let token = LeaseToken::from_i64(row.get(31)?);
            let has_unique_key = row.get_ref(30)? != ValueRef::Null;
            let record = Record::read(row, &base.connection, &mut base.names)?;
            records.push((record, token, has_unique_key));
        }
        records
    };
    for (record, token, has_unique_key) in records {
        let Record {
            seq,
            task,
            queue,
            run,
            ..
        } = record;
        if run.max_interruptions == 0 && !way.survives {
            // It may not start a second time.
            on.must_last();
        }
        on.counts.move_over(before, Stored::Running, task, queue);
        on.tell(Event::Started {
            run: run.id,
            task: run.task.clone(),
            attempt: run.attempt,
        });
        if !has_unique_key {
            let lease = OwnLease {
                seq,
                token,
                task,
                queue,
            };
            on.own_leases.keep(run.id, lease);
        }
        leased.insert(seq, (run, token));
    }
    Ok(())
}
