//! `/metrics`: what this process measured, and what the broker says at the moment, as Prometheus reads it.
//! `docs/metrics.md` lists every name.

mod broker;
mod recorder;
mod requests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use self::broker::BrokerGauges;
use crate::site::Site;

pub use self::recorder::Metrics;
pub(crate) use self::requests::measure;

/// The text format that every Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes(site: &Site) -> Router {
    let state = (site.clone(), Arc::new(BrokerGauges::default()));
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(state)
}

async fn scrape(State((site, gauges)): State<(Site, Arc<BrokerGauges>)>) -> impl IntoResponse {
    let mut text = match &site.options.metrics {
        Some(metrics) => metrics.render(),
        None => String::new(),
    };
    text.push_str(&gauges.render(&site.manager).await);
    ([(CONTENT_TYPE, TEXT)], text)
}
