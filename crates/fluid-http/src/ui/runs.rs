//! Runs by a filter that stands in the address.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use fluid_core::{QueueName, RunId, RunState, TaskName};
use serde::{Deserialize, Serialize};

use super::Answer;
use super::mark::Mark;
use super::page::{Asked, Page, Place};
use super::row::Row;
use super::words::counted;
use crate::api::Problem;
use crate::filter::FilterQuery;

/// How many runs a page has.
const PAGE: usize = 50;

/// What an address says beside the filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Beside {
    /// Runs with smaller ids than this.
    before: Option<RunId>,
    /// What was just done to those that matched: `cancelled 12`.
    done: Option<Deed>,
    number: Option<u64>,
}

/// What can be done to many runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Deed {
    Cancel,
    Retry,
}

impl Deed {
    /// Whether it stops what goes on.
    pub(super) fn is_grave(self) -> bool {
        self == Self::Cancel
    }
}

/// Reads a query string; fields that were left empty say nothing.
pub(super) fn read<T: serde::de::DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let said: Vec<_> = query.split('&').filter(|field| !is_empty(field)).collect();
    serde_html_form::from_str(&said.join("&")).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:invalid-query",
            "The filter is wrong",
            error.to_string(),
        )
    })
}

fn is_empty(field: &str) -> bool {
    field.is_empty() || field.ends_with('=') || !field.contains('=')
}

/// The same filter as a query string.
pub(super) fn write<T: Serialize>(wanted: &T) -> String {
    serde_html_form::to_string(wanted).unwrap_or_default()
}

/// What one can choose from.
#[derive(Template)]
#[template(path = "filter.html")]
struct Form<'a> {
    tasks: Vec<(&'a str, bool)>,
    queues: Vec<(&'a str, bool)>,
    states: Vec<(RunState, Mark, bool)>,
    filter: &'a FilterQuery,
    query: String,
    said: Option<String>,
    may_change: bool,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Runs {
    base: &'static str,
    rows: Vec<Row>,
    newest: Option<String>,
    next: Option<String>,
}

pub(super) async fn show(asked: Asked, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    if query.split('&').any(|field| field.ends_with('=')) {
        let said: Vec<_> = query.split('&').filter(|field| !is_empty(field)).collect();
        let place = format!("runs?{}", said.join("&"));
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response());
    }
    let (filter, beside): (FilterQuery, Beside) = (read(&query)?, read(&query)?);
    let live = asked.live(list(&asked, &filter, beside.before)).await?;
    let stats = asked
        .shared()
        .stats(asked.site.manager.broker().as_ref())
        .await?;
    let declared = asked.site.manager.tasks();
    let (tasks, lanes): (Vec<_>, Vec<_>) = declared
        .map(|task| (task.name.as_str(), task.queue.as_str()))
        .unzip();
    let filter = &filter;
    let form = Form {
        tasks: options(
            tasks,
            stats.tasks.keys().map(TaskName::as_str),
            &filter.task,
        ),
        queues: options(
            lanes,
            stats.queues.keys().map(QueueName::as_str),
            &filter.queue,
        ),
        states: RunState::ALL
            .map(|state| (state, state.into(), filter.state.contains(&state)))
            .into(),
        filter,
        query: write(filter),
        said: said(&beside),
        may_change: asked.caller.may_change,
    };
    asked.answer(&Page::new("Runs", Place::Runs).before(&form)?.live(live))
}

/// What is declared, what has runs and what was asked for; the latter is chosen.
fn options<'a, N: AsRef<str>>(
    declared: Vec<&'a str>,
    known: impl Iterator<Item = &'a str>,
    wanted: &'a [N],
) -> Vec<(&'a str, bool)> {
    let wanted: Vec<&str> = wanted.iter().map(AsRef::as_ref).collect();
    let all: BTreeSet<&str> = declared
        .into_iter()
        .chain(known)
        .chain(wanted.iter().copied())
        .collect();
    all.into_iter()
        .map(|name| (name, wanted.contains(&name)))
        .collect()
}

fn said(beside: &Beside) -> Option<String> {
    let number = beside.number?;
    Some(match beside.done? {
        Deed::Cancel => counted(number, "run was", "runs were") + " cancelled or asked to stop.",
        Deed::Retry => counted(number, "run was", "runs were") + " enqueued once more.",
    })
}

async fn list(asked: &Asked, query: &FilterQuery, before: Option<RunId>) -> Result<Runs, Problem> {
    let broker = asked.site.manager.broker();
    let now = broker.now().await?;
    let page = broker.list(query.at(now), before, PAGE).await?;
    let newest = write(query);
    let older = |next| {
        format!("{newest}&before={next}")
            .trim_start_matches('&')
            .to_owned()
    };
    Ok(Runs {
        base: asked.base,
        rows: Row::all(&page.runs, now),
        next: page.next.map(older),
        newest: before.map(|_| newest),
    })
}
