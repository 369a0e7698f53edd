//! What is written to an attempt while it runs.

use std::time::Duration;

use fluid_core::{Event, LeaseRef, LeaseStatus, Report};

use crate::current::Current;
use crate::error::Outcome;
use crate::instant::later;
use crate::sql;
use crate::store::Writing;

pub(crate) fn extend(
    on: &mut Writing,
    leases: &[LeaseRef],
    lease: Duration,
) -> Outcome<Vec<LeaseStatus>> {
    let until = later(on.now, lease);
    leases
        .iter()
        .map(|lease| {
            let Some(current) = held(on, *lease)? else {
                return Ok(LeaseStatus::Lost);
            };
            let mut set = on.base.connection.prepare_cached(sql::SET_LEASE)?;
            set.execute((current.seq, until))?;
            Ok(if current.cancel_requested {
                LeaseStatus::CancelRequested
            } else {
                LeaseStatus::Held
            })
        })
        .collect()
}

fn held(on: &Writing, lease: LeaseRef) -> Outcome<Option<Current>> {
    let current = Current::by_id(on, lease.run)?;
    Ok(current.filter(|current| current.is_held_by(lease.token)))
}

pub(crate) fn report(on: &mut Writing, reports: &[Report]) -> Outcome<()> {
    for report in reports {
        let Some(Current { seq, id, .. }) = held(on, report.lease)? else {
            continue;
        };
        let connection = &on.base.connection;
        if let Some(progress) = &report.progress {
            let mut set = connection.prepare_cached(sql::SET_PROGRESS)?;
            set.execute((seq, progress.fraction, &progress.message))?;
        }
        if let Some(execution) = &report.execution {
            let mut set = connection.prepare_cached(sql::SET_EXECUTION)?;
            set.execute((seq, execution))?;
        }
        if let Some(waiting) = &report.waiting {
            let mut set = connection.prepare_cached(sql::SET_WHY_WAITING)?;
            set.execute((seq, waiting))?;
        }
        on.tell(Event::Progress { run: id });
    }
    Ok(())
}
