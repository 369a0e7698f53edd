//! `/runs`.

use axum::Json;
use axum::extract::{Path, State};
use fluid_core::{RunId, TaskRun};

use super::Problem;
use crate::site::Site;

/// One run.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run", body = ref("#/components/schemas/TaskRun")),
        (status = 404, description = "There is no such run", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(site): State<Site>,
    Path(run): Path<RunId>,
) -> Result<Json<TaskRun>, Problem> {
    let found = site.manager.broker().get(run).await?;
    found.map(Json).ok_or_else(|| Problem::no_run(run))
}
