//! `/tasks-history`.

use axum::Json;
use axum::extract::{Path, State};
use axum_extra::extract::Query;
use fluid_core::{RunFilter, RunId, TaskName};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::query::HistoryQuery;
use super::refusal::{Refusal, fault};
use super::shapes::PastRun;
use crate::site::Site;

/// How many runs are looked at for a page when parameters must match: brokers don't search them.
const LOOKED_AT: usize = 10_000;
/// How many of them in one call of the broker.
const PAGE: usize = 500;

/// `TaskRunHistoryPage`.
#[derive(Debug, Serialize)]
pub(super) struct HistoryPage {
    data: Vec<PastRun>,
    /// Empty on the last page.
    cursor: String,
}

/// Where the next page begins, and of what: a cursor comes back without the rest of the query.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    before: RunId,
    query: HistoryQuery,
}

pub(super) async fn list(
    State(site): State<Site>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<HistoryPage>, Refusal> {
    let asked = HistoryQuery::read(&pairs)?;
    let cursor = pairs.iter().rev().find(|(name, _)| name == "cursor");
    let (query, mut before) = match cursor {
        Some((_, text)) if !text.is_empty() => {
            let cursor = Cursor::read(text)?;
            (cursor.query, Some(cursor.before))
        }
        _ => (asked, None),
    };
    let mut data = Vec::new();
    let Some(filter) = filter(&site, &query) else {
        let cursor = String::new();
        return Ok(Json(HistoryPage { data, cursor }));
    };
    let mut looked_at = 0;
    loop {
        let wanted = query.limit - data.len();
        let wanted = if query.params.is_some() { PAGE } else { wanted };
        let page = site
            .manager
            .broker()
            .list(filter.clone(), before, wanted)
            .await?;
        before = page.next;
        looked_at += page.runs.len();
        for run in page.runs {
            if data.len() == query.limit {
                break;
            }
            let next = run.id;
            let run = PastRun::from(run);
            if query.params.as_ref().is_none_or(|params| run.has(params)) {
                data.push(run);
                if data.len() == query.limit && query.params.is_some() {
                    before = Some(next);
                }
            }
        }
        if before.is_none() || data.len() == query.limit || looked_at >= LOOKED_AT {
            break;
        }
    }
    let cursor = before.map(|before| Cursor { before, query }.to_string());
    Ok(Json(HistoryPage {
        data,
        cursor: cursor.unwrap_or_default(),
    }))
}

pub(super) async fn get(
    State(site): State<Site>,
    Path(run): Path<String>,
) -> Result<Json<PastRun>, Refusal> {
    let run: RunId = run.parse().map_err(|_| Refusal::no_run())?;
    let found = site.manager.broker().get(run).await?;
    Ok(Json(found.ok_or_else(Refusal::no_run)?.into()))
}

/// The runs that are meant; `None` when there can be none.
fn filter(site: &Site, query: &HistoryQuery) -> Option<RunFilter> {
    let named = match &query.task {
        Some(name) => Some(TaskName::parse(name).ok()?),
        None => None,
    };
    let tasks: Vec<TaskName> = if query.tags.is_empty() {
        named.into_iter().collect()
    } else {
        let tagged = site.manager.tasks().filter(|task| {
            let wanted = named.as_ref().is_none_or(|named| *named == task.name);
            wanted && query.tags.iter().any(|tag| task.tags.contains(tag))
        });
        let tagged: Vec<_> = tagged.map(|task| task.name.clone()).collect();
        (!tagged.is_empty()).then_some(tagged)?
    };
    let states = match &query.states {
        Some(states) if states.is_empty() => return None,
        Some(states) => states.clone(),
        None => Vec::new(),
    };
    // At or before, where our filter says before.
    let end = query.end;
    let end = end.map(|end| {
        end.checked_add(SignedDuration::from_micros(1))
            .unwrap_or(end)
    });
    Some(RunFilter {
        tasks,
        states,
        created_from: query.start,
        created_before: end,
        ..RunFilter::default()
    })
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Refusal> {
        let digits = text.as_bytes().chunks(2);
        let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes: Option<Vec<u8>> = bytes.collect();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(|| {
            let place = json!(["query", "cursor"]);
            Refusal::faults(vec![fault("value_error", &place, "invalid cursor")])
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = serde_json::to_vec(self).map_err(|_| std::fmt::Error)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl PastRun {
    /// Whether its parameters, as they are shown, contain these, as PostgreSQL's `@>` has it.
    fn has(&self, wanted: &serde_json::Map<String, Value>) -> bool {
        contains(self.params(), &Value::Object(wanted.clone()))
    }
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            let member = value.get(name);
            member.is_some_and(|member| contains(member, wanted))
        }),
        (Value::Array(items), Value::Array(wanted)) => wanted
            .iter()
            .all(|wanted| items.iter().any(|item| contains(item, wanted))),
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_is_that_of_postgresql() {
        let params = json!({"a": 1, "tags": ["x", "y"], "at": {"b": null, "c": [1, 2]}});
        for (wanted, held) in [
            (json!({}), true),
            (json!({"a": 1.0}), true),
            (json!({"a": 2}), false),
            (json!({"tags": ["y"]}), true),
            (json!({"tags": ["y", "z"]}), false),
            (json!({"at": {"b": null}}), true),
            (json!({"at": {"c": 1}}), false),
            (json!({"d": null}), false),
        ] {
            assert_eq!(contains(&params, &wanted), held, "{wanted}");
        }
    }
}
