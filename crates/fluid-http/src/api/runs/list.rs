//! `GET /runs` and `GET /runs/count`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use fluid_core::TaskRun;
use fluid_scheduler::Matching;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Problem;
use crate::api::extract::Asked;
use crate::api::words::{Cursor, Limit};
use crate::filter::FilterQuery;
use crate::site::Site;

/// How many runs are counted one by one.
const COUNTED: u64 = 10_000;

/// Which page.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::api) struct PageQuery {
    /// How many runs a page has.
    limit: Limit<50, 1000>,
    /// Where the page begins: `next` of the page before. The rest of the query stays as it was.
    cursor: Option<Cursor>,
}

/// A page of runs, newest first. It stays right while runs are added: a run never moves to another page.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct RunPage {
    /// The runs.
    runs: Vec<TaskRun>,
    /// The `cursor` of the next page; `null` on the last. The header `Link` has the whole address.
    next: Option<String>,
}

/// Runs that match, newest first.
#[utoipa::path(
    get, path = "/runs", tag = "runs", operation_id = "list_runs",
    extensions(("x-query" = json!(["FilterQuery", "PageQuery"]))),
    responses((
        status = 200, description = "A page of runs", body = ref("#/components/schemas/RunPage"),
        headers(("Link" = String, description = "The address of the next page, with rel=\"next\"; absent on the last")),
    )),
)]
pub(in crate::api) async fn list(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    Asked(filter, page): Asked<FilterQuery, PageQuery>,
) -> Result<Response, Problem> {
    let broker = site.manager.broker();
    let asked_at = match page.cursor {
        Some(cursor) => cursor.asked_at,
        None => broker.now().await?,
    };
    let before = page.cursor.map(|cursor| cursor.before);
    let found = broker
        .list(filter.at(asked_at), before, page.limit.get())
        .await?;
    let next = found
        .next
        .map(|before| Cursor { before, asked_at }.to_string());
    let link = next.as_ref().map(|next| link_to(query.as_deref(), next));
    let page = Json(RunPage {
        runs: found.runs,
        next,
    });
    Ok(match link {
        Some(link) => ([(LINK, link)], page).into_response(),
        None => page.into_response(),
    })
}

/// The same query with another cursor, relative to the address that was asked.
fn link_to(query: Option<&str>, cursor: &str) -> String {
    let said = query.unwrap_or_default().split('&');
    let kept = said.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let kept: String = kept.flat_map(|pair| [pair, "&"]).collect();
    format!("<?{kept}cursor={cursor}>; rel=\"next\"")
}

/// How many runs match: exactly where only tasks and states are named, otherwise up to 10,000.
#[utoipa::path(
    get, path = "/runs/count", tag = "runs", operation_id = "count_runs",
    extensions(("x-query" = json!(["FilterQuery"]))),
    responses((status = 200, description = "How many", body = ref("#/components/schemas/Matching"))),
)]
pub(in crate::api) async fn count(
    State(site): State<Site>,
    Asked(filter, _): Asked<FilterQuery>,
) -> Result<Json<Matching>, Problem> {
    let now = site.manager.broker().now().await?;
    let filter = filter.at(now);
    Ok(Json(site.manager.count_matching(&filter, COUNTED).await?))
}
