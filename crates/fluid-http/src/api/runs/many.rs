//! `POST /runs/cancel`, `/runs/retry` and `/runs/purge`: all runs that a query string means.

use axum::Json;
use axum::extract::State;
use fluid_core::{RunFilter, RunId};
use fluid_scheduler::CancelledMany;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Problem;
use crate::api::extract::Asked;
use crate::api::words::{Flag, Limit};
use crate::filter::FilterQuery;
use crate::site::Site;

/// How many.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::api) struct ManyQuery {
    /// At most so many runs.
    limit: Limit<1000, 10_000>,
    /// All runs are meant: a query that chooses none is refused without it.
    all: Flag,
}

/// The runs that are meant, or the refusal to take a query that says nothing for all of them.
async fn meant(site: &Site, filter: &FilterQuery, many: &ManyQuery) -> Result<RunFilter, Problem> {
    if *filter == FilterQuery::default() && !many.all.0 {
        return Err(Problem::no_filter());
    }
    Ok(filter.at(site.manager.broker().now().await?))
}

/// Cancels the unfinished runs that match, newest first.
#[utoipa::path(
    post, path = "/runs/cancel", tag = "runs", operation_id = "cancel_runs",
    extensions(("x-query" = json!(["FilterQuery", "ManyQuery"]))),
    responses((status = 200, description = "What was done", body = ref("#/components/schemas/CancelledMany"))),
)]
pub(in crate::api) async fn cancel(
    State(site): State<Site>,
    Asked(filter, many): Asked<FilterQuery, ManyQuery>,
) -> Result<Json<CancelledMany>, Problem> {
    let filter = meant(&site, &filter, &many).await?;
    let done = site.manager.cancel_matching(&filter, many.limit.get());
    Ok(Json(done.await?))
}

/// New runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct RetriedMany {
    /// The ids of the new runs.
    runs: Vec<RunId>,
}

/// Does the finished runs that match once more, newest first, each as a new run that names the old one in `retry_of`.
#[utoipa::path(
    post, path = "/runs/retry", tag = "runs", operation_id = "retry_runs",
    extensions(("x-query" = json!(["FilterQuery", "ManyQuery"]))),
    responses((status = 200, description = "The new runs", body = ref("#/components/schemas/RetriedMany"))),
)]
pub(in crate::api) async fn retry(
    State(site): State<Site>,
    Asked(filter, many): Asked<FilterQuery, ManyQuery>,
) -> Result<Json<RetriedMany>, Problem> {
    let filter = meant(&site, &filter, &many).await?;
    let runs = site.manager.retry_matching(&filter, many.limit.get());
    Ok(Json(RetriedMany { runs: runs.await? }))
}

/// Runs that are gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct PurgedMany {
    /// How many were deleted.
    deleted: usize,
}

/// Deletes the finished runs that match with their attempts and logs, oldest first.
#[utoipa::path(
    post, path = "/runs/purge", tag = "runs", operation_id = "purge_runs",
    extensions(("x-query" = json!(["FilterQuery", "ManyQuery"]))),
    responses((status = 200, description = "How many were deleted", body = ref("#/components/schemas/PurgedMany"))),
)]
pub(in crate::api) async fn purge(
    State(site): State<Site>,
    Asked(filter, many): Asked<FilterQuery, ManyQuery>,
) -> Result<Json<PurgedMany>, Problem> {
    let filter = meant(&site, &filter, &many).await?;
    let deleted = site.manager.purge_matching(&filter, many.limit.get());
    Ok(Json(PurgedMany {
        deleted: deleted.await?,
    }))
}
