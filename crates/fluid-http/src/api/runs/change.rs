//! `POST /runs/{run}/cancel` and `POST /runs/{run}/retry`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use fluid_core::{Cancelled, RunFilter, RunId, RunState};
use schemars::JsonSchema;
use serde::Serialize;

use super::one::found;
use crate::api::Problem;
use crate::api::extract::InPath;
use crate::site::Site;

/// What became of a wish to cancel.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct CancelledRun {
    /// The run.
    run: RunId,
    /// What was done.
    outcome: CancelOutcome,
    /// The state of a run that was finished already.
    state: Option<RunState>,
}

/// What was done to cancel a run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CancelOutcome {
    /// It waited, and is aborted now.
    Aborted,
    /// It runs, and its consumer is told to stop it.
    Requested,
    /// It was finished, and stays as it ended.
    AlreadyFinished,
}

/// Cancels a run: one that waits is aborted at once, one that runs is told to stop, one that is finished stays.
#[utoipa::path(
    post, path = "/runs/{run}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("run" = String, Path, format = "uuid", description = "The run's id")),
    responses(
        (status = 200, description = "What was done", body = ref("#/components/schemas/CancelledRun")),
        (status = 404, description = "There is no such run", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn cancel(
    State(site): State<Site>,
    InPath(run): InPath<RunId>,
) -> Result<Json<CancelledRun>, Problem> {
    let (outcome, state) = match site.manager.cancel(run).await? {
        Cancelled::Aborted => (CancelOutcome::Aborted, None),
        Cancelled::Requested => (CancelOutcome::Requested, None),
        Cancelled::AlreadyFinished(state) => (CancelOutcome::AlreadyFinished, Some(state)),
        Cancelled::NotFound => return Err(Problem::no_run(run)),
    };
    Ok(Json(CancelledRun {
        run,
        outcome,
        state,
    }))
}

/// Does a finished run once more, as a new run that names this one in `retry_of`.
#[utoipa::path(
    post, path = "/runs/{run}/retry", tag = "runs", operation_id = "retry_run",
    params(("run" = String, Path, format = "uuid", description = "The run's id")),
    responses(
        (status = 201, description = "The new run", body = ref("#/components/schemas/TaskRun"), headers(("Location" = String, description = "Where the new run is"))),
        (status = 404, description = "There is no such run", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
        (status = 409, description = "The run is not finished", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn retry(
    State(site): State<Site>,
    InPath(run): InPath<RunId>,
) -> Result<Response, Problem> {
    let new = once_more(&site, run).await?;
    let location = format!("../{new}");
    let new = Json(found(&site, new).await?);
    Ok((StatusCode::CREATED, [(LOCATION, location)], new).into_response())
}

/// The new run that does this finished one once more.
pub(crate) async fn once_more(site: &Site, run: RunId) -> Result<RunId, Problem> {
    let this = RunFilter {
        ids: vec![run],
        ..RunFilter::default()
    };
    match site.manager.retry_matching(&this, 1).await?.first() {
        Some(new) => Ok(*new),
        None => Err(Problem::not_finished(&found(site, run).await?)),
    }
}
