//! What is written to a running attempt: its lease, its news, its end, the wish to cancel it.

use fluid_core::{
    AttemptOutcome, BrokerResult, Cancelled, ErrorKind, Event, Finish, Finished, LeaseRef,
    LeaseStatus, Report, RunError, RunId, RunState, Transition,
};
use jiff::Timestamp;

use super::entry::{Entry, Hold};
use super::later;
use super::store::Store;

impl Store {
    fn is_held(&self, lease: LeaseRef) -> bool {
        self.entries
            .get(&lease.run)
            .is_some_and(|entry| entry.is_held_by(lease.token))
    }

    pub(super) fn extend(&mut self, lease: LeaseRef, to: Timestamp) -> LeaseStatus {
        if !self.is_held(lease) {
            return LeaseStatus::Lost;
        }
        let cancel = self.change(lease.run, |entry| {
            if let Hold::Leased { until, .. } = &mut entry.hold {
                *until = to;
            }
            entry.run.cancel_requested
        });
        if cancel == Some(true) {
            LeaseStatus::CancelRequested
        } else {
            LeaseStatus::Held
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        if !self.is_held(report.lease) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&report.lease.run) {
            let run = &mut entry.run;
            if report.progress.is_some() {
                run.progress = report.progress;
            }
            if report.execution.is_some() {
                run.execution = report.execution;
            }
            if let Some(waiting) = report.waiting {
                run.waiting = waiting;
            }
            self.events.push(Event::Progress { run: run.id });
        }
    }

    pub(super) fn finish(
        &mut self,
        lease: LeaseRef,
        finish: Finish,
        now: Timestamp,
    ) -> BrokerResult<Finished> {
        if !self.is_held(lease) {
            return Ok(Finished::Lost);
        }
        let run = lease.run;
        let Some(state) = self
            .change(run, |entry| write(entry, finish, now))
            .transpose()?
        else {
            return Ok(Finished::Lost);
        };
        let goes_on = self.entries.get(&run).map(|entry| entry.hold) == Some(Hold::Orphaned);
        if !goes_on {
            self.tell_finished(run);
        }
        if !state.is_terminal() {
            self.tell_claimable(run);
        }
        Ok(Finished::Written(state))
    }

    pub(super) fn cancel(&mut self, run: RunId, now: Timestamp) -> BrokerResult<Cancelled> {
        let Some(entry) = self.entries.get_mut(&run) else {
            return Ok(Cancelled::NotFound);
        };
        if entry.run.state.is_terminal() {
            return Ok(Cancelled::AlreadyFinished(entry.run.state));
        }
        if entry.hold != Hold::None {
            if !entry.run.cancel_requested {
                entry.run.cancel_requested = true;
                self.events.push(Event::CancelRequested { run });
            }
            return Ok(Cancelled::Requested);
        }
        let when = if entry.run.attempt == 0 {
            "it started"
        } else {
            "its next attempt"
        };
        let error = RunError::new(ErrorKind::Aborted, format!("cancelled before {when}"));
        self.change(run, |entry| {
            entry.end(Transition::Abort, AttemptOutcome::Aborted, Some(error), now)
        })
        .transpose()?;
        self.tell_finished(run);
        Ok(Cancelled::Aborted)
    }
}

/// Writes the end of an attempt; the state of the run after it.
fn write(entry: &mut Entry, finish: Finish, now: Timestamp) -> BrokerResult<RunState> {
    match finish {
        Finish::Success(result) => {
            entry.end(Transition::Succeed, AttemptOutcome::Success, None, now)?;
            entry.run.result = Some(result);
        }
        Finish::Failure(error) => {
            entry.end(Transition::Fail, AttemptOutcome::Failure, Some(error), now)?;
            entry.run.failures += 1;
        }
        Finish::Aborted(error) => {
            entry.end(Transition::Abort, AttemptOutcome::Aborted, Some(error), now)?;
        }
        Finish::Retry { error, .. } if entry.run.cancel_requested => {
            let why = format!("cancelled; the attempt had failed: {error}");
            abort_cancelled(entry, why, now)?;
        }
        Finish::Retry { after, error } => {
            entry.next_attempt(
                Transition::RetryLater,
                AttemptOutcome::Failure,
                Some(error),
                now,
            )?;
            entry.run.failures += 1;
            entry.run.due_at = later(now, after);
            if after.is_zero() {
                entry.step(Transition::Due)?;
            }
        }
        Finish::Released if entry.survives_consumer() => entry.orphan()?,
        Finish::Released if entry.run.cancel_requested => {
            let why = "cancelled; its consumer stopped".to_owned();
            abort_cancelled(entry, why, now)?;
        }
        Finish::Released => {
            entry.next_attempt(Transition::Release, AttemptOutcome::Released, None, now)?;
        }
        // `Finish` may grow: what this broker does not know yet ends the attempt as a failure.
        unknown => {
            let error = RunError::new(
                ErrorKind::Error,
                format!("the memory broker does not know the end {unknown:?}"),
            );
            entry.end(Transition::Fail, AttemptOutcome::Failure, Some(error), now)?;
        }
    }
    Ok(entry.run.state)
}

fn abort_cancelled(entry: &mut Entry, why: String, now: Timestamp) -> BrokerResult<RunState> {
    let error = RunError::new(ErrorKind::Aborted, why);
    entry.end(Transition::Abort, AttemptOutcome::Aborted, Some(error), now)
}
