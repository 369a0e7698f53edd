//! `Idempotency-Key`: a request that is sent again makes one run.

use std::time::Duration;

use axum::http::HeaderMap;
use fluid_core::{Due, NewRun, TaskRun, Unique};
use jiff::{SignedDuration, Timestamp};

use crate::api::Problem;

/// How long a key holds.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// The longest key, in bytes.
const LONGEST: usize = 255;
/// Brokers keep instants no finer than this.
const FINEST: SignedDuration = SignedDuration::from_millis(1);

/// The key of a request, if it has one.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Problem::header(format!(
            "Idempotency-Key must be 1 to {LONGEST} visible ASCII characters"
        )));
    }
    Ok(Some(text.to_owned()))
}

/// The claim of a key on its task's later requests.
pub(super) fn unique(key: &str) -> Unique {
    Unique {
        key: key.into(),
        window: Some(WINDOW),
    }
}

/// Refuses a key that comes back with another request than the one that its run was made for.
pub(super) fn check_same(new: &NewRun, run: &TaskRun) -> Result<(), Problem> {
    let differs = if new.params.expose().to_value() != run.params.expose().to_value() {
        "params"
    } else if new.queue != run.queue {
        "queue"
    } else if new.priority != run.priority {
        "priority"
    } else if !same_due(new.due, run) {
        "due time"
    } else {
        return Ok(());
    };
    Err(Problem::key_reused(run.id, differs))
}

/// A run that failed is due anew for its next attempt, and its first due time is not known any more.
fn same_due(due: Due, run: &TaskRun) -> bool {
    let first: Option<Timestamp> = match due {
        Due::Now => Some(run.created_at),
        Due::At(instant) => Some(instant),
        Due::After(delay) => run.created_at.checked_add(delay).ok(),
    };
    run.failures > 0 || first.is_some_and(|first| first.duration_since(run.due_at).abs() <= FINEST)
}
