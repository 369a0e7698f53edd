//! `/consumers`.

use axum::Json;
use axum::extract::State;
use fluid_core::ConsumerInfo;

use super::Problem;
use crate::site::Site;

/// The consumers that live, by id.
#[utoipa::path(
    get, path = "/consumers", tag = "status",
    responses((status = 200, description = "The consumers", body = ref("#/components/schemas/ConsumerInfoList"))),
)]
pub(super) async fn list(State(site): State<Site>) -> Result<Json<Vec<ConsumerInfo>>, Problem> {
    Ok(Json(site.manager.broker().consumers().await?))
}
