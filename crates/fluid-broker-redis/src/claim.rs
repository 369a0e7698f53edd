//! Claims.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fluid_core::{
    BrokerResult, ClaimRequest, Claimed, ConsumerId, LeaseToken, RateExceeded, RunState,
    TaskLimits, TaskRun,
};
use redis::{Cmd, Value};

use crate::answer;
use crate::broker::RedisBroker;
use crate::course;
use crate::fault::{Fault, Outcome};
use crate::link::Lasts;
use crate::record::{self, Names, instant, run_id, utf8};
use crate::request::micros;
use crate::script;

/// How many runs one script leases. A token ends in three digits of its run's place.
const AT_ONCE: usize = 1000;

/// Numbers of claims are below this, so that a token fits 63 bits with three digits more.
const NUMBERS: u64 = 9_000_000_000_000_000;

/// Claims that were asked for: those that nobody answered are asked for again under their number, and brought to the
/// same consumer; of those that were answered the server need not keep the answer.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unanswered: HashMap<ConsumerId, Vec<Unanswered>>,
    answered: Vec<u64>,
}

/// A claim that nobody answered.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    number: u64,
    limit: usize,
    /// Afterwards its leases have run out.
    until: Instant,
}

/// A claim that waits for its answer.
struct Asked<'a> {
    claims: &'a Claims,
    consumer: ConsumerId,
    claim: Unanswered,
    /// It was asked for before.
    again: bool,
    done: bool,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A claim of at most `limit` runs, and those that the server may forget.
    fn ask(&self, consumer: &ConsumerId, limit: usize, lease: Duration) -> (Asked<'_>, Vec<u64>) {
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.unanswered.get_mut(consumer).and_then(|claims| {
            claims.retain(|claim| now < claim.until);
            let at = claims.iter().position(|claim| claim.limit <= limit)?;
            Some(claims.swap_remove(at))
        });
        let fresh = || Unanswered {
            number: fresh_number(),
            limit,
            until: now + lease,
        };
        let asked = Asked {
            claims: self,
            consumer: consumer.clone(),
            again: before.is_some(),
            claim: before.unwrap_or_else(fresh),
            done: false,
        };
        (asked, std::mem::take(&mut state.answered))
    }
}

impl Asked<'_> {
    /// `once`: it was asked for once, and so nothing can be on its way that asks for it again.
    fn answered(mut self, once: bool) {
        self.done = true;
        if once && !self.again {
            self.claims.lock().answered.push(self.claim.number);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut state = self.claims.lock();
            state
                .unanswered
                .entry(self.consumer.clone())
                .or_default()
                .push(self.claim);
        }
    }
}

/// A number that no other claim has.
fn fresh_number() -> u64 {
    LeaseToken::random().as_i64().unsigned_abs() % NUMBERS
}

impl RedisBroker {
    pub(crate) async fn lease(&self, request: &ClaimRequest) -> BrokerResult<Claimed> {
        let mut all: Option<Claimed> = None;
        loop {
            let have = all.as_ref().map_or(0, |claimed| claimed.runs.len());
            let limit = (request.limit - have).min(AT_ONCE);
            let (some, more) = match self.lease_some(request, limit).await {
                Ok(some) => some,
                // What was leased before is not lost for what came after.
                Err(error) => return all.ok_or(error),
            };
            let claimed = match all.take() {
                Some(before) => Claimed {
                    runs: before.runs.into_iter().chain(some.runs).collect(),
                    ..some
                },
                None => some,
            };
            if !more || claimed.runs.len() >= request.limit {
                return Ok(claimed);
            }
            all = Some(claimed);
        }
    }

    /// Leases some runs; whether there may be more.
    async fn lease_some(
        &self,
        request: &ClaimRequest,
        limit: usize,
    ) -> BrokerResult<(Claimed, bool)> {
        let (asked, answered) = self.claims.ask(&request.consumer, limit, request.lease);
        let Unanswered { number, limit, .. } = asked.claim;
        let (answer, again) = self
            .link
            .run_noting(&script::CLAIM, Lasts::Yes, |command| {
                command
                    .arg(format!("{number:016}"))
                    .arg(limit)
                    .arg(micros(request.lease))
                    .arg(request.consumer.as_str());
                command.arg(answered.len());
                for number in &answered {
                    command.arg(format!("{number:016}"));
                }
                command.arg(request.queues.len());
                for queue in request.queues.iter() {
                    command.arg(queue.as_str());
                }
                command.arg(request.tasks.len());
                for limits in request.tasks.iter() {
                    write_limits(command, limits);
                }
            })
            .await?;
        let (claimed, said) = self.read(|| read_claimed(answer, number, request))?;
        // One that was asked for before brings what it leased then.
        let more = claimed.runs.len() == AT_ONCE || asked.again;
        asked.answered(!again);
        self.tell(&said);
        Ok((claimed, more))
    }
}

fn write_limits(command: &mut Cmd, limits: &TaskLimits) {
    if limits.max_concurrency == 0 && limits.rate_limit.is_none() && !limits.survives_consumer {
        command.arg(limits.task.as_str());
        return;
    }
    let rate = limits.rate_limit.map_or_else(
        || "\t\t".to_owned(),
        |rate| {
            let interval = micros(rate.interval());
            let tolerance = interval.saturating_mul(u64::from(rate.limit.max(1)) - 1);
            let exceeded = match rate.exceeded {
                RateExceeded::Wait => 'w',
                RateExceeded::Reject => 'r',
            };
            format!("{interval}\t{tolerance}\t{exceeded}")
        },
    );
    let survives = u8::from(limits.survives_consumer);
    command.arg(format!(
        "{}\t{}\t{rate}\t{survives}",
        limits.task, limits.max_concurrency
    ));
}

fn read_claimed(answer: Value, number: u64, request: &ClaimRequest) -> Outcome<(Claimed, String)> {
    let [now, next, said, members, fixed, atts] = answer::parts(answer)?;
    let now = instant(&answer::text(now)?)?;
    let next = answer::text(next)?;
    let mut names = Names::default();
    let mut runs: Vec<(TaskRun, LeaseToken)> = Vec::new();
    let mut atts = attempts_by_place(atts)?;
    let mut fixed = answer::list(fixed)?.into_iter();
    let token = |place: usize| {
        LeaseToken::from_i64(i64::try_from(number * 1000 + place as u64).unwrap_or_default())
    };
    for member in answer::list(members)? {
        if let Value::Array(slice) = member {
            for mut run in read_slice(slice, &mut names)? {
                first_attempt(&mut run, now, request);
                runs.push((run, token(runs.len())));
            }
            continue;
        }
        let member = answer::bytes(member)?;
        let id = utf8(&member)?
            .get(PLACE..PLACE + 36)
            .ok_or_else(|| record::corrupt("a member", &member))?;
        let id = run_id(id)?;
        let Some(fixed) = fixed
            .next()
            .map(answer::optional_bytes)
            .transpose()?
            .flatten()
        else {
            return Err(Fault::Corrupt(format!(
                "run {id} waits, and there is no record of it"
            )));
        };
        let att = atts.remove(&(runs.len() + 1)).unwrap_or_default();
        let (mut run, course) = course::run(id, &fixed, &att, &mut names)?;
        let token = if let Some(course) = course {
            course.token
        } else {
            first_attempt(&mut run, now, request);
            token(runs.len())
        };
        runs.push((run, token));
    }
    let claimed = Claimed {
        runs,
        next: if next.is_empty() {
            None
        } else {
            Some(instant(&next)?)
        },
        now,
    };
    Ok((claimed, answer::text(said)?))
}

/// The length of the place before an id.
const PLACE: usize = 16;

/// Runs of a packet that were claimed together: their ids, when they were enqueued, their lane, and what they carry.
fn read_slice(slice: Vec<Value>, names: &mut Names) -> Outcome<Vec<TaskRun>> {
    let fault =
        |_| Fault::Corrupt("a claim brings a slice of another form than expected".to_owned());
    let [ids, created, lane, texts]: [Value; 4] = slice.try_into().map_err(fault)?;
    let created_at = instant(&answer::text(created)?)?;
    record::in_packet(
        &answer::bytes(ids)?,
        created_at,
        &answer::text(lane)?,
        &answer::bytes(texts)?,
        names,
    )
}

/// What is told of attempts that are not the first of their run, by place.
fn attempts_by_place(pairs: Value) -> Outcome<HashMap<usize, Vec<u8>>> {
    let mut attempts = HashMap::new();
    let mut pairs = answer::list(pairs)?.into_iter();
    while let (Some(place), Some(text)) = (pairs.next(), pairs.next()) {
        attempts.insert(answer::number(&place)?, answer::bytes(text)?);
    }
    Ok(attempts)
}

/// The first attempt of a run is as the claim asked for it, and nothing more is told of it.
fn first_attempt(run: &mut TaskRun, now: jiff::Timestamp, request: &ClaimRequest) {
    run.state = RunState::Running;
    run.attempt = 1;
    run.started_at = Some(now);
    run.consumer = Some(request.consumer.clone());
}
