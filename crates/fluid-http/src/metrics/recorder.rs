//! The recorder of the process.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::requests;

/// For what tasks do: 1 ms to 1 h.
const LONG: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 1800.0, 3600.0,
];
/// For calls and requests: 0.1 ms to 30 s.
const SHORT: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
const OF_CALLS: [&str; 3] = [
    "fluid_broker_call_seconds",
    "fluid_k8s_request_seconds",
    "fluid_http_request_seconds",
];

/// Samples of histograms are put into their buckets so often when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What this process measures, for `/metrics`. Cloning is cheap.
///
/// A process has one recorder, for all that use the facade `metrics`. An application that installed its own keeps it
/// and has fluid's figures there; [`install`](Self::install) then says `None`.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder of this process: before the manager's first call, because handles are resolved once.
    /// `None` where there is one already.
    pub fn install() -> Option<Self> {
        let handle = recorder().and_then(PrometheusBuilder::install_recorder);
        let handle = handle.inspect_err(|error| {
            tracing::debug!(%error, "the process keeps the recorder of metrics that it has");
        });
        fluid_scheduler::describe_metrics();
        requests::describe();
        Some(Self(handle.ok()?))
    }

    pub(super) fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps small what is held for the next scrape, until `stop` is cancelled. Cancellation safe.
    pub async fn upkeep(&self, stop: CancellationToken) {
        let forever = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                self.0.run_upkeep();
            }
        };
        stop.run_until_cancelled(forever).await;
    }
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    let fluids = Matcher::Prefix("fluid_".to_owned());
    let mut builder = PrometheusBuilder::new().set_buckets_for_metric(fluids, &LONG)?;
    for name in OF_CALLS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &SHORT)?;
    }
    Ok(builder)
}
