//! The description says all that there is.

use fluid_core::{ParamsSchema, Task, TaskContext, TaskError};
use serde_json::{Value, json};

use super::asked::get;
use crate::served::serving;

fn nested() -> Task {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": { "Size": { "type": "object", "properties": { "w": { "type": "integer" } } } },
        "type": "object", "properties": { "size": { "$ref": "#/$defs/Size" } }, "required": ["size"],
    });
    let task = Task::function("nested", async |_: TaskContext<Value>| {
        Ok::<_, TaskError>(())
    });
    task.unwrap()
        .params(ParamsSchema::from_value(schema).unwrap())
}

#[tokio::test]
async fn it_resolves_in_itself_and_describes_what_each_task_takes() {
    let served = serving([nested()]).await;
    let document = get(&served, "/openapi.json").await.json;
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
    }
    assert!(!text.contains("x-query"));
    let request = &document["components"]["schemas"]["NewRun"];
    assert_eq!(request["oneOf"][0]["properties"]["task"]["const"], "nested");
    let size = "/components/schemas/params.0/$defs/Size/properties/w/type";
    assert_eq!(document.pointer(size), Some(&json!("integer")));
}

#[tokio::test]
async fn every_operation_says_how_it_may_be_refused() {
    let served = serving([nested()]).await;
    let document = get(&served, "/openapi.json").await.json;
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(
        paths
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum::<usize>(),
        19
    );
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            for status in ["401", "403", "429", "500", "503"] {
                assert!(answers.contains_key(status), "{method} {path}: {status}");
            }
            if operation.get("requestBody").is_some() {
                for status in ["400", "413", "415", "422"] {
                    assert!(answers.contains_key(status), "{method} {path}: {status}");
                }
            }
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
}
