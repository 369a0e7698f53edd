//! Identifiers and names, validated once at the edge so that inside nothing is checked twice.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that is empty, too long, or holds a character that names may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid {what} name {name:?}: {reason}; use 1 to {MAX_NAME} letters, digits, '_', '-', '.' or ':', and begin with a letter or digit"
)]
pub struct NameError {
    what: &'static str,
    name: String,
    reason: &'static str,
}

/// The longest name of a task, queue or consumer, in characters.
pub const MAX_NAME: usize = 100;

fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    let fault = |reason| {
        Err(NameError {
            what,
            name: name.chars().take(MAX_NAME).collect(),
            reason,
        })
    };
    let Some(first) = name.chars().next() else {
        return fault("it is empty");
    };
    if name.chars().count() > MAX_NAME {
        return fault("it is too long");
    }
    if !first.is_alphanumeric() {
        return fault("it begins with something else than a letter or digit");
    }
    if !name
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
    {
        return fault("it holds a character that names may not have");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and keeps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, longer than [`MAX_NAME`], or has a character that names may not have.
            pub fn parse(name: impl AsRef<str>) -> Result<Self, NameError> {
                let name = name.as_ref();
                check_name($what, name)?;
                Ok(Self(name.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::parse(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::parse(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!("The name of a ", $what, ": letters, digits, '_', '-', '.' and ':'"),
                    "type": "string", "minLength": 1, "maxLength": MAX_NAME,
                    "pattern": r"^[\p{L}\p{N}][\p{L}\p{N}_.:-]*$",
                })
            }
        }
    };
}

name!(
    /// The name of a task, unique in an application.
    TaskName, "task"
);
name!(
    /// The name of a queue: a lane that consumers subscribe to. The default is `default`.
    QueueName, "queue"
);
name!(
    /// Who claims runs: unique to one consumer process, readable by people.
    ConsumerId, "consumer"
);

impl TaskName {
    /// Keeps a name that was checked when the program was compiled.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl QueueName {
    /// Keeps a name that was checked when the program was compiled.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl Default for QueueName {
    fn default() -> Self {
        static DEFAULT: LazyLock<QueueName> = LazyLock::new(|| QueueName("default".into()));
        DEFAULT.clone()
    }
}

impl ConsumerId {
    /// A fresh id that begins with `host` and ends in random digits, so that a restarted consumer
    /// is never mistaken for the one before it.
    pub fn generate(host: &str) -> Self {
        let host: String = host
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(60)
            .collect();
        let host = host.trim_matches('-');
        let host = if host.is_empty() { "consumer" } else { host };
        let random = Uuid::new_v4().as_u128() & 0xffff_ffff;
        Self(format!("{host}-{random:08x}").into())
    }
}

/// The id of a run: a UUID of version 7 (RFC 9562 § 5.7), so ids sort by the time of creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl JsonSchema for RunId {
    fn schema_name() -> Cow<'static, str> {
        "RunId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The id of a run: a UUID of version 7, so ids sort by the time of creation",
            "type": "string", "format": "uuid",
        })
    }
}

impl RunId {
    /// A fresh id, larger than every id that this process made before.
    #[expect(
        clippy::new_without_default,
        reason = "a default id would be a surprise"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id with these 16 bytes, as a broker stored it.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes in network order; their order is the order of ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A text that is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run id: expected a UUID such as 0192f0c1-7d9a-7c3e-8a51-2f6f0e1b9d42")]
pub struct RunIdError(String);

impl FromStr for RunId {
    type Err = RunIdError;
    fn from_str(text: &str) -> Result<Self, RunIdError> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| RunIdError(text.chars().take(80).collect()))
    }
}

/// Fences the writes of one attempt: a write with another token than the run's current one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(i64);

impl LeaseToken {
    /// A fresh random token of 62 bits.
    pub fn random() -> Self {
        let bits = Uuid::new_v4().as_u128();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "62 random bits are what is wanted"
        )]
        Self((bits as i64) & (i64::MAX >> 1))
    }

    /// The token with this value, as a broker stored it.
    pub fn from_i64(value: i64) -> Self {
        Self(value)
    }

    /// The value to store.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_edge() {
        for good in ["a", "resize_image", "übung", "a.b:c-d", "9lives", "数据"] {
            assert_eq!(TaskName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " a", "a b", "-a", "a/b", "a\nb", &"x".repeat(101)] {
            let error = TaskName::parse(bad).unwrap_err().to_string();
            assert!(error.contains("invalid task name"), "{error}");
        }
    }

    #[test]
    fn run_ids_sort_by_creation_and_survive_text() {
        let ids: Vec<RunId> = (0..1000).map(|_| RunId::new()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].to_string().parse::<RunId>().unwrap(), ids[0]);
        assert!(
            "nope"
                .parse::<RunId>()
                .unwrap_err()
                .to_string()
                .contains("\"nope\" is not a run id")
        );
    }

    #[test]
    fn consumer_ids_are_valid_names_whatever_the_host_is_called() {
        for host in ["", "-", "pod-7f9", "host.domain", &"h".repeat(300)] {
            let id = ConsumerId::generate(host);
            assert_eq!(ConsumerId::parse(id.as_str()).unwrap(), id);
        }
    }
}
