//! Durations in files and messages: `1m 30s`, or a bare number of seconds where a file allows it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Reads `1h 30m`, `250ms`, or a bare number of seconds such as `90` or `0.5`.
///
/// # Errors
/// A sentence that says what was found and what is expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a duration such as 30s, 5m or 1h 30m: {error}"))
}

fn from_seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| format!("{seconds} s is not a duration: {error}"))
}

/// Writes `1m 30s`.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl Written {
    fn read(self) -> Result<Duration, String> {
        match self {
            Self::Number(seconds) => from_seconds(seconds),
            Self::Text(text) => parse(&text),
        }
    }
}

/// For `#[serde(with = "fluid_core::duration")]`.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// For `#[serde(with = "fluid_core::duration")]`.
///
/// # Errors
/// When it is neither a number of seconds nor a duration in words.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Written::deserialize(deserializer)?
        .read()
        .map_err(serde::de::Error::custom)
}

/// The same for an optional duration: `#[serde(with = "fluid_core::duration::optional")]`.
pub mod optional {
    use super::{Deserialize, Deserializer, Duration, Serializer, Written};

    /// See [`super::serialize`].
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// See [`super::deserialize`].
    ///
    /// # Errors
    /// When it is neither a number of seconds nor a duration in words.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<Written>::deserialize(deserializer)?
            .map(Written::read)
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_seconds_are_read() {
        assert_eq!(parse("1h 30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse("0.5").unwrap(), Duration::from_millis(500));
        assert_eq!(parse(" 300 ").unwrap(), Duration::from_secs(300));
        for bad in ["", "soon", "-1", "1e999", "NaN"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
