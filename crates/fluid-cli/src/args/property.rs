//! One property of a JSON Schema, as far as a flag needs to know it.

use serde_json::Value;

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    /// JSON, or text where it is none.
    Any,
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let target = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    root.pointer(target)
}

const MAX_DEPTH: usize = 16;

/// Whether a property is secret, wherever its schema says so.
pub(super) fn is_secret(root: &Value, schema: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let parts = ["allOf", "anyOf", "oneOf"]
        .iter()
        .filter_map(|key| schema.get(*key)?.as_array())
        .flatten();
    schema.get("writeOnly").and_then(Value::as_bool) == Some(true)
        || schema.get("format").and_then(Value::as_str) == Some("password")
        || resolve(root, schema)
            .into_iter()
            .chain(parts)
            .any(|part| is_secret(root, part, depth + 1))
}

/// What a property is once references and "or null" are taken off.
#[derive(Default)]
pub(super) struct Plain {
    pub(super) kind: Option<Kind>,
    pub(super) many: bool,
    pub(super) description: String,
    pub(super) default: Option<Value>,
    pub(super) values: Vec<String>,
}

impl Plain {
    /// Reads the schema of a property; `root` is the whole one, which references point into.
    pub(super) fn of(root: &Value, schema: &Value, depth: usize) -> Self {
        let mut plain = Self::default();
        if depth > MAX_DEPTH {
            return plain;
        }
        if let Some(target) = resolve(root, schema) {
            plain = Self::of(root, target, depth + 1);
        }
        let choices: Vec<&Value> = ["allOf", "anyOf", "oneOf"]
            .iter()
            .filter_map(|key| schema.get(*key)?.as_array())
            .flatten()
            .filter(|part| part.get("type").and_then(Value::as_str) != Some("null"))
            .collect();
        if let [only] = choices.as_slice() {
            plain = Self::of(root, only, depth + 1);
        } else if !choices.is_empty() {
            let words: Option<Vec<_>> = choices.iter().map(|part| words_of(part)).collect();
            match words {
                Some(words) => {
                    plain.kind = Some(Kind::Text);
                    plain.values = words.concat();
                }
                None => plain.kind = Some(Kind::Any),
            }
        }
        if let Some(words) = words_of(schema) {
            plain.kind = Some(Kind::Text);
            plain.values = words;
        } else if let Some(declared) = schema.get("type") {
            let types: Vec<&str> = match declared {
                Value::String(one) => vec![one],
                Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
            plain.kind = match types.as_slice() {
                ["string"] => Some(Kind::Text),
                ["integer"] => Some(Kind::Integer),
                ["number"] => Some(Kind::Number),
                ["boolean"] => Some(Kind::Boolean),
                ["array"] => {
                    let items = schema
                        .get("items")
                        .map(|items| Self::of(root, items, depth + 1));
                    plain.many = true;
                    match items {
                        Some(items) if items.many => None,
                        Some(items) => {
                            plain.values = items.values;
                            items.kind
                        }
                        None => Some(Kind::Any),
                    }
                }
                ["object"] | [] => None,
                _ => Some(Kind::Any),
            };
        }
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            text.clone_into(&mut plain.description);
        }
        if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
            plain.default = Some(default.clone());
        }
        plain
    }
}

/// The words that a schema allows, when it allows only words.
fn words_of(schema: &Value) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word.to_owned()]);
    }
    let values = schema
        .get("enum")?
        .as_array()?
        .iter()
        .filter(|value| !value.is_null());
    values
        .map(|value| value.as_str().map(str::to_owned))
        .collect()
}
