//! Flags made from the JSON Schema of a task's parameters.

use std::collections::BTreeSet;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction};
use serde_json::Value;

use super::property::{Kind, Plain, is_secret};

/// Flags that every `exec` and `enqueue` has; a parameter of such a name gets `--param-NAME`.
pub(super) const TAKEN: [&str; 23] = [
    "at",
    "broker",
    "config",
    "delay",
    "executor",
    "follow",
    "help",
    "log",
    "log-format",
    "many",
    "no-progress",
    "output",
    "params",
    "params-file",
    "priority",
    "queue",
    "quiet",
    "run-id",
    "secret-env",
    "unique-key",
    "version",
    "wait",
    "wait-timeout",
];

/// A parameter that can be given as a flag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flag {
    /// The parameter's name in the schema.
    pub(crate) name: String,
    /// The flag, without dashes.
    pub(crate) long: String,
    pub(super) kind: Kind,
    /// It may be given several times.
    pub(crate) many: bool,
    required: bool,
    description: String,
    default: Option<Value>,
    values: Vec<String>,
}

/// The flags for a schema, in its order, and the names of its secret parameters, which get none.
pub(crate) fn flags_of(schema: &Value) -> (Vec<Flag>, Vec<String>) {
    let mut flags = Vec::new();
    let mut secrets = Vec::new();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return (flags, secrets);
    };
    for (name, property) in properties {
        if is_secret(schema, property, 0) {
            secrets.push(name.clone());
            continue;
        }
        let plain = Plain::of(schema, property, 0);
        let Some(kind) = plain.kind else { continue };
        let Some(long) = long_of(name) else { continue };
        if flags.iter().any(|flag: &Flag| flag.long == long) {
            continue;
        }
        flags.push(Flag {
            name: name.clone(),
            long,
            kind,
            many: plain.many,
            required: required.contains(&name.as_str()),
            description: plain.description,
            default: plain.default,
            values: plain.values,
        });
    }
    (flags, secrets)
}

/// The flag of a parameter, if its name can be one.
fn long_of(name: &str) -> Option<String> {
    let long = name.replace('_', "-").to_lowercase();
    let odd = long.is_empty() || !long.chars().all(|c| c.is_alphanumeric() || c == '-');
    if odd || long.starts_with('-') {
        return None;
    }
    Some(if TAKEN.contains(&long.as_str()) {
        format!("param-{long}")
    } else {
        long
    })
}

/// Flags that secret parameters do not have, to say so to those who try one.
pub(crate) fn secret_args(secrets: &[String], flags: &[Flag]) -> Vec<Arg> {
    let mut taken: BTreeSet<String> = flags.iter().map(|flag| flag.long.clone()).collect();
    let args = secrets.iter().filter_map(|name| {
        let long = long_of(name).filter(|long| taken.insert(long.clone()))?;
        Some(
            Arg::new(secret_id(name))
                .long(long)
                .hide(true)
                .num_args(0..=1),
        )
    });
    args.collect()
}

/// The id of such a flag among clap's matches.
pub(crate) fn secret_id(name: &str) -> String {
    format!("secret {name}")
}

impl Flag {
    /// The flag for clap. Its value is text; [`value`](Self::value) reads it.
    pub(crate) fn arg(&self) -> Arg {
        let mut arg = Arg::new(self.id())
            .long(self.long.clone())
            .value_name(self.value_name())
            .help(self.help())
            .help_heading("Parameters")
            .allow_negative_numbers(matches!(self.kind, Kind::Integer | Kind::Number))
            .action(if self.many {
                ArgAction::Append
            } else {
                ArgAction::Set
            });
        let written = self.name.to_lowercase();
        if written != self.long && !self.long.starts_with("param-") {
            arg = arg.alias(written);
        }
        if self.kind == Kind::Boolean && !self.many {
            arg = arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true");
        }
        arg
    }

    /// The id among clap's matches.
    pub(crate) fn id(&self) -> String {
        format!("param {}", self.name)
    }

    fn value_name(&self) -> String {
        if !self.values.is_empty() && self.values.len() <= 6 {
            return self.values.join("|");
        }
        match self.kind {
            Kind::Text => "TEXT",
            Kind::Integer => "INTEGER",
            Kind::Number => "NUMBER",
            Kind::Boolean => "true|false",
            Kind::Any => "JSON",
        }
        .to_owned()
    }

    fn help(&self) -> StyledStr {
        let mut help = self.description.trim().replace('\n', " ");
        let mut add = |note: String| {
            if !help.is_empty() {
                help.push(' ');
            }
            help.push_str(&note);
        };
        if let Some(default) = &self.default {
            let default = default
                .as_str()
                .map_or_else(|| default.to_string(), str::to_owned);
            add(format!("[default: {default}]"));
        } else if self.required {
            add("[required]".to_owned());
        }
        if self.many {
            add("[may be given several times]".to_owned());
        }
        help.into()
    }

    /// Reads the flag's text as the value that the schema wants.
    ///
    /// # Errors
    /// A sentence that names the flag.
    pub(crate) fn value(&self, text: &str) -> Result<Value, String> {
        let fault = |wanted: &str| Err(format!("--{}: {text:?} is not {wanted}", self.long));
        match self.kind {
            Kind::Text => Ok(Value::from(text)),
            Kind::Integer => match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(number), _) => Ok(Value::from(number)),
                (_, Ok(number)) => Ok(Value::from(number)),
                _ => fault("an integer"),
            },
            Kind::Number => match serde_json::from_str::<Value>(text) {
                Ok(number @ Value::Number(_)) => Ok(number),
                _ => match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Value::from(number)),
                    _ => fault("a number"),
                },
            },
            Kind::Boolean => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => fault("true or false"),
            },
            Kind::Any => Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluid_core::Secret;
    use schemars::JsonSchema;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Resize {
        /// The picture.
        path: String,
        max_width: Option<u32>,
        ratio: f64,
        mode: Option<Mode>,
        tags: Vec<String>,
        keep: bool,
        queue: String,
        token: Secret<String>,
        nested: Nested,
        other: Option<Secret<String>>,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Mode {
        /// Keeps all of it.
        Fit,
        Fill,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Nested {
        a: u8,
    }

    #[test]
    fn a_rust_type_becomes_flags_without_its_secrets() {
        let (flags, secrets) = flags_of(schemars::schema_for!(Resize).as_value());
        let found: Vec<_> = flags
            .iter()
            .map(|flag| (flag.long.as_str(), flag.kind, flag.many))
            .collect();
        assert!(found.contains(&("path", Kind::Text, false)), "{found:?}");
        assert!(
            found.contains(&("max-width", Kind::Integer, false)),
            "{found:?}"
        );
        assert!(found.contains(&("ratio", Kind::Number, false)), "{found:?}");
        assert!(found.contains(&("mode", Kind::Text, false)), "{found:?}");
        assert!(found.contains(&("tags", Kind::Text, true)), "{found:?}");
        assert!(found.contains(&("keep", Kind::Boolean, false)), "{found:?}");
        assert!(
            found.contains(&("param-queue", Kind::Text, false)),
            "{found:?}"
        );
        assert_eq!(flags.len(), 7, "{found:?}");
        assert_eq!(secrets, ["token", "other"]);
        let mode = flags.iter().find(|flag| flag.long == "mode").unwrap();
        assert_eq!(mode.values, ["fill", "fit"], "as the schema lists them");
    }

    #[test]
    fn values_are_read_as_the_schema_wants_them() {
        let schema = json!({"properties": {
            "n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": "boolean"},
            "any": {"type": ["string", "integer"]},
        }});
        let (flags, _) = flags_of(&schema);
        let read = |name: &str, text: &str| {
            flags
                .iter()
                .find(|flag| flag.name == name)
                .unwrap()
                .value(text)
        };
        assert_eq!(read("n", "-3").unwrap(), json!(-3));
        assert_eq!(read("n", "18446744073709551615").unwrap(), json!(u64::MAX));
        assert_eq!(read("x", "1e3").unwrap(), json!(1000.0));
        assert_eq!(read("b", "false").unwrap(), json!(false));
        assert_eq!(read("any", "5").unwrap(), json!(5));
        assert_eq!(read("any", "five").unwrap(), json!("five"));
        assert_eq!(read("n", "x").unwrap_err(), "--n: \"x\" is not an integer");
        assert!(read("x", "NaN").is_err() && read("b", "yes").is_err());
    }
}
