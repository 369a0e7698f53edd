//! The shape of `fluid.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use fluid_core::{
    ExecutorKind, K8sConfig, MissedTicks, Priority, QueueName, RateLimit, RetryPolicy,
    UniquePolicy, duration,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use toml::Spanned;

use super::explain::explain;
use super::fault::Fault;
use super::http::HttpSettings;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileForm {
    #[serde(default)]
    pub(super) fluid: Settings,
    #[serde(default)]
    pub(super) http: HttpSettings,
    #[serde(default)]
    pub(super) tasks: BTreeMap<Spanned<String>, TaskForm>,
}

/// The section `[fluid]`. What is `None` comes from the default; flags and environment go first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The URL of the broker. A relative SQLite path counts from the file's directory.
    pub broker: Option<String>,
    /// The executor of `cpu_bound` tasks.
    pub executor: Option<ExecutorKind>,
    /// The queues to claim from; by default all that the tasks name.
    pub queues: Option<Vec<QueueName>>,
    /// How many runs to execute at once; 10 by default.
    pub concurrency: Option<NonZeroUsize>,
    /// How long finished runs are kept; 7 days by default, `"forever"` for no end.
    pub retention: Option<Limit>,
    /// How long a lease lasts unless it is renewed; 30 s by default.
    #[serde(with = "duration::optional")]
    pub lease: Option<Duration>,
    /// How long a run may take to stop when asked; 5 s by default.
    #[serde(with = "duration::optional")]
    pub grace: Option<Duration>,
    /// How long to wait for runs at the end; 20 s by default.
    #[serde(with = "duration::optional")]
    pub drain_timeout: Option<Duration>,
}

/// A duration, or none at all: the words `none` and `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

impl std::str::FromStr for Limit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" | "forever" => Ok(Self(None)),
            text => duration::parse(text).map(|duration| Self(Some(duration))),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Limit;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as \"30s\", a number of seconds, or \"none\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Limit, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Limit, E> {
                seconds.to_string().parse().map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Limit, E> {
                seconds.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One `[tasks.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskForm {
    pub(super) command: Option<Spanned<Vec<String>>>,
    pub(super) shell: Option<Spanned<String>>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) cpu_bound: bool,
    pub(super) executor: Option<Spanned<ExecutorKind>>,
    pub(super) schedule: Option<Spanned<ScheduleForm>>,
    pub(super) missed: Option<MissedTicks>,
    pub(super) schedule_params: Option<Spanned<Value>>,
    pub(super) queue: Option<QueueName>,
    pub(super) priority: Option<Priority>,
    pub(super) timeout: Option<Spanned<Limit>>,
    pub(super) retry: Option<Spanned<RetryPolicy>>,
    pub(super) max_concurrency: Option<u32>,
    pub(super) concurrency_key: Option<Spanned<String>>,
    pub(super) rate_limit: Option<Spanned<RateLimit>>,
    pub(super) unique: Option<Spanned<UniqueForm>>,
    #[serde(default)]
    pub(super) tags: BTreeSet<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) directory: Option<Spanned<String>>,
    pub(super) params: Option<Spanned<Value>>,
    pub(super) params_file: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) secrets: Vec<Spanned<String>>,
    pub(super) k8s: Option<K8sConfig>,
}

/// A schedule, before it is known which of the two it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleForm {
    pub(super) every: Option<Spanned<Time>>,
    pub(super) delay: Option<Spanned<Time>>,
    pub(super) jitter: Option<Spanned<Time>>,
    pub(super) cron: Option<Spanned<String>>,
    pub(super) timezone: Option<Spanned<String>>,
}

/// `true` for all parameters, or the full policy.
#[derive(Debug)]
pub(super) struct UniqueForm(pub(super) Option<UniquePolicy>);

impl<'de> Deserialize<'de> for UniqueForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = UniqueForm;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, or a table such as { by = [\"path\"], window = \"10m\" }")
            }
            fn visit_bool<E>(self, unique: bool) -> Result<UniqueForm, E> {
                Ok(UniqueForm(unique.then(UniquePolicy::default)))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<UniqueForm, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                UniquePolicy::deserialize(map).map(|policy| UniqueForm(Some(policy)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A duration.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Time(#[serde(with = "duration")] pub(super) Duration);

/// Reads the text as far as its shape goes.
pub(super) fn read(text: &str) -> Result<FileForm, Fault> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        explain(error.message(), span, text)
    })
}
