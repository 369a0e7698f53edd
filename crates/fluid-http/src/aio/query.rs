//! Query strings and bodies as pydantic reads them: the last of several values counts, what is unknown does not.

use fluid_core::RunState;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::refusal::{Refusal, fault, fault_by};

/// How long a page of the history is unless said, and at most.
const PAGE: (usize, usize) = (250, 1000);

/// `TaskHistoryQuery`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HistoryQuery {
    pub(super) task: Option<String>,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// The states that are meant; `None` is any.
    pub(super) states: Option<Vec<RunState>>,
    pub(super) params: Option<Map<String, Value>>,
    pub(super) tags: Vec<String>,
    pub(super) limit: usize,
}

impl HistoryQuery {
    pub(super) fn read(pairs: &[(String, String)]) -> Result<Self, Refusal> {
        let one = |name: &str| {
            let last = pairs.iter().rev().find(|(key, _)| key == name);
            last.map(|(_, value)| value.as_str())
        };
        let tags = pairs.iter().filter(|(key, _)| key == "tags");
        let mut faults = Vec::new();
        let mut checked = |result: Result<(), Value>| faults.extend(result.err());
        let mut query = Self {
            task: one("task").map(str::to_owned),
            start: None,
            end: None,
            states: None,
            params: None,
            tags: tags.map(|(_, tag)| tag.clone()).collect(),
            limit: PAGE.0,
        };
        if let Some(text) = one("start") {
            checked(instant("start", text).map(|instant| query.start = Some(instant)));
        }
        if let Some(text) = one("end") {
            checked(instant("end", text).map(|instant| query.end = Some(instant)));
        }
        if let Some(text) = one("state") {
            checked(states(text).map(|states| query.states = Some(states)));
        }
        if let Some(text) = one("limit") {
            checked(limit(text).map(|limit| query.limit = limit));
        }
        if let Some(text) = one("params") {
            checked(params(text).map(|params| query.params = Some(params)));
        }
        if faults.is_empty() {
            Ok(query)
        } else {
            Err(Refusal::faults(faults))
        }
    }
}

/// An instant, a date and time or a date in UTC, or a number of seconds since 1970.
fn instant(name: &str, text: &str) -> Result<Timestamp, Value> {
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    // A date alone is its midnight.
    let civil = || {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let parsed = text.parse().ok().or_else(seconds);
    parsed.or_else(civil).ok_or_else(|| {
        let told = "Input should be a valid datetime or date";
        let by = json!({ "error": told });
        fault_by(
            "datetime_from_date_parsing",
            &json!(["query", name]),
            told,
            by,
        )
    })
}

fn states(text: &str) -> Result<Vec<RunState>, Value> {
    let names = "'init', 'queued', 'running', 'success', 'failure', 'aborted', 'rate_limited' or 'interrupted'";
    match text {
        // Nothing is stored before it is queued.
        "init" => Ok(Vec::new()),
        "queued" => Ok(vec![RunState::Queued, RunState::Scheduled]),
        other => match other.parse() {
            Ok(RunState::Scheduled) | Err(_) => Err(fault_by(
                "enum",
                &json!(["query", "state"]),
                &format!("Input should be {names}"),
                json!({ "expected": names }),
            )),
            Ok(state) => Ok(vec![state]),
        },
    }
}

fn limit(text: &str) -> Result<usize, Value> {
    let place = json!(["query", "limit"]);
    match text.parse::<i128>() {
        Ok(limit) if limit >= 1 => Ok(usize::try_from(limit).unwrap_or(PAGE.1).min(PAGE.1)),
        Ok(_) => Err(fault_by(
            "greater_than_equal",
            &place,
            "Input should be greater than or equal to 1",
            json!({ "ge": 1 }),
        )),
        Err(_) => Err(fault(
            "int_parsing",
            &place,
            "Input should be a valid integer, unable to parse string as an integer",
        )),
    }
}

fn params(text: &str) -> Result<Map<String, Value>, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(fault(
            "dict_type",
            &json!(["query", "params"]),
            "Input should be a valid dictionary",
        )),
        Err(error) => Err(fault_by(
            "value_error",
            &json!(["query"]),
            "Value error",
            json!({ "error": error.to_string() }),
        )),
    }
}

/// A truth value in one of the ways that pydantic takes it.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(word) => match word.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_in_each_of_pydantics_ways() {
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13:20",
            "1700000000",
        ] {
            let instant = instant("start", text).unwrap();
            assert_eq!(instant.as_second(), 1_700_000_000, "{text}");
        }
        let midnight = instant("start", "2023-11-14").unwrap();
        assert_eq!(midnight.to_string(), "2023-11-14T00:00:00Z");
        assert!(instant("start", "yesterday").is_err() && instant("start", "").is_err());
    }
}
