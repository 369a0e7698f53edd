//! Cancelling.

use fluid_core::{Cancelled, Event, RunId};

use crate::current::Current;
use crate::error::Outcome;
use crate::sql;
use crate::state::Stored;
use crate::store::Writing;

pub(crate) fn cancel(on: &mut Writing, run: RunId) -> Outcome<Cancelled> {
    let Some(current) = Current::by_id(on, run)? else {
        return Ok(Cancelled::NotFound);
    };
    match current.state {
        Stored::Scheduled | Stored::Queued => {
            let when = if current.attempt == 0 {
                "it started"
            } else {
                "its next attempt"
            };
            current.abort(on, format!("cancelled before {when}"))?;
            Ok(Cancelled::Aborted)
        }
        Stored::Running | Stored::Adoptable => {
            if !current.cancel_requested {
                let mut set = on.base.connection.prepare_cached(sql::SET_CANCEL)?;
                set.execute([current.seq])?;
                drop(set);
                on.tell(Event::CancelRequested { run });
            }
            Ok(Cancelled::Requested)
        }
        ended => Ok(Cancelled::AlreadyFinished(ended.public())),
    }
}
