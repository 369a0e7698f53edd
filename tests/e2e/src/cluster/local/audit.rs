//! When Jobs were complete, by the word of the API server, which wrote down each change of their status.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use crate::place::RUN_LABEL;

pub(super) const POLICY: &str = include_str!("audit.yaml");

/// When the request came in that made a run's Job complete, for each run of which there was one.
pub(super) fn completions(log: &Path) -> anyhow::Result<HashMap<String, Timestamp>> {
    let file = File::open(log).with_context(|| log.display().to_string())?;
    let mut completions = HashMap::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        if !line.contains(r#""type":"Complete""#) {
            continue;
        }
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let (job, received) = (&event["requestObject"], &event["requestReceivedTimestamp"]);
        let conditions = job["status"]["conditions"].as_array();
        let complete = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Complete" && condition["status"] == "True");
        let run = job["metadata"]["labels"][RUN_LABEL].as_str();
        if complete && let (Some(run), Some(received)) = (run, received.as_str()) {
            completions
                .entry(run.to_owned())
                .or_insert(received.parse()?);
        }
    }
    Ok(completions)
}
