//! Which runs, as a query string says it: the same words in the API and in the dashboard's addresses.

use std::borrow::Cow;

use fluid_core::{QueueName, RunFilter, RunId, RunState, TaskName, duration};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// `task`, `state` and `queue` may be said several times: any of them. What is given must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FilterQuery {
    /// Runs of this task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) task: Vec<TaskName>,
    /// Runs in this state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) state: Vec<RunState>,
    /// Runs in this queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) queue: Vec<QueueName>,
    /// Children of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<RunId>,
    /// This run, its children, and theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<RunId>,
    /// Enqueued at or after this: an instant, or how long ago.
    #[serde(deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub(crate) since: Option<Moment>,
    /// Enqueued before this: an instant, or how long ago.
    #[serde(deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub(crate) until: Option<Moment>,
}

/// An instant as it was said: `2026-01-31T12:00:00Z`, or `1h`, which is that long before now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Moment(String);

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [{ "format": "date-time" }, { "pattern": "^[0-9]{1,4}(s|m|h|d)$" }],
            "examples": ["2026-01-31T12:00:00Z", "1h"],
        })
    }
}

impl Moment {
    /// As it was said.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn at(&self, now: Timestamp) -> Option<Timestamp> {
        let instant = self.0.parse().ok();
        // A bare number would be seconds elsewhere: who writes one means a year, or an epoch.
        let with_unit = self.0.ends_with(|last: char| last.is_ascii_alphabetic());
        let ago = || now.checked_sub(duration::parse(&self.0).ok()?).ok();
        let ago = || with_unit.then(ago).flatten();
        instant.or_else(ago)
    }
}

/// An empty field of a form means that nothing was said.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let moment = Moment(text);
    if moment.at(Timestamp::UNIX_EPOCH).is_none() && moment.at(Timestamp::MAX).is_none() {
        return Err(serde::de::Error::custom(format!(
            "{:?} is neither an instant such as 2026-01-31T12:00:00Z nor a time ago such as 1h",
            moment.0
        )));
    }
    Ok(Some(moment))
}

impl FilterQuery {
    /// The filter for a broker whose clock is at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> RunFilter {
        let at = |moment: &Option<Moment>| moment.as_ref().and_then(|moment| moment.at(now));
        RunFilter {
            tasks: self.task.clone(),
            states: self.state.clone(),
            queues: self.queue.clone(),
            parent: self.parent,
            root: self.root,
            created_from: at(&self.since),
            created_before: at(&self.until),
            ..RunFilter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ago_counts_from_the_brokers_clock() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let query: FilterQuery =
            serde_json::from_str(r#"{"since":"1h","until":"","state":["queued"]}"#).unwrap();
        let filter = query.at(now);
        assert_eq!(
            filter.created_from.unwrap().to_string(),
            "2026-01-31T11:00:00Z"
        );
        assert_eq!(
            (filter.created_before, filter.states),
            (None, vec![RunState::Queued])
        );
    }

    #[test]
    fn what_is_no_moment_is_refused_with_what_would_be_one() {
        let refused = serde_json::from_str::<FilterQuery>(r#"{"since":"yesterday"}"#);
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains("\"yesterday\" is neither an instant"),
            "{told}"
        );
    }
}
