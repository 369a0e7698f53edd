//! The parameters of a run: their schema, their check, and the parts of them that are secret.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::json::JsonText;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// A value that is never shown: its schema says `writeOnly`, so every part of fluid redacts it.
///
/// ```
/// use fluid_core::Secret;
/// let token: Secret<String> = serde_json::from_str("\"hunter2\"").unwrap();
/// assert_eq!(format!("{token:?}"), "[redacted]");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: look where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T: JsonSchema> JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("writeOnly".to_owned(), true.into());
        schema
    }
}

/// Parameters that are not what the task declares. The message never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// Not JSON at all.
    #[error("the parameters are not JSON: line {line} column {column}")]
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// They break the schema.
    #[error("the parameters don't fit the task: {}", .faults.join("; "))]
    Invalid {
        /// One sentence for each fault, with the [place](ParamsError::place) of the value.
        faults: Vec<String>,
    },
    /// The schema itself is none.
    #[error("the schema of the parameters is not a JSON Schema: {0}")]
    Schema(String),
}

impl ParamsError {
    /// Of a fault of [`Invalid`](Self::Invalid), where it is, a JSON Pointer (RFC 6901) that is empty for the whole, and
    /// what is wrong there.
    pub fn place(fault: &str) -> (&str, &str) {
        let place = fault.split_once(": ");
        place
            .filter(|(place, _)| place.starts_with('/'))
            .unwrap_or(("", fault))
    }
}

/// The JSON Schema of a task's parameters, ready to check with.
#[derive(Clone)]
pub struct ParamsSchema {
    schema: Arc<Value>,
    validator: Option<Arc<jsonschema::Validator>>,
}

impl ParamsSchema {
    /// The schema of a Rust type; `()` means that the task takes none.
    pub fn of<P: JsonSchema + 'static>() -> Self {
        let schema = if TypeId::of::<P>() == TypeId::of::<()>() {
            json!({"type": "object", "additionalProperties": false})
        } else {
            schemars::schema_for!(P).to_value()
        };
        let validator = jsonschema::validator_for(&schema).ok().map(Arc::new);
        Self {
            schema: Arc::new(schema),
            validator,
        }
    }

    /// Any JSON object will do.
    pub fn any() -> Self {
        Self {
            schema: Arc::new(json!({"type": "object"})),
            validator: None,
        }
    }

    /// A schema from a file.
    ///
    /// # Errors
    /// [`ParamsError::Schema`] when it is no JSON Schema.
    pub fn from_value(schema: Value) -> Result<Self, ParamsError> {
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| ParamsError::Schema(error.to_string()))?;
        Ok(Self {
            schema: Arc::new(schema),
            validator: Some(Arc::new(validator)),
        })
    }

    /// The schema as JSON.
    pub fn as_value(&self) -> &Value {
        &self.schema
    }

    /// Checks parameters and finds the secrets in them.
    ///
    /// # Errors
    /// [`ParamsError`] with every fault that was found; none of them quotes a value.
    pub fn check(&self, json: JsonText) -> Result<Params, ParamsError> {
        let value: Value = json.to().map_err(|error| ParamsError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        if let Some(validator) = &self.validator {
            let faults: Vec<String> = validator.iter_errors(&value).map(|e| fault(&e)).collect();
            if !faults.is_empty() {
                return Err(ParamsError::Invalid { faults });
            }
        } else if !value.is_object() {
            return Err(ParamsError::Invalid {
                faults: vec!["expected a JSON object".to_owned()],
            });
        }
        Ok(Params::stored(json, self.secret_paths(&value)))
    }

    /// The JSON Pointers of the secrets in parameters that need not be whole or right yet.
    pub fn secret_paths(&self, value: &Value) -> Vec<String> {
        let mut secrets = Vec::new();
        find_secrets(
            &self.schema,
            &self.schema,
            value,
            &mut String::new(),
            0,
            &mut secrets,
        );
        secrets
    }
}

impl fmt::Debug for ParamsSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.schema, f)
    }
}

impl PartialEq for ParamsSchema {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema
    }
}

fn fault(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let masked = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("{name:?}")).collect();
            format!("no such parameter: {}", names.join(", "))
        }
        _ => error.masked().to_string(),
    };
    if place.is_empty() {
        masked
    } else {
        format!("{place}: {masked}")
    }
}

/// Deeper than this a schema that refers to itself is not followed.
const MAX_DEPTH: usize = 32;

fn find_secrets(
    root: &Value,
    schema: &Value,
    value: &Value,
    place: &mut String,
    depth: usize,
    found: &mut Vec<String>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let Some(schema) = schema.as_object() else {
        return;
    };
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    if flag("writeOnly") || schema.get("format").and_then(Value::as_str) == Some("password") {
        if !found.contains(place) {
            found.push(place.clone());
        }
        return;
    }
    if let Some(target) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix('#'))
        && let Some(target) = root.pointer(target)
    {
        find_secrets(root, target, value, place, depth + 1, found);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for part in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            find_secrets(root, part, value, place, depth + 1, found);
        }
    }
    let mut inside = |schema: &Value, value: &Value, step: &str| {
        let length = place.len();
        place.push('/');
        place.push_str(step);
        find_secrets(root, schema, value, place, depth + 1, found);
        place.truncate(length);
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                let known = schema.get("properties").and_then(|p| p.get(name));
                if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
                    inside(schema, member, &step);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    inside(schema, item, &index.to_string());
                }
            }
        }
        _ => {}
    }
}

/// The parameters of one run. Showing or serializing them leaves the secrets out; only
/// [`expose`](Self::expose) gives them whole, to the executor.
#[derive(Clone, PartialEq, Eq)]
pub struct Params {
    json: JsonText,
    /// `None` where there are none, as nearly everywhere.
    secrets: Option<Arc<[String]>>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            json: JsonText::empty_object(),
            secrets: None,
        }
    }
}

impl Params {
    /// Parameters as a broker stored them: the JSON and the JSON Pointers (RFC 6901) of its secrets.
    pub fn stored(json: JsonText, secrets: impl Into<Vec<String>>) -> Self {
        let secrets = secrets.into();
        let secrets = (!secrets.is_empty()).then(|| secrets.into());
        Self { json, secrets }
    }

    /// The parameters whole, secrets included: look where they go.
    pub fn expose(&self) -> &JsonText {
        &self.json
    }

    /// The JSON Pointers of the secrets.
    pub fn secret_paths(&self) -> &[String] {
        self.secrets.as_deref().unwrap_or_default()
    }

    /// The parameters to show, each secret replaced by [`REDACTED`].
    pub fn redacted(&self) -> Value {
        let mut value = self.json.to_value();
        for path in self.secret_paths() {
            if let Some(secret) = value.pointer_mut(path) {
                *secret = Value::String(REDACTED.to_owned());
            }
        }
        value
    }

    /// What must not appear in any output of this run.
    pub fn redactor(&self) -> Redactor {
        if self.secrets.is_none() {
            return Redactor::default();
        }
        let value = self.json.to_value();
        let mut words = Vec::new();
        for secret in self
            .secret_paths()
            .iter()
            .filter_map(|path| value.pointer(path))
        {
            collect_words(secret, &mut words);
        }
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Redactor {
            words: words.into(),
        }
    }
}

fn collect_words(secret: &Value, words: &mut Vec<String>) {
    match secret {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => words.push(number.to_string()),
        Value::String(text) => {
            words.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned),
            );
            let written = Value::String(text.clone()).to_string();
            let escaped = &written[1..written.len() - 1];
            if escaped != text {
                words.push(escaped.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Object(members) => members
            .values()
            .for_each(|member| collect_words(member, words)),
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.redacted(), f)
    }
}

impl JsonSchema for Params {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Params".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.secrets.is_none() {
            self.json.serialize(serializer)
        } else {
            self.redacted().serialize(serializer)
        }
    }
}

/// Takes a run's secrets out of whatever text the run gives.
#[derive(Clone, Default)]
pub struct Redactor {
    words: Arc<[String]>,
}

impl Redactor {
    /// The text with every secret replaced by [`REDACTED`].
    pub fn redact(&self, text: String) -> String {
        self.words.iter().fold(text, |text, word| {
            if text.contains(word.as_str()) {
                text.replace(word.as_str(), REDACTED)
            } else {
                text
            }
        })
    }

    /// JSON with every secret in its text replaced by [`REDACTED`].
    pub fn redact_json(&self, json: JsonText) -> JsonText {
        let text = json.as_str();
        // A program may have written any character as \u and four digits.
        let may_hold = |word: &String| text.contains(word.as_str()) || text.contains("\\u");
        if !self.words.iter().any(may_hold) {
            return json;
        }
        let mut value = json.to_value();
        self.redact_value(&mut value);
        JsonText::from(value)
    }

    /// Where to cut text that comes in pieces so that no secret is cut in two: at `at` or the nearest place
    /// that will do before it, or after it if that would leave nothing. To see a secret that begins before
    /// `at` and ends after it, `text` must go on for [`longest`](Self::longest) bytes after it.
    pub fn cut(&self, text: &[u8], at: usize) -> usize {
        let mut cut = at.min(text.len());
        let mut end = cut;
        while let Some((start, stop)) = self.across(text, cut) {
            end = end.max(stop);
            cut = start;
        }
        if cut > 0 {
            return cut;
        }
        while let Some((_, stop)) = self.across(text, end) {
            end = stop;
        }
        end
    }

    /// The length of the longest secret in bytes; 0 when there is none.
    pub fn longest(&self) -> usize {
        self.words.iter().map(String::len).max().unwrap_or(0)
    }

    /// A secret in `text` that begins before `at` and ends after it.
    fn across(&self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        self.words.iter().find_map(|word| {
            let first = (at + 1).saturating_sub(word.len());
            let window = text.get(first..text.len().min(at + word.len()).saturating_sub(1))?;
            let place = window
                .windows(word.len())
                .position(|part| part == word.as_bytes())?;
            let start = first + place;
            (start < at).then_some((start, start + word.len()))
        })
    }

    fn redact_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(std::mem::take(text)),
            Value::Number(number) if self.words.iter().any(|word| *word == number.to_string()) => {
                *value = Value::String(REDACTED.to_owned());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item)),
            Value::Object(members) => {
                for (name, mut member) in std::mem::take(members) {
                    self.redact_value(&mut member);
                    members.insert(self.redact(name), member);
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.words.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Login {
        user: String,
        token: Secret<String>,
        hosts: Vec<Host>,
        #[serde(default)]
        backup: Option<Secret<String>>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Host {
        name: String,
        key: Secret<String>,
    }

    fn login() -> JsonText {
        JsonText::from(json!({
            "user": "ada", "token": "hunter2\"x",
            "hosts": [{"name": "a", "key": "k-one"}, {"name": "b", "key": "k-two"}],
            "backup": "third",
        }))
    }

    #[test]
    fn secrets_are_found_wherever_the_schema_puts_them() {
        let params = ParamsSchema::of::<Login>().check(login()).unwrap();
        let mut paths = params.secret_paths().to_vec();
        // The order of the members of an object is up to a feature of serde_json.
        paths.sort();
        assert_eq!(paths, ["/backup", "/hosts/0/key", "/hosts/1/key", "/token"]);
        let shown = serde_json::to_string(&params).unwrap() + &format!("{params:?}");
        for secret in ["hunter2", "k-one", "k-two", "third"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("ada") && params.expose().as_str().contains("hunter2"));
    }

    #[test]
    fn secrets_are_taken_out_of_output_and_results() {
        let redactor = ParamsSchema::of::<Login>()
            .check(login())
            .unwrap()
            .redactor();
        let line = redactor.redact("login with hunter2\"x and k-one".to_owned());
        assert_eq!(line, "login with [redacted] and [redacted]");
        let escaped = redactor.redact(r#"{"token":"hunter2\"x"}"#.to_owned());
        assert!(!escaped.contains("hunter2"), "{escaped}");
        let result = redactor.redact_json(JsonText::from(json!({"echo": ["k-two", 1]})));
        assert_eq!(result.as_str(), r#"{"echo":["[redacted]",1]}"#);
    }

    #[test]
    fn escaped_characters_hide_no_secret_in_a_result() {
        let redactor = Redactor {
            words: vec!["pässwörd".to_owned()].into(),
        };
        let result = JsonText::parse(r#"["p\u00e4ssw\u00f6rd"]"#).unwrap();
        assert_eq!(redactor.redact_json(result).as_str(), r#"["[redacted]"]"#);
    }

    #[test]
    fn text_is_never_cut_inside_a_secret() {
        let redactor = Redactor {
            words: vec!["abcdef".to_owned(), "xab".to_owned()].into(),
        };
        let text = b"--xabcdef--";
        for (at, cut) in [
            (2, 2),
            (3, 2),
            (4, 2),
            (6, 2),
            (8, 2),
            (9, 9),
            (10, 10),
            (99, 11),
        ] {
            assert_eq!(redactor.cut(text, at), cut, "{at}");
        }
        assert_eq!(redactor.cut(b"abcdef-", 3), 6);
        assert_eq!(redactor.cut(b"xabcdef-", 1), 7);
        assert_eq!(Redactor::default().cut(text, 4), 4);
        assert_eq!((redactor.longest(), Redactor::default().longest()), (6, 0));
    }

    #[test]
    fn faults_name_the_place_and_never_the_value() {
        let bad = JsonText::from(json!({"user": 7_777_777, "token": 5, "hosts": [{"name": "a"}]}));
        let error = ParamsSchema::of::<Login>()
            .check(bad)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/user") && error.contains("/hosts/0") && !error.contains("7777777"),
            "{error}"
        );
        let error = ParamsSchema::any()
            .check(JsonText::trusted("{\"a\": hunter2}"))
            .unwrap_err();
        assert_eq!(error, ParamsError::NotJson { line: 1, column: 7 });
    }

    #[test]
    fn a_task_without_parameters_takes_none() {
        let schema = ParamsSchema::of::<()>();
        assert!(schema.check(JsonText::empty_object()).is_ok());
        assert!(schema.check(JsonText::from(json!({"a": 1}))).is_err());
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        assert!(matches!(
            ParamsSchema::from_value(json!({"type": "objekt"})),
            Err(ParamsError::Schema(_))
        ));
    }
}
