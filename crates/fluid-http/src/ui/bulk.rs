//! What is done to all runs that a filter matches: first it is shown how many they are.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use fluid_core::{QueueName, RunState, TaskName};

use super::Answer;
use super::page::{Asked, Page, Place};
use super::runs::{Deed, read, write};
use super::words::{count, counted};
use crate::api::Problem;
use crate::filter::FilterQuery;

/// How many runs are counted one by one where the broker has no figure for them.
const COUNTED: u64 = 10_000;
/// How many runs are changed at once.
const AT_ONCE: usize = 10_000;

#[derive(Template)]
#[template(path = "bulk.html")]
struct Bulk {
    deed: Deed,
    number: String,
    many: bool,
    any: bool,
    everything: bool,
    query: String,
    said: Vec<(&'static str, String)>,
}

pub(super) async fn ask_cancel(asked: Asked, RawQuery(query): RawQuery) -> Answer {
    ask(&asked, query, Deed::Cancel).await
}

pub(super) async fn ask_retry(asked: Asked, RawQuery(query): RawQuery) -> Answer {
    ask(&asked, query, Deed::Retry).await
}

async fn ask(asked: &Asked, query: Option<String>, deed: Deed) -> Answer {
    let query: FilterQuery = read(&query.unwrap_or_default())?;
    let manager = &asked.site.manager;
    let now = manager.broker().now().await?;
    let filter = query.at(now);
    let fitting = match deed {
        Deed::Cancel => filter.unfinished(),
        Deed::Retry => filter.finished(),
    };
    let (found, exact) = match fitting {
        Some(filter) => {
            let matching = manager.count_matching(&filter, COUNTED).await?;
            (matching.count, matching.exact)
        }
        None => (0, true),
    };
    let more = if exact { "" } else { " or more" };
    let (one, many) = match deed {
        Deed::Cancel => ("run that waits or runs", "runs that wait or run"),
        Deed::Retry => ("finished run", "finished runs"),
    };
    let number = count(found);
    let number = counted(found, one, many).replacen(&number, &format!("{number}{more}"), 1);
    let title = match deed {
        Deed::Cancel => "Cancel runs",
        Deed::Retry => "Retry runs",
    };
    let bulk = Bulk {
        deed,
        number,
        many: found > AT_ONCE as u64 || !exact,
        any: found > 0,
        everything: query == FilterQuery::default(),
        said: words(&query),
        query: write(&query),
    };
    asked.answer(&Page::new(title, Place::Runs).before(&bulk)?)
}

/// A filter in words.
fn words(query: &FilterQuery) -> Vec<(&'static str, String)> {
    let list = |words: Vec<&str>| words.join(", ");
    let mut said = Vec::new();
    if !query.task.is_empty() {
        said.push((
            "Task",
            list(query.task.iter().map(TaskName::as_str).collect()),
        ));
    }
    if !query.queue.is_empty() {
        said.push((
            "Queue",
            list(query.queue.iter().map(QueueName::as_str).collect()),
        ));
    }
    if !query.state.is_empty() {
        said.push((
            "State",
            list(
                query
                    .state
                    .iter()
                    .map(|state: &RunState| state.as_str())
                    .collect(),
            ),
        ));
    }
    said.extend(query.parent.map(|run| ("Children of", run.to_string())));
    said.extend(query.root.map(|run| ("Family of", run.to_string())));
    said.extend(
        query
            .since
            .as_ref()
            .map(|at| ("Enqueued since", at.as_str().to_owned())),
    );
    said.extend(
        query
            .until
            .as_ref()
            .map(|at| ("Enqueued until", at.as_str().to_owned())),
    );
    said
}

pub(super) async fn cancel(asked: Asked, RawQuery(query): RawQuery) -> Answer {
    carry_out(&asked, query, Deed::Cancel).await
}

pub(super) async fn retry(asked: Asked, RawQuery(query): RawQuery) -> Answer {
    carry_out(&asked, query, Deed::Retry).await
}

async fn carry_out(asked: &Asked, query: Option<String>, deed: Deed) -> Answer {
    asked.may_change()?;
    let query: FilterQuery = read(&query.unwrap_or_default())?;
    if query == FilterQuery::default() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:filter-required",
            "Say which runs",
            "without a filter this would be done to all runs there are",
        ));
    }
    let manager = &asked.site.manager;
    let filter = query.at(manager.broker().now().await?);
    let (word, number) = match deed {
        Deed::Cancel => {
            let done = manager.cancel_matching(&filter, AT_ONCE).await?;
            ("cancel", done.aborted + done.requested)
        }
        Deed::Retry => {
            let runs = manager.retry_matching(&filter, AT_ONCE).await?;
            ("retry", runs.len() as u64)
        }
    };
    let filter = write(&query);
    asked
        .changed(&format!("../runs?{filter}&done={word}&number={number}"))
        .await
}
