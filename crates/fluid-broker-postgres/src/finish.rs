//! The ends of attempts, their news, and their leases.

use std::collections::{HashMap, HashSet};

use fluid_core::{
    ErrorKind, Event, Finish, Finished, LeaseRef, LeaseToken, Report, RunError, RunId, RunState,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::code::ADOPTABLE;
use crate::error::{Fault, Outcome};
use crate::instant::micros;
use crate::link::Param;
use crate::record::{coded, run_id, task, uuid};
use crate::text::to_kept;

/// Ends as the function takes them: each run once, in the order of ids.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    ids: Vec<Uuid>,
    tokens: Vec<i64>,
    kinds: Option<Vec<i16>>,
    results: Option<Vec<Option<String>>>,
    errors: Option<Vec<Option<String>>>,
    cancel_errors: Option<Vec<Option<String>>>,
    after: Option<Vec<i64>>,
}

/// One end, as the lists have it.
#[derive(Debug, Default)]
struct End {
    kind: i16,
    result: Option<String>,
    error: Option<String>,
    cancel_error: Option<String>,
    after: i64,
}

pub(crate) fn error_text(error: &RunError) -> Outcome<String> {
    serde_json::to_string(error)
        .map_err(|cause| Fault::Unfit(format!("an error can't be written: {cause}")))
}

fn cancelled(why: String) -> Outcome<Option<String>> {
    error_text(&RunError::new(ErrorKind::Aborted, why)).map(Some)
}

impl End {
    fn of(finish: &Finish) -> Outcome<Self> {
        Ok(match finish {
            Finish::Success(result) => Self {
                result: Some(result.as_str())
                    .filter(|text| *text != "null")
                    .map(|text| to_kept(text).into_owned()),
                ..Self::default()
            },
            Finish::Retry { after, error } => Self {
                kind: 1,
                error: Some(error_text(error)?),
                cancel_error: cancelled(format!("cancelled; the attempt had failed: {error}"))?,
                after: micros(*after),
                ..Self::default()
            },
            Finish::Failure(error) => Self {
                kind: 2,
                error: Some(error_text(error)?),
                ..Self::default()
            },
            Finish::Aborted(error) => Self {
                kind: 3,
                error: Some(error_text(error)?),
                ..Self::default()
            },
            Finish::Released => Self {
                kind: 4,
                cancel_error: cancelled("cancelled; its consumer stopped".to_owned())?,
                ..Self::default()
            },
            // `Finish` may grow: what this broker does not know yet ends the attempt as a failure.
            unknown => Self {
                kind: 2,
                error: Some(error_text(&RunError::new(
                    ErrorKind::Error,
                    format!("the PostgreSQL broker does not know the end {unknown:?}"),
                ))?),
                ..Self::default()
            },
        })
    }
}

impl Ends {
    pub(crate) fn of(batch: &[(LeaseRef, Finish)]) -> Outcome<Self> {
        let mut seen = HashSet::with_capacity(batch.len());
        // An attempt ends once: a second end in the batch comes too late.
        let mut first: Vec<&(LeaseRef, Finish)> = batch
            .iter()
            .filter(|(lease, _)| seen.insert((lease.run, lease.token)))
            .collect();
        first.sort_by_key(|(lease, _)| lease.run);
        let mut ends = Vec::with_capacity(first.len());
        for (_, finish) in &first {
            ends.push(End::of(finish)?);
        }
        let differ = |differs: fn(&End) -> bool| ends.iter().any(differs);
        Ok(Self {
            ids: first.iter().map(|(lease, _)| uuid(lease.run)).collect(),
            tokens: first
                .iter()
                .map(|(lease, _)| lease.token.as_i64())
                .collect(),
            kinds: differ(|end| end.kind != 0).then(|| ends.iter().map(|end| end.kind).collect()),
            after: differ(|end| end.kind != 0).then(|| ends.iter().map(|end| end.after).collect()),
            results: differ(|end| end.result.is_some())
                .then(|| ends.iter_mut().map(|end| end.result.take()).collect()),
            errors: ends
                .iter()
                .any(|end| end.error.is_some())
                .then(|| ends.iter_mut().map(|end| end.error.take()).collect()),
            cancel_errors: ends
                .iter()
                .any(|end| end.cancel_error.is_some())
                .then(|| ends.iter_mut().map(|end| end.cancel_error.take()).collect()),
        })
    }

    pub(crate) fn params(&self) -> [Param<'_>; 7] {
        [
            (&self.ids, Type::UUID_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.kinds, Type::INT2_ARRAY),
            (&self.results, Type::TEXT_ARRAY),
            (&self.errors, Type::TEXT_ARRAY),
            (&self.cancel_errors, Type::TEXT_ARRAY),
            (&self.after, Type::INT8_ARRAY),
        ]
    }
}

/// News as the functions take them: in the order of ids, those of one run in their order.
#[derive(Debug)]
pub(crate) struct News {
    ids: Option<Vec<Uuid>>,
    tokens: Vec<i64>,
    progress: Vec<Option<f64>>,
    messages: Vec<Option<String>>,
    executions: Vec<Option<String>>,
    tells_waiting: Vec<bool>,
    waiting: Vec<Option<String>>,
}

impl News {
    pub(crate) fn of(reports: &[Report]) -> Self {
        let mut sorted: Vec<&Report> = reports.iter().collect();
        sorted.sort_by_key(|report| report.lease.run);
        let kept = |text: &String| to_kept(text).into_owned();
        let message = |report: &Report| {
            let progress = report.progress.as_ref()?;
            Some(&progress.message)
                .filter(|text| !text.is_empty())
                .map(kept)
        };
        let all = || sorted.iter();
        Self {
            ids: (!sorted.is_empty()).then(|| all().map(|report| uuid(report.lease.run)).collect()),
            tokens: all().map(|report| report.lease.token.as_i64()).collect(),
            progress: all()
                .map(|report| report.progress.as_ref().map(|progress| progress.fraction))
                .collect(),
            messages: all().map(|report| message(report)).collect(),
            executions: all()
                .map(|report| report.execution.as_ref().map(kept))
                .collect(),
            tells_waiting: all().map(|report| report.waiting.is_some()).collect(),
            waiting: all()
                .map(|report| report.waiting.as_ref().and_then(Option::as_ref).map(kept))
                .collect(),
        }
    }

    pub(crate) fn params(&self) -> [Param<'_>; 7] {
        [
            (&self.ids, Type::UUID_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.progress, Type::FLOAT8_ARRAY),
            (&self.messages, Type::TEXT_ARRAY),
            (&self.executions, Type::TEXT_ARRAY),
            (&self.tells_waiting, Type::BOOL_ARRAY),
            (&self.waiting, Type::TEXT_ARRAY),
        ]
    }
}

/// What became of each end, and what there is to tell.
pub(crate) fn read(
    batch: &[(LeaseRef, Finish)],
    row: &Row,
) -> Outcome<(Vec<Finished>, Vec<Event>)> {
    let ids: Vec<Uuid> = row.try_get(0)?;
    let tokens: Vec<i64> = row.try_get(1)?;
    let states: Vec<i16> = row.try_get(2)?;
    let tasks: Vec<&str> = row.try_get(3)?;
    let told: Option<Vec<Uuid>> = row.try_get(4)?;
    let mut events: Vec<Event> = progress(told.into_iter().flatten());
    let mut written: HashMap<(RunId, LeaseToken), RunState> = HashMap::with_capacity(ids.len());
    let mut last: Option<(&str, fluid_core::TaskName)> = None;
    let rows = ids.into_iter().zip(tokens).zip(states).zip(tasks);
    for (((id, token), code), name) in rows {
        let run = run_id(id);
        let state: RunState = coded(code, "state")?;
        written.insert((run, LeaseToken::from_i64(token)), state);
        let name = match &last {
            Some((same, parsed)) if *same == name => parsed.clone(),
            _ => {
                let parsed = task(name)?;
                last = Some((name, parsed.clone()));
                parsed
            }
        };
        if code != ADOPTABLE {
            events.push(Event::Finished {
                run,
                task: name.clone(),
                state,
            });
        }
        if !state.is_terminal() {
            events.push(Event::Enqueued { run, task: name });
        }
    }
    let answers = batch
        .iter()
        .map(|(lease, _)| {
            let state = written.remove(&(lease.run, lease.token));
            state.map_or(Finished::Lost, Finished::Written)
        })
        .collect();
    Ok((answers, events))
}

pub(crate) fn progress(runs: impl IntoIterator<Item = Uuid>) -> Vec<Event> {
    let mut seen = HashSet::new();
    runs.into_iter()
        .filter(|run| seen.insert(*run))
        .map(|run| Event::Progress { run: run_id(run) })
        .collect()
}
