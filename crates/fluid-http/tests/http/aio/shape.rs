//! The keys of a JSON value.

use std::collections::BTreeMap;

use serde_json::Value;

/// What these keys hold is each side's own: parameters, the words of an error, what a worker tells of itself.
const OWN: [&str; 4] = ["params", "ctx", "input", "status"];

/// The keys of a JSON value, and the keys below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Leaf,
    /// A list whose items have this shape together; `None` when there are none.
    List(Option<Box<Shape>>),
    Object(BTreeMap<String, Shape>),
}

impl Shape {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => {
                let shapes = items.iter().map(Self::of);
                Self::List(shapes.reduce(Self::join).map(Box::new))
            }
            Value::Object(members) => {
                let shape = |(name, value): (&String, &Value)| {
                    let own = OWN.contains(&name.as_str());
                    let shape = if own { Self::Leaf } else { Self::of(value) };
                    (name.clone(), shape)
                };
                Self::Object(members.iter().map(shape).collect())
            }
            _ => Self::Leaf,
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(mut one), Self::Object(other)) => {
                one.extend(other);
                Self::Object(one)
            }
            (Self::Leaf, other) | (other, _) => other,
        }
    }

    /// Whether the keys are the same; a list without items says nothing of their keys.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(Some(one)), Self::List(Some(other))) => one.agrees(other),
            (Self::List(_), Self::List(_)) => true,
            (Self::Object(one), Self::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, shape)| {
                        other.get(name).is_some_and(|other| shape.agrees(other))
                    })
            }
            (one, other) => one == other,
        }
    }
}
