//! What a request says, or the problem with it.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum_extra::extract::Query;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Problem;
use super::fields::fields_of;

/// The body, which must be JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(&rejection)),
        }
    }
}

fn refused(rejection: &JsonRejection) -> Problem {
    let told = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => Problem::body(told),
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:fluid:problem:unsupported-media-type",
            "The body must be JSON",
            "send the body with the header Content-Type: application/json",
        ),
        JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(_))
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "urn:fluid:problem:too-large",
                "The body is too large",
                told,
            )
        }
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:fluid:problem:invalid-json",
            "The body is not JSON",
            told,
        ),
    }
}

/// What the path holds.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::path(PathRejection::body_text(&rejection))),
        }
    }
}

/// What the query string says, as one structure or two. A parameter that neither of them has is refused: a slip in a
/// filter must not mean everything.
#[derive(Debug)]
pub(super) struct Asked<A, B = Nothing>(pub(super) A, pub(super) B);

/// No more parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

impl<S, A, B> FromRequestParts<S> for Asked<A, B>
where
    S: Send + Sync,
    A: DeserializeOwned + Send,
    B: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let known = [fields_of::<A>(), fields_of::<B>()].concat();
        let pairs: Vec<(String, String)> = one(parts, state).await?;
        if let Some((name, _)) = pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(Problem::query(format!(
                "there is no parameter {name:?} here; there are {known}"
            )));
        }
        Ok(Self(one(parts, state).await?, one(parts, state).await?))
    }
}

async fn one<S: Send + Sync, T: DeserializeOwned>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, Problem> {
    let read = Query::from_request_parts(parts, state).await;
    let Query(value) = read.map_err(|rejection| Problem::query(rejection.body_text()))?;
    Ok(value)
}
