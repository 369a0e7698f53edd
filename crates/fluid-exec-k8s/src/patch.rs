//! Strategic-merge patches, as `kubectl patch` applies them, for an object that is not in the API server yet.
//!
//! Source: "Strategic Merge Patch" of the Kubernetes API conventions; the merge keys are those of the published
//! API description (`x-kubernetes-patch-merge-key`) for a Job and what it holds.

use serde_json::{Map, Value};

/// The field by which the elements of a list are told apart, for lists that are merged and not replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ports" => "containerPort",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "conditions" => "type",
        "ownerReferences" => "uid",
        _ => return None,
    })
}

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// Applies a patch to an object.
pub(crate) fn apply(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if directive(patch) == Some("replace") {
        *object = without_directives(patch);
        return;
    }
    if let Some(Value::Array(kept)) = patch.get(RETAIN_KEYS) {
        object.retain(|key, _| kept.iter().any(|kept| kept.as_str() == Some(key)));
    }
    for (key, change) in patch {
        if let Some(list) = key.strip_prefix(DELETE_PRIMITIVES) {
            if let (Some(Value::Array(have)), Value::Array(gone)) = (object.get_mut(list), change) {
                have.retain(|value| !gone.contains(value));
            }
            continue;
        }
        if key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(ELEMENT_ORDER) {
            continue;
        }
        match (object.get_mut(key), change) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (_, Value::Object(change)) if directive(change) == Some("delete") => {
                object.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(change)) => apply(inner, change),
            (Some(Value::Array(list)), Value::Array(changes)) if merge_key(key).is_some() => {
                merge_list(list, changes, merge_key(key).unwrap_or_default());
            }
            (Some(Value::Array(list)), Value::Array(more)) if key == "finalizers" => {
                let new: Vec<_> = more.iter().filter(|m| !list.contains(m)).cloned().collect();
                list.extend(new);
            }
            (_, change) => {
                object.insert(key.clone(), clean(change));
            }
        }
    }
}

fn merge_list(list: &mut Vec<Value>, changes: &[Value], key: &str) {
    let replaces = |change: &Value| {
        change
            .as_object()
            .is_some_and(|change| directive(change) == Some("replace") && change.len() == 1)
    };
    if changes.iter().any(replaces) {
        *list = changes
            .iter()
            .filter(|change| !replaces(change))
            .map(clean)
            .collect();
        return;
    }
    for change in changes {
        let Value::Object(fields) = change else {
            continue;
        };
        let place = list
            .iter()
            .position(|have| have.get(key).is_some() && have.get(key) == fields.get(key));
        match (place, directive(fields)) {
            (Some(place), Some("delete")) => {
                list.remove(place);
            }
            (None, Some("delete")) => {}
            (Some(place), _) => {
                if let Value::Object(have) = &mut list[place] {
                    apply(have, fields);
                }
            }
            (None, _) => list.push(clean(change)),
        }
    }
}

fn directive(patch: &Map<String, Value>) -> Option<&str> {
    patch.get(DIRECTIVE).and_then(Value::as_str)
}

/// A value that is new to the object: nothing to delete in it, and directives are no part of it.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_directives(fields)),
        Value::Array(items) => items.iter().map(clean).collect(),
        other => other.clone(),
    }
}

fn without_directives(fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(key, value)| !key.starts_with('$') && !value.is_null())
        .map(|(key, value)| (key.clone(), clean(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(object: &Value, patch: &Value) -> Value {
        let mut object = object.as_object().unwrap().clone();
        apply(&mut object, patch.as_object().unwrap());
        Value::Object(object)
    }

    #[test]
    fn fields_are_set_merged_and_removed() {
        let object = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]});
        let patch = json!({"a": null, "b": {"d": 4, "f": {"g": null, "h": 5}}, "e": [9]});
        let expected = json!({"b": {"c": 2, "d": 4, "f": {"h": 5}}, "e": [9]});
        assert_eq!(patched(&object, &patch), expected);
    }

    #[test]
    fn elements_of_known_lists_are_found_by_their_key() {
        let object = json!({
            "containers": [{"name": "main", "image": "a", "env": [{"name": "X", "value": "1"}]}],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "gone", "emptyDir": {}}],
            "tolerations": [{"key": "a"}],
        });
        let patch = json!({
            "containers": [
                {"name": "main", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}]},
                {"name": "more", "image": "b"},
            ],
            "volumes": [{"name": "gone", "$patch": "delete"}, {"name": "data", "emptyDir": {"medium": "Memory"}}],
            "tolerations": [{"key": "b"}],
        });
        let expected = json!({
            "containers": [
                {"name": "main", "image": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}]},
                {"name": "more", "image": "b"},
            ],
            "volumes": [{"name": "data", "emptyDir": {"medium": "Memory"}}],
            "tolerations": [{"key": "b"}],
        });
        assert_eq!(patched(&object, &patch), expected);
    }

    #[test]
    fn directives_replace_delete_and_retain() {
        let object = json!({
            "securityContext": {"runAsUser": 1, "fsGroup": 2}, "affinity": {"a": 1},
            "volumes": [{"name": "a"}, {"name": "b"}],
            "strategy": {"type": "x", "more": 1}, "finalizers": ["a", "b"],
        });
        let patch = json!({
            "securityContext": {"$patch": "replace", "runAsUser": 7}, "affinity": {"$patch": "delete"},
            "volumes": [{"$patch": "replace"}, {"name": "c"}],
            "strategy": {"$retainKeys": ["type"], "type": "y"},
            "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c", "b"],
            "$setElementOrder/volumes": [{"name": "c"}],
        });
        let expected = json!({
            "securityContext": {"runAsUser": 7}, "volumes": [{"name": "c"}],
            "strategy": {"type": "y"}, "finalizers": ["b", "c"],
        });
        assert_eq!(patched(&object, &patch), expected);
    }
}
