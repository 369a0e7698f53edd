//! Claims: leases that ran out, runs that came due, and who goes next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fluid_core::{
    AttemptOutcome, BrokerResult, ClaimRequest, Claimed, ErrorKind, Event, LeaseToken,
    RateExceeded, RunError, RunId, TaskLimits, TaskName, TaskRun, Transition,
};
use jiff::Timestamp;

use super::entry::Entry;
use super::index::{Lane, Rank};
use super::later;
use super::store::Store;

/// The first run of each lane that may be claimed from, most urgent first.
type Heads = BinaryHeap<Reverse<(Rank, RunId, Lane)>>;

/// Whether the first run of a lane may start.
enum Admission {
    Start,
    /// The whole lane waits for somebody to finish.
    Full,
    /// The whole lane waits until then.
    Wait(Timestamp),
    /// The run is refused.
    Reject,
}

impl Store {
    pub(super) fn claim(
        &mut self,
        request: &ClaimRequest,
        now: Timestamp,
    ) -> BrokerResult<Claimed> {
        self.expire_leases(now)?;
        self.promote_due(now)?;
        let limits: BTreeMap<&TaskName, &TaskLimits> =
            request.tasks.iter().map(|l| (&l.task, l)).collect();
        let mut heads = self.heads(request, &limits);
        let mut runs = Vec::new();
        let mut waits: Option<Timestamp> = None;
        while runs.len() < request.limit {
            let Some(Reverse((_, run, lane))) = heads.pop() else {
                break;
            };
            let Some(limits) = limits.get(&lane.task) else {
                continue;
            };
            match self.admit(&lane, limits, now) {
                Admission::Start => {
                    runs.extend(self.start(run, request, limits.survives_consumer, now)?);
                }
                Admission::Reject => self.reject(run, now)?,
                Admission::Full => continue,
                Admission::Wait(until) => {
                    waits = Some(waits.map_or(until, |earlier| earlier.min(until)));
                    continue;
                }
            }
            if let Some((rank, run)) = self.index.head(&lane) {
                heads.push(Reverse((rank, run, lane)));
            }
        }
        let due = self.index.first_due().map(|(due, _)| due);
        let lease = self.index.first_lease().map(|(until, _)| until);
        Ok(Claimed {
            runs,
            next: [due, lease, waits].into_iter().flatten().min(),
            now,
        })
    }

    fn heads(&self, request: &ClaimRequest, limits: &BTreeMap<&TaskName, &TaskLimits>) -> Heads {
        let queues: BTreeSet<_> = request.queues.iter().collect();
        let mut heads = Heads::new();
        for task in limits.keys() {
            let enabled = !self.disabled.contains(*task);
            for queue in &queues {
                let open = enabled && !self.paused.contains(*queue);
                let lanes = self.index.lanes(task, queue);
                heads.extend(
                    lanes
                        .filter(|lane| open || lane.key.is_none())
                        .filter_map(|lane| {
                            let (rank, run) = self.index.head(lane)?;
                            Some(Reverse((rank, run, lane.clone())))
                        }),
                );
            }
        }
        heads
    }

    fn admit(&mut self, lane: &Lane, limits: &TaskLimits, now: Timestamp) -> Admission {
        // An adoption is no start.
        let Some(key) = &lane.key else {
            return Admission::Start;
        };
        let most = limits.max_concurrency;
        if most > 0 && self.index.running(&lane.task, key) >= most {
            return Admission::Full;
        }
        let Some(rate) = limits.rate_limit else {
            return Admission::Start;
        };
        let slot = (lane.task.clone(), key.clone());
        match (self.rates.admit(slot, rate, now), rate.exceeded) {
            (Ok(()), _) => Admission::Start,
            (Err(from), RateExceeded::Wait) => Admission::Wait(from),
            (Err(_), RateExceeded::Reject) => Admission::Reject,
        }
    }

    fn start(
        &mut self,
        run: RunId,
        request: &ClaimRequest,
        survives: bool,
        now: Timestamp,
    ) -> BrokerResult<Option<(TaskRun, LeaseToken)>> {
        let until = later(now, request.lease);
        let started = self.change(run, |entry| {
            let token = entry.start(request.consumer.clone(), now, until, survives)?;
            Ok((entry.run.clone(), token))
        });
        let started = started.transpose()?;
        if let Some((run, _)) = &started {
            self.events.push(Event::Started {
                run: run.id,
                task: run.task.clone(),
                attempt: run.attempt,
            });
        }
        Ok(started)
    }

    fn reject(&mut self, run: RunId, now: Timestamp) -> BrokerResult<()> {
        self.change(run, |entry| {
            // There is no attempt that could have an outcome; the last failure stays told.
            let error = entry.run.error.clone();
            entry.end(Transition::RateLimit, AttemptOutcome::Aborted, error, now)
        })
        .transpose()?;
        self.tell_finished(run);
        Ok(())
    }

    fn promote_due(&mut self, now: Timestamp) -> BrokerResult<()> {
        while let Some((due, run)) = self.index.first_due()
            && due <= now
        {
            self.change(run, |entry| entry.step(Transition::Due))
                .transpose()?;
        }
        Ok(())
    }

    fn expire_leases(&mut self, now: Timestamp) -> BrokerResult<()> {
        while let Some((until, run)) = self.index.first_lease()
            && until <= now
        {
            let ended = self
                .change(run, |entry| expire(entry, now))
                .transpose()?
                .unwrap_or(false);
            if ended {
                self.tell_finished(run);
            }
            if self
                .entries
                .get(&run)
                .is_some_and(|entry| !entry.run.state.is_terminal())
            {
                self.tell_claimable(run);
            }
        }
        Ok(())
    }
}

/// Deals with a lease that ran out; says whether its attempt ended.
fn expire(entry: &mut Entry, now: Timestamp) -> BrokerResult<bool> {
    if entry.survives_consumer() {
        entry.orphan()?;
        return Ok(false);
    }
    let consumer = entry.run.consumer.clone();
    let consumer = consumer.as_ref().map_or("", |consumer| consumer.as_str());
    if entry.run.cancel_requested {
        let error = RunError::new(
            ErrorKind::Aborted,
            format!("cancelled; consumer {consumer:?} vanished before it ended the attempt"),
        );
        entry.end(Transition::Abort, AttemptOutcome::Aborted, Some(error), now)?;
        return Ok(true);
    }
    let error = RunError::new(
        ErrorKind::Lost,
        format!("consumer {consumer:?} vanished: it did not extend its lease in time"),
    );
    if entry.run.interruptions >= entry.run.max_interruptions {
        entry.end(
            Transition::Interrupt,
            AttemptOutcome::Interrupted,
            Some(error),
            now,
        )?;
    } else {
        entry.next_attempt(
            Transition::Release,
            AttemptOutcome::Interrupted,
            Some(error),
            now,
        )?;
    }
    entry.run.interruptions += 1;
    Ok(true)
}
