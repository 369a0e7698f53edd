//! What a run printed: its last lines beside the run, and all of it on a page of its own.

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use fluid_core::{Broker, BrokerError, BrokerResult, RunId, StoredLine};
use futures_util::stream;
use serde::Deserialize;

use super::Answer;
use super::page::{Asked, Page, Place, render};
use super::words::{counted, short};
use crate::api::{Problem, found};

/// How many lines are shown at once.
const SHOWN: usize = 1000;
/// How many lines are read at once.
const READ: usize = 5000;

/// Lines that follow one another.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) all: Vec<StoredLine>,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether there are later ones.
    pub(super) more: bool,
}

impl Lines {
    fn of(lines: Vec<StoredLine>, more: bool) -> Self {
        Self {
            first: lines.first().map_or(0, |line| line.position),
            last: lines.last().map_or(0, |line| line.position),
            all: lines,
            more,
        }
    }
}

/// The end of a log.
pub(super) struct Tail;

impl Tail {
    /// The last lines. Logs are read forwards, so the end of a long one is looked for, by halves.
    pub(super) async fn of(broker: &dyn Broker, run: RunId) -> BrokerResult<Lines> {
        let lines = broker.read_logs(run, 0, SHOWN + 1).await?;
        if lines.len() <= SHOWN {
            return Ok(Lines::of(lines, false));
        }
        let goes_on = async |after| {
            let next = broker.read_logs(run, after, 1).await?;
            Ok::<_, BrokerError>(!next.is_empty())
        };
        let (mut known, mut step) = (SHOWN as u64, SHOWN as u64);
        while goes_on(known + step).await? {
            known += step;
            step *= 2;
        }
        let mut end = known + step;
        while end - known > 1 {
            let middle = known + (end - known) / 2;
            if goes_on(middle).await? {
                known = middle;
            } else {
                end = middle;
            }
        }
        let lines = broker
            .read_logs(run, end.saturating_sub(SHOWN as u64), SHOWN)
            .await?;
        Ok(Lines::of(lines, false))
    }
}

/// Which lines.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    after: Option<u64>,
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "log.html")]
struct Log<'a> {
    id: String,
    short: String,
    q: &'a str,
    found: String,
    lines: Lines,
}

#[derive(Template)]
#[template(path = "lines.html")]
struct Part {
    lines: Lines,
}

pub(super) async fn show(
    asked: Asked,
    Path(id): Path<RunId>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    found(&asked.site, id).await?;
    let lines = read(&asked, id, &wanted).await?;
    let log = Log {
        id: id.to_string(),
        short: short(id),
        q: &wanted.q,
        found: counted(lines.all.len() as u64, "line", "lines"),
        lines,
    };
    asked.answer(&Page::new(format!("Log of run {}", short(id)), Place::Runs).before(&log)?)
}

/// The lines alone, for those that a page has not yet.
pub(super) async fn lines(
    asked: Asked,
    Path(id): Path<RunId>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let lines = read(&asked, id, &wanted).await?;
    Ok(asked.send(StatusCode::OK, render(&Part { lines })?))
}

async fn read(asked: &Asked, run: RunId, wanted: &Wanted) -> Result<Lines, Problem> {
    let broker = asked.site.manager.broker().as_ref();
    if !wanted.q.is_empty() {
        return Ok(search(broker, run, &wanted.q, wanted.after.unwrap_or(0)).await?);
    }
    let (after, limit) = match (wanted.after, wanted.before) {
        (Some(after), _) => (after, SHOWN),
        (None, Some(before)) => {
            let after = before.saturating_sub(SHOWN as u64 + 1);
            let limit = before.saturating_sub(after + 1);
            (after, usize::try_from(limit).unwrap_or(SHOWN))
        }
        (None, None) => return Ok(Tail::of(broker, run).await?),
    };
    let mut lines = broker.read_logs(run, after, limit + 1).await?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    Ok(Lines::of(lines, more))
}

/// Lines that have a text, whatever the case of its letters.
async fn search(broker: &dyn Broker, run: RunId, text: &str, after: u64) -> BrokerResult<Lines> {
    let text = text.to_lowercase();
    let (mut found, mut after) = (Vec::new(), after);
    loop {
        let lines = broker.read_logs(run, after, READ).await?;
        let Some(last) = lines.last().map(|line| line.position) else {
            return Ok(Lines::of(found, false));
        };
        after = last;
        let hits = lines
            .into_iter()
            .filter(|line| line.line.text.to_lowercase().contains(&text));
        found.extend(hits);
        if found.len() > SHOWN {
            found.truncate(SHOWN);
            return Ok(Lines::of(found, true));
        }
    }
}

/// The whole log as text, read while it is sent.
pub(super) async fn download(asked: Asked, Path(id): Path<RunId>) -> Result<Response, Problem> {
    found(&asked.site, id).await?;
    let broker = asked.site.manager.broker().clone();
    let pages = stream::try_unfold(0, move |after| {
        let broker = broker.clone();
        async move {
            let lines = broker.read_logs(id, after, READ).await?;
            let Some(last) = lines.last().map(|line| line.position) else {
                return Ok::<_, BrokerError>(None);
            };
            let mut text = String::new();
            for line in lines {
                let stream = line.line.stream.as_str();
                text.push_str(&format!("{} {stream} {}\n", line.line.at, line.line.text));
            }
            Ok(Some((Bytes::from(text), last)))
        }
    });
    let name = format!("attachment; filename=\"run-{id}.log\"");
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}
