//! A form for the parameters of a task, made from their JSON Schema.

mod field;
mod schema;

use std::collections::HashMap;

use axum::extract::{FromRequest, Request};
use fluid_core::{ParamsError, Priority, Task};
use serde_json::{Map, Value};

use crate::api::Problem;

use field::Field;

/// What a browser sent: the values of each field.
#[derive(Debug, Default)]
pub(super) struct Submitted(HashMap<String, Vec<String>>);

impl Submitted {
    fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.first().map(String::as_str)
    }
}

impl<S: Send + Sync> FromRequest<S> for Submitted {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let pairs = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let axum::Form(pairs) = pairs.map_err(|error| {
            Problem::new(
                error.status(),
                "urn:fluid:problem:invalid-body",
                "The form can't be read",
                error.body_text(),
            )
        })?;
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs {
            fields.entry(name).or_default().push(value);
        }
        Ok(Self(fields))
    }
}

/// A form as it is shown: empty, or with what was sent and what is wrong with it.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) fields: Vec<Field>,
    /// The parameters as JSON, where the schema has no form or somebody prefers it.
    pub(super) json: Option<String>,
    pub(super) json_fault: Option<String>,
    /// What is wrong and belongs to no field.
    pub(super) faults: Vec<String>,
    pub(super) priority: String,
    pub(super) delay: String,
    pub(super) delay_fault: Option<String>,
}

impl Form {
    /// A form to be filled in.
    pub(super) fn new(task: &Task) -> Self {
        let schema = task.params.as_value();
        let fields = schema::fields(schema);
        let json = fields.is_none().then(|| "{}".to_owned());
        Self {
            fields: fields.unwrap_or_default(),
            json,
            json_fault: None,
            faults: Vec::new(),
            priority: String::new(),
            delay: String::new(),
            delay_fault: None,
        }
    }

    /// The same with one field, for JSON.
    pub(super) fn into_json(mut self) -> Self {
        let value: Map<String, Value> = self
            .fields
            .iter()
            .filter_map(|field| Some((field.name.clone(), field.example()?)))
            .collect();
        self.json = serde_json::to_string_pretty(&value).ok();
        self
    }

    /// The form as somebody sent it.
    pub(super) fn filled(task: &Task, submitted: &Submitted) -> Self {
        let mut form = Self::new(task);
        if let Some(json) = submitted.one("json") {
            form.json = Some(json.to_owned());
        } else {
            for field in &mut form.fields {
                field.fill(submitted);
            }
        }
        let text = |name| submitted.one(name).map(str::to_owned).unwrap_or_default();
        form.priority = text("priority");
        form.delay = text("delay");
        form
    }

    pub(super) fn is_priority(&self, one: Priority, usual: Priority) -> bool {
        if self.priority.is_empty() {
            one == usual
        } else {
            one.as_str() == self.priority
        }
    }

    /// The parameters, or what is wrong stands beside the fields.
    pub(super) fn value(&mut self) -> Option<Value> {
        if let Some(json) = &self.json {
            return match serde_json::from_str(json) {
                Ok(value) => Some(value),
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    self.json_fault = Some(format!("not JSON: line {line} column {column}"));
                    None
                }
            };
        }
        let mut value = Map::new();
        let mut whole = true;
        for field in &mut self.fields {
            match field.value() {
                Ok(Some(member)) => {
                    value.insert(field.name.clone(), member);
                }
                Ok(None) => {}
                Err(()) => whole = false,
            }
        }
        whole.then_some(Value::Object(value))
    }

    /// Writes each fault beside the field that it names, or above all.
    pub(super) fn blame(&mut self, faults: &[String]) {
        for fault in faults {
            let (place, message) = ParamsError::place(fault);
            let taken = self.json.is_none()
                && self
                    .fields
                    .iter_mut()
                    .any(|field| field.blame(place, message));
            if !taken {
                self.faults.push(fault.clone());
            }
        }
    }
}
