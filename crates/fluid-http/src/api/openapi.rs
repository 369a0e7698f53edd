//! The description of the API: paths from the handlers, schemas from the types that they take and answer with.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use fluid_core::{ConsumerInfo, Task, TaskRun};
use fluid_scheduler::{CancelledMany, Matching, RunDetails};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::problem::Problem;
use super::runs::{change, enqueue, list, logs, many, one};
use super::{events, queues, schedules, status, tasks};
use crate::filter::FilterQuery;
use crate::site::Site;

#[derive(OpenApi)]
#[openapi(
    info(title = "fluid", description = "See and steer tasks and their runs."),
    servers((url = ".", description = "Beside this document")),
    tags(
        (name = "tasks", description = "What can be run, and when it runs by itself"),
        (name = "runs", description = "Requests to run a task, and what became of them"),
        (name = "queues", description = "Where runs wait"),
        (name = "status", description = "How it stands"),
    ),
)]
struct About;

/// What the description says beside paths.
pub(super) fn about() -> utoipa::openapi::OpenApi {
    About::openapi()
}

/// The paths, as the handlers describe them.
#[derive(Debug, Clone)]
pub(super) struct Described(Arc<Value>);

impl Described {
    pub(super) fn new(paths: utoipa::openapi::OpenApi) -> Self {
        Self(Arc::new(serde_json::to_value(paths).unwrap_or_default()))
    }
}

pub(super) async fn document(
    State(site): State<Site>,
    Extension(Described(paths)): Extension<Described>,
) -> Json<Value> {
    let mut document = Value::clone(&paths);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let mut schemas = schemas();
    let queries = queries(&mut schemas);
    let tasks: Vec<_> = site.manager.tasks().map(AsRef::as_ref).collect();
    describe_requests(&mut schemas, &tasks);
    let mut operations = document["paths"].as_object_mut().into_iter().flatten();
    let operations = operations
        .by_ref()
        .filter_map(|(_, path)| path.as_object_mut());
    for (_, operation) in operations.flatten() {
        describe_query(operation, &queries);
        describe_parameters(operation, &tasks);
        describe_refusals(operation);
    }
    document["components"] = json!({
        "schemas": schemas,
        "responses": refusals(),
        "securitySchemes": {
            "token": { "type": "http", "scheme": "bearer", "description": "A token of the file given to `serve --http-tokens`" },
            "session": { "type": "apiKey", "in": "cookie", "name": "fluid_session", "description": "What a browser gets at `/login`" },
        },
    });
    // Where everybody who reaches the address may ask, neither is needed.
    document["security"] = json!([{}, { "token": [] }, { "session": [] }]);
    Json(document)
}

fn generator(serialize: bool) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    SchemaGenerator::new(if serialize {
        settings.for_serialize()
    } else {
        settings.for_deserialize()
    })
}

/// What is answered and taken.
fn schemas() -> Map<String, Value> {
    let mut answers = generator(true);
    answers.subschema_for::<TaskRun>();
    answers.subschema_for::<RunDetails>();
    answers.subschema_for::<list::RunPage>();
    answers.subschema_for::<enqueue::EnqueuedRun>();
    answers.subschema_for::<change::CancelledRun>();
    answers.subschema_for::<Matching>();
    answers.subschema_for::<CancelledMany>();
    answers.subschema_for::<many::RetriedMany>();
    answers.subschema_for::<many::PurgedMany>();
    answers.subschema_for::<logs::LogPage>();
    answers.subschema_for::<events::Changed>();
    answers.subschema_for::<status::StatusView>();
    answers.subschema_for::<Problem>();
    let mut schemas = Map::new();
    list_of::<tasks::TaskView>(&mut answers, &mut schemas);
    list_of::<queues::QueueView>(&mut answers, &mut schemas);
    list_of::<schedules::ScheduleView>(&mut answers, &mut schemas);
    list_of::<ConsumerInfo>(&mut answers, &mut schemas);
    let mut bodies = generator(false);
    bodies.subschema_for::<enqueue::NewRun>();
    bodies.subschema_for::<tasks::TaskPatch>();
    bodies.subschema_for::<queues::QueuePatch>();
    schemas.append(&mut bodies.take_definitions(true));
    schemas.append(&mut answers.take_definitions(true));
    schemas
}

fn list_of<T: JsonSchema>(generator: &mut SchemaGenerator, schemas: &mut Map<String, Value>) {
    let item = generator.subschema_for::<T>();
    let list = json!({ "type": "array", "items": item });
    schemas.insert(format!("{}List", T::schema_name()), list);
}

/// What query strings hold, by the name of the structure that they are read into.
fn queries(schemas: &mut Map<String, Value>) -> Map<String, Value> {
    let mut generator = generator(false);
    let queries = [
        (
            FilterQuery::schema_name(),
            FilterQuery::json_schema(&mut generator),
        ),
        (
            list::PageQuery::schema_name(),
            list::PageQuery::json_schema(&mut generator),
        ),
        (
            many::ManyQuery::schema_name(),
            many::ManyQuery::json_schema(&mut generator),
        ),
        (
            one::WaitQuery::schema_name(),
            one::WaitQuery::json_schema(&mut generator),
        ),
        (
            logs::LogsQuery::schema_name(),
            logs::LogsQuery::json_schema(&mut generator),
        ),
        (
            tasks::TagsQuery::schema_name(),
            tasks::TagsQuery::json_schema(&mut generator),
        ),
    ];
    schemas.append(&mut generator.take_definitions(true));
    let named = queries
        .into_iter()
        .map(|(name, schema)| (name.into_owned(), schema.into()));
    named.collect()
}

/// Says which tasks a path may name, and that a header which may be absent is never `null`.
fn describe_parameters(operation: &mut Value, tasks: &[&Task]) {
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["in"] == "header" {
            parameter["schema"]["type"] = "string".into();
        }
        if parameter["in"] == "path" && parameter["name"] == "task" {
            parameter["schema"]["enum"] = tasks.iter().map(|task| task.name.as_str()).collect();
        }
    }
}

/// Turns the structures that a handler reads its query string into, which it names, into parameters.
fn describe_query(operation: &mut Value, queries: &Map<String, Value>) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let Some(Value::Array(named)) = operation.remove("x-query") else {
        return;
    };
    let named = named.iter().filter_map(|name| queries.get(name.as_str()?));
    let properties = named
        .filter_map(|query| query["properties"].as_object())
        .flatten();
    let parameters = properties.map(|(name, schema)| {
        let mut schema = not_null(schema.clone());
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    });
    let all = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.extend(parameters);
    }
}

/// A query string has no `null`: what may be absent is just not there, or there without a value, as forms send it.
fn not_null(mut schema: Value) -> Value {
    let null = json!({ "type": "null" });
    let mut optional = false;
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
        optional = true;
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf")
        && any.contains(&null)
    {
        any.retain(|one| *one != null);
        optional = true;
    }
    if optional && let Some(members) = schema.as_object_mut() {
        members.remove("default");
        let description = members.remove("description");
        let nothing = json!({ "type": "string", "maxLength": 0 });
        schema = json!({ "description": description, "anyOf": [schema, nothing] });
    }
    schema
}

/// Says what each task of this application takes.
fn describe_requests(schemas: &mut Map<String, Value>, tasks: &[&Task]) {
    let Some(mut request) = schemas.remove("NewRun") else {
        return;
    };
    request["not"] = json!({
        "required": ["due_at", "delay"],
        "properties": { "due_at": { "not": { "type": "null" } }, "delay": { "not": { "type": "null" } } },
    });
    let mut any = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        let name = format!("params.{number}");
        let place = format!("#/components/schemas/{name}");
        let mut params = task.params.as_value().clone();
        move_references(&mut params, &place);
        if let Some(params) = params.as_object_mut() {
            params.remove("$schema");
        }
        let needed = params["required"]
            .as_array()
            .is_some_and(|required| !required.is_empty());
        schemas.insert(name, params);
        let required: &[_] = if needed {
            &["task", "params"]
        } else {
            &["task"]
        };
        any.push(json!({
            "title": task.name,
            "properties": { "task": { "const": task.name }, "params": { "$ref": place } },
            "required": required,
        }));
    }
    if !any.is_empty() {
        request["oneOf"] = any.into();
    }
    schemas.insert("NewRun".to_owned(), request);
}

/// Makes the references of a schema right for its place in the document.
fn move_references(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" && target.starts_with('#') => {
                        *target = format!("{place}{}", &target[1..]);
                    }
                    other => move_references(other, place),
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| move_references(item, place)),
        _ => {}
    }
}

/// In these ways every operation may be refused that takes what is at fault: status, name, kind, meaning.
const REFUSALS: [(&str, &str, &str, &str); 9] = [
    (
        "400",
        "BadRequest",
        "urn:fluid:problem:invalid-query",
        "The path, the query string, a header or the JSON has not the form that it must have",
    ),
    (
        "401",
        "Unauthorized",
        "urn:fluid:problem:not-signed-in",
        "A token is needed, or this one is unknown",
    ),
    (
        "403",
        "Forbidden",
        "urn:fluid:problem:may-only-read",
        "The token may only read, or the request comes from another site",
    ),
    (
        "413",
        "TooLarge",
        "urn:fluid:problem:too-large",
        "The body is too large",
    ),
    (
        "415",
        "NotJson",
        "urn:fluid:problem:unsupported-media-type",
        "The body must be JSON",
    ),
    (
        "422",
        "Unprocessable",
        "urn:fluid:problem:invalid-body",
        "A member of the body is not what it must be",
    ),
    (
        "429",
        "TooMany",
        "urn:fluid:problem:too-many-requests",
        "Too many requests: come again later",
    ),
    (
        "500",
        "Failed",
        "urn:fluid:problem:broker-failed",
        "The broker failed",
    ),
    (
        "503",
        "Unavailable",
        "urn:fluid:problem:broker-unavailable",
        "The broker can't be used now",
    ),
];

fn describe_refusals(operation: &mut Value) {
    let body = operation.get("requestBody").is_some();
    if body {
        operation["requestBody"]["required"] = true.into();
    }
    let said = body || operation.get("parameters").is_some();
    for (status, name, _, _) in REFUSALS {
        let possible = match status {
            "415" | "422" => body,
            "400" => said,
            _ => true,
        };
        if possible && operation["responses"].get(status).is_none() {
            operation["responses"][status] =
                json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
}

fn refusals() -> Map<String, Value> {
    let refusal = |(status, name, kind, description): (&str, &str, &str, &str)| {
        let example = json!({ "type": kind, "title": description, "status": status.parse().unwrap_or(0_u16), "detail": description });
        let content =
            json!({ "schema": { "$ref": "#/components/schemas/Problem" }, "example": example });
        let response = json!({ "description": description, "content": { "application/problem+json": content } });
        (name.to_owned(), response)
    };
    REFUSALS.map(refusal).into_iter().collect()
}
