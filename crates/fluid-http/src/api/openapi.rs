//! The description of the API: paths from the handlers, schemas from the types that they answer with.

use axum::Json;
use fluid_core::TaskRun;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::problem::Problem;
use super::tasks::TaskView;
use super::{runs, tasks};

#[derive(OpenApi)]
#[openapi(
    info(title = "fluid", description = "See and steer tasks and their runs."),
    servers((url = ".", description = "Beside this document")),
    paths(runs::get, tasks::list)
)]
struct Paths;

pub(super) async fn document() -> Json<Value> {
    Json(describe())
}

/// The paths of utoipa joined with the schemas of schemars, which our types have already and which speak the dialect of
/// OpenAPI 3.1, JSON Schema 2020-12.
fn describe() -> Value {
    let mut document = serde_json::to_value(Paths::openapi()).unwrap_or_default();
    document["components"] = json!({ "schemas": schemas() });
    document
}

fn schemas() -> serde_json::Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings.for_serialize());
    generator.subschema_for::<TaskRun>();
    generator.subschema_for::<TaskView>();
    generator.subschema_for::<Problem>();
    let mut schemas = generator.take_definitions(true);
    schemas.insert(
        "TaskList".to_owned(),
        json!({ "type": "array", "items": { "$ref": "#/components/schemas/TaskView" } }),
    );
    schemas
}
