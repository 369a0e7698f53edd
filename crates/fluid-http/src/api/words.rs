//! The values that query strings hold.

use std::borrow::Cow;
use std::time::Duration;

use fluid_core::{RunId, duration};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// How many, from 1 to `MAX`; `DEFAULT` unless said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit<const DEFAULT: usize, const MAX: usize>(usize);

impl<const DEFAULT: usize, const MAX: usize> Limit<DEFAULT, MAX> {
    pub(super) fn get(self) -> usize {
        self.0
    }
}

impl<const DEFAULT: usize, const MAX: usize> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const DEFAULT: usize, const MAX: usize> Deserialize<'de> for Limit<DEFAULT, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        match text.parse() {
            Ok(limit) if (1..=MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not a number from 1 to {MAX}"
            ))),
        }
    }
}

impl<const DEFAULT: usize, const MAX: usize> JsonSchema for Limit<DEFAULT, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Limit_{DEFAULT}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX, "default": DEFAULT })
    }
}

/// Said or not: `?all`, `?all=true`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
            "" | "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            other => Err(D::Error::custom(format!(
                "{other:?} is neither true nor false"
            ))),
        }
    }
}

impl JsonSchema for Flag {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["true", "false", ""], "default": "false" })
    }
}

/// How long a request waits for the end of a run, at most [`Wait::LONGEST`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait(Duration);

impl Wait {
    /// What a longer wait is cut to, so that proxies don't end it.
    const LONGEST: Duration = Duration::from_secs(60);

    pub(super) fn limit(self) -> Duration {
        self.0.min(Self::LONGEST)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        duration::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Wait {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Wait".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]{1,4}(ms|s|m)|[0-9]{1,4}([.][0-9]{1,3})?)$", "examples": ["10s"] })
    }
}

/// Where a page of runs begins: after this run, and at which instant the first page was asked for, so that `since=1h`
/// means the same on every page. Its form is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) before: RunId,
    pub(super) asked_at: Timestamp,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (run, instant) = text.split_at_checked(32).filter(|_| text.len() == 48)?;
        let run = u128::from_str_radix(run, 16).ok()?;
        let instant = i64::from_str_radix(instant, 16).unwrap_or(i64::MAX);
        Some(Self {
            before: RunId::from_bytes(run.to_be_bytes()),
            asked_at: Timestamp::from_microsecond(instant).unwrap_or(Timestamp::MAX),
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let run = u128::from_be_bytes(*self.before.as_bytes());
        write!(f, "{run:032x}{:016x}", self.asked_at.as_microsecond())
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom("this is no cursor: take the one in `next` of the page before, whole")
        })
    }
}

impl JsonSchema for Cursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{48}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_written_form() {
        let cursor = Cursor {
            before: RunId::new(),
            asked_at: "2026-01-31T12:00:00.000001Z".parse().unwrap(),
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for bad in ["", "00", &"é".repeat(24), &"x".repeat(48)] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
