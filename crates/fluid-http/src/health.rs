//! `/healthz` and `/readyz`: whether the process lives, and whether it takes work. Probes read the status code, people
//! the lines, and programs ask for JSON. Nobody needs a token, so nothing is told that would need one.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use fluid_core::BrokerError;
use fluid_scheduler::Vital;
use serde::Serialize;
use tokio::time::timeout;

use crate::site::Site;

/// A broker that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
}

/// Whether the loops of the process come round. A broker that is away is no reason to restart a process that waits
/// for it.
async fn healthy(State(site): State<Site>, headers: HeaderMap) -> Response {
    let vitals = site.manager.vitals();
    let loops = vitals.iter().map(Check::of_loop).collect();
    answer(loops, &headers)
}

/// Whether the broker answers, and the process was not told to stop.
async fn ready(State(site): State<Site>, headers: HeaderMap) -> Response {
    let asked = timeout(PATIENCE, site.manager.broker().settings()).await;
    let vitals = site.manager.vitals();
    let drains = site.options.draining.is_cancelled() || vitals.iter().any(|one| one.draining);
    let checks = vec![
        Check::of_broker(asked.map(|answer| answer.map(drop))),
        Check::new("work", !drains, if drains { "draining" } else { "taken" }),
    ];
    answer(checks, &headers)
}

/// One thing that is looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    ok: bool,
    detail: String,
}

impl Check {
    fn new(what: &str, ok: bool, detail: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            ok,
            detail: detail.into(),
        }
    }

    fn of_loop(vital: &Vital) -> Self {
        let (silent, limit) = (vital.silent.as_secs(), vital.limit.as_secs());
        let mut detail = format!("came round {silent} s ago, at most {limit} s");
        if vital.draining {
            detail.push_str(" but for draining");
        }
        Self::new(vital.part.as_str(), vital.is_well(), detail)
    }

    fn of_broker<T>(asked: Result<Result<(), BrokerError>, T>) -> Self {
        let detail = match asked {
            Ok(Ok(())) => return Self::new("broker", true, "answers"),
            Ok(Err(error)) if error.is_transient() => "can't answer now".to_owned(),
            Ok(Err(_)) => "failed".to_owned(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        Self::new("broker", false, detail)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.ok { "ok" } else { "NOT OK" };
        writeln!(f, "{}: {sign}, {}", self.what, self.detail)
    }
}

fn answer(checks: Vec<Check>, headers: &HeaderMap) -> Response {
    #[derive(Serialize)]
    struct Answer {
        ok: bool,
        checks: Vec<Check>,
    }
    let ok = checks.iter().all(|check| check.ok);
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("json")) {
        return (status, Json(Answer { ok, checks })).into_response();
    }
    let mut text = if ok { "ok\n" } else { "not ok\n" }.to_owned();
    text.extend(checks.iter().map(ToString::to_string));
    (status, text).into_response()
}
