//! What a JSON Schema asks for, as fields. What it says beyond that is checked when the parameters are sent.

use serde_json::{Map, Value};

use super::field::{Field, Kind};

/// Deeper than this, members are written as JSON: a schema may refer to itself.
const DEPTH: usize = 6;

/// The fields of an object; `None` when only JSON will do.
pub(super) fn fields(schema: &Value) -> Option<Vec<Field>> {
    let (found, _) = resolve(schema, schema, 0)?;
    members(found, schema, "", 0)
}

/// Follows references and steps over what allows `null` as well; whether it does.
fn resolve<'a>(
    root: &'a Value,
    schema: &'a Value,
    depth: usize,
) -> Option<(&'a Map<String, Value>, bool)> {
    let schema = schema.as_object()?;
    if depth > 2 * DEPTH {
        return None;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.strip_prefix('#')?)?;
        return resolve(root, target, depth + 1);
    }
    if let Some([only]) = schema
        .get("allOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        return resolve(root, only, depth + 1);
    }
    for key in ["anyOf", "oneOf"] {
        let Some(parts) = schema.get(key).and_then(Value::as_array) else {
            continue;
        };
        let is_null = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("null");
        let nulls = parts.iter().filter(is_null).count();
        if let (1, Some(part)) = (nulls, parts.iter().find(|part| !is_null(part)))
            && parts.len() == 2
        {
            let (found, _) = resolve(root, part, depth + 1)?;
            return Some((found, true));
        }
    }
    let types = schema.get("type").and_then(Value::as_array);
    let nullable = types.is_some_and(|types| types.iter().any(|one| one == "null"));
    Some((schema, nullable))
}

fn members(
    schema: &Map<String, Value>,
    root: &Value,
    pointer: &str,
    depth: usize,
) -> Option<Vec<Field>> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let Some(properties) = properties else {
        // Without any it takes none, or anything at all.
        return closed.then(Vec::new);
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let field = |(name, schema): (&String, &Value)| {
        let step = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{pointer}/{step}");
        field(root, name, schema, pointer, is_required(name), depth)
    };
    let mut fields: Vec<Field> = properties.iter().map(field).collect();
    // What must be said comes first.
    fields.sort_by_key(|field| !field.required);
    Some(fields)
}

fn field(
    root: &Value,
    name: &str,
    schema: &Value,
    pointer: String,
    required: bool,
    depth: usize,
) -> Field {
    let found = resolve(root, schema, 0);
    let text = |key: &str| {
        let outer = schema.get(key).and_then(Value::as_str);
        let inner = found
            .as_ref()
            .and_then(|(found, _)| found.get(key)?.as_str());
        outer.or(inner).unwrap_or_default().to_owned()
    };
    let kind = match &found {
        Some((found, _)) if is_secret(schema) => match kind(root, found, &pointer, depth) {
            Kind::Text => Kind::Secret,
            other => other,
        },
        Some((found, _)) => kind(root, found, &pointer, depth),
        None => Kind::Json,
    };
    let field = Field {
        name: name.to_owned(),
        help: text("description"),
        kind,
        required,
        lax: false,
        nullable: found.is_some_and(|(_, nullable)| nullable),
        default: schema.get("default").cloned(),
        said: String::new(),
        faults: Vec::new(),
        pointer,
    };
    field.preset()
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
        || schema.get("format").and_then(Value::as_str) == Some("password")
}

fn kind(root: &Value, schema: &Map<String, Value>, pointer: &str, depth: usize) -> Kind {
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    let bound = |key: &str| schema.get(key).map(ToString::to_string);
    match type_of(schema) {
        "string" if is_secret(&Value::Object(schema.clone())) => Kind::Secret,
        "string" => Kind::Text,
        "integer" | "number" => Kind::Number {
            whole: type_of(schema) == "integer",
            min: bound("minimum"),
            max: bound("maximum"),
        },
        "boolean" => Kind::Flag,
        "array" => {
            let items = schema
                .get("items")
                .and_then(|items| resolve(root, items, 0));
            let items = items.map(|(found, _)| kind(root, found, pointer, depth + 1));
            match items {
                Some(items @ (Kind::Text | Kind::Number { .. } | Kind::Choice(_))) => {
                    Kind::Lines(Box::new(items))
                }
                _ => Kind::Json,
            }
        }
        "object" if depth < DEPTH => {
            members(schema, root, pointer, depth + 1).map_or(Kind::Json, Kind::Group)
        }
        _ => Kind::Json,
    }
}

/// The one type that is not null.
fn type_of(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(one)) => one,
        Some(Value::Array(types)) => {
            let mut types = types
                .iter()
                .filter_map(Value::as_str)
                .filter(|one| *one != "null");
            match (types.next(), types.next()) {
                (Some(one), None) => one,
                _ => "",
            }
        }
        _ => "",
    }
}

/// The values of an enumeration, however it is written.
fn choices(schema: &Map<String, Value>) -> Option<Vec<(String, Value)>> {
    let values: Vec<&Value> = if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        values.iter().collect()
    } else if let Some(value) = schema.get("const") {
        vec![value]
    } else {
        let parts = schema.get("oneOf").and_then(Value::as_array)?;
        let mut values = Vec::new();
        for part in parts {
            match (
                part.get("const"),
                part.get("enum").and_then(Value::as_array),
            ) {
                (Some(value), _) => values.push(value),
                (None, Some(some)) => values.extend(some),
                (None, None) => return None,
            }
        }
        values
    };
    let word = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let some = values.into_iter().filter(|value| !value.is_null());
    Some(some.map(|value| (word(value), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(schema: &Value) -> Vec<(String, Kind)> {
        let fields = fields(schema).unwrap();
        fields
            .into_iter()
            .map(|field| (field.pointer, field.kind))
            .collect()
    }

    #[test]
    fn what_a_rust_type_asks_for_becomes_fields() {
        let schema = json!({
            "type": "object",
            "required": ["path", "size"],
            "properties": {
                "path": { "type": "string" },
                "token": { "type": "string", "writeOnly": true },
                "mode": { "anyOf": [{ "$ref": "#/$defs/Mode" }, { "type": "null" }] },
                "hosts": { "type": "array", "items": { "type": "string" } },
                "size": { "$ref": "#/$defs/Size" },
                "odd": { "type": ["string", "integer"] },
            },
            "$defs": {
                "Mode": { "oneOf": [{ "const": "fast" }, { "enum": ["slow", "exact"] }] },
                "Size": { "type": "object", "properties": { "w/h": { "type": "integer", "minimum": 1 } } },
            },
        });
        let found = kinds(&schema);
        let of = |pointer: &str| {
            let (_, kind) = found.iter().find(|(found, _)| found == pointer).unwrap();
            kind.clone()
        };
        assert_eq!(of("/path"), Kind::Text);
        assert_eq!(of("/token"), Kind::Secret);
        let words = ["fast", "slow", "exact"].map(|word| (word.to_owned(), json!(word)));
        assert_eq!(of("/mode"), Kind::Choice(words.into()));
        assert_eq!(of("/hosts"), Kind::Lines(Box::new(Kind::Text)));
        assert_eq!(of("/odd"), Kind::Json);
        let Kind::Group(inside) = of("/size") else {
            panic!("{found:?}")
        };
        assert_eq!(inside[0].pointer, "/size/w~1h");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends_in_json() {
        let schema = json!({
            "$ref": "#/$defs/Tree",
            "$defs": { "Tree": { "type": "object", "properties": { "left": { "$ref": "#/$defs/Tree" } } } },
        });
        assert_eq!(kinds(&schema).len(), 1);
    }

    #[test]
    fn what_takes_anything_is_written_as_json() {
        assert!(fields(&json!({ "type": "object" })).is_none());
        let none = json!({ "type": "object", "additionalProperties": false });
        assert_eq!(fields(&none), Some(Vec::new()));
    }
}
