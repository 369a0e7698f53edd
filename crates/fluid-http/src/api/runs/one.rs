//! `GET /runs/{run}`.

use axum::Json;
use axum::extract::State;
use fluid_core::{RunId, TaskRun};
use fluid_scheduler::{RunDetails, WaitError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::Problem;
use crate::api::extract::{Asked, InPath};
use crate::api::words::Wait;
use crate::site::Site;

/// Whether to wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::api) struct WaitQuery {
    /// Answer when the run is finished, or after this long if it is not: at most `60s`, longer is taken as that.
    pub(super) wait: Option<Wait>,
}

/// One run with its attempts, its children and why it is not running.
///
/// With `wait`, the answer comes when the run is finished or the time is over, whichever is first: `state` tells.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs", operation_id = "get_run",
    extensions(("x-query" = json!(["WaitQuery"]))),
    params(("run" = String, Path, format = "uuid", description = "The run's id")),
    responses(
        (status = 200, description = "The run", body = ref("#/components/schemas/RunDetails")),
        (status = 404, description = "There is no such run", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn get(
    State(site): State<Site>,
    InPath(run): InPath<RunId>,
    Asked(query, _): Asked<WaitQuery>,
) -> Result<Json<RunDetails>, Problem> {
    let found = match query.wait {
        Some(wait) => waited(&site, run, wait).await?,
        None => found(&site, run).await?,
    };
    Ok(Json(site.manager.details(found).await?))
}

/// The run as it is.
pub(crate) async fn found(site: &Site, run: RunId) -> Result<TaskRun, Problem> {
    let found = site.manager.broker().get(run).await?;
    found.ok_or_else(|| Problem::no_run(run))
}

/// The run when it is finished, or as it is when the time is over.
pub(super) async fn waited(site: &Site, run: RunId, wait: Wait) -> Result<TaskRun, Problem> {
    match site.manager.wait(run, Some(wait.limit())).await {
        Ok(finished) => Ok(finished),
        Err(WaitError::Broker(error)) => Err(error.into()),
        Err(_) => found(site, run).await,
    }
}
