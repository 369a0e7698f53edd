//! What the API server counts of itself.

use anyhow::Context;
use kube::Client;

/// One reading of all metrics.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) async fn read(client: &Client) -> anyhow::Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        Ok(Self(client.request_text(request).await?))
    }

    /// The sum of a metric over all series that have these labels.
    pub(crate) fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for line in self.0.lines() {
            let Some(rest) = line
                .strip_prefix(metric)
                .and_then(|rest| rest.strip_prefix('{'))
            else {
                continue;
            };
            let (series, value) = rest.rsplit_once("} ").with_context(|| line.to_owned())?;
            let has = |(name, value): &(&str, &str)| {
                let pair = format!("{name}=\"{value}\"");
                series.split(',').any(|label| label == pair)
            };
            if labels.iter().all(has) {
                sum += value.parse::<f64>().with_context(|| line.to_owned())?;
            }
        }
        Ok(sum)
    }
}
