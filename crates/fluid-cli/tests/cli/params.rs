//! The parameters of a run: flags, JSON, standard input, and what the program gets of them.

use serde_json::{Value, json};

use crate::place::{Place, assert_told};

/// A task that answers with the parameters it got, and prints what it finds in its environment.
const TASKS: &str = r#"
[tasks.echo]
shell = 'cat > "$FLUID_RESULT_PATH"; env | grep ^FLUID_PARAM_ | sort; true'

[tasks.echo.params]
type = "object"
additionalProperties = false

[tasks.echo.params.properties]
count = { type = "integer", minimum = 1 }
ratio = { type = "number" }
name = { type = "string" }
keep_all = { type = "boolean" }
mode = { enum = ["fit", "fill"] }
tags = { type = "array", items = { type = "string" } }
sizes = { type = "array", items = { type = "integer" } }
queue = { type = "string" }
nested = { type = "object" }
token = { type = "string", writeOnly = true }

[tasks.once]
command = ["true"]
unique = true
"#;

fn echoed(place: &Place, args: &[&str], input: &str) -> Value {
    let said = place.call(
        &[&["exec", "echo"], args].concat(),
        &[("TOKEN", "hunter2")],
        input,
    );
    assert_eq!(said.code, 0, "{said}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn flags_become_values_of_the_schema_s_types() {
    let place = Place::new(TASKS);
    let got = echoed(
        &place,
        &[
            "--count",
            "3",
            "--ratio",
            "-0.5",
            "--name",
            "three",
            "--keep-all",
            "--mode",
            "fill",
            "--tags",
            "a",
            "--tags",
            "b",
            "--sizes",
            "1",
            "--param-queue",
            "fast",
        ],
        "",
    );
    let wanted = json!({
        "count": 3, "ratio": -0.5, "name": "three", "keep_all": true, "mode": "fill",
        "tags": ["a", "b"], "sizes": [1], "queue": "fast",
    });
    assert_eq!(got, wanted);
    assert_eq!(
        echoed(&place, &["--keep-all=false"], ""),
        json!({"keep_all": false})
    );
    assert_eq!(
        echoed(&place, &["--keep_all", "--name="], ""),
        json!({"keep_all": true, "name": ""})
    );
    assert_eq!(echoed(&place, &[], ""), json!({}));
}

#[test]
fn json_comes_from_an_argument_a_file_or_standard_input_and_flags_go_on_top() {
    let place = Place::new(TASKS);
    place.write(
        "params.json",
        r#"{"name": "file", "nested": {"a": [1, null]}}"#,
    );
    let argument = r#"{"name": "argument", "count": 1}"#;
    assert_eq!(
        echoed(&place, &["--params", argument], ""),
        json!({"name": "argument", "count": 1})
    );
    assert_eq!(
        echoed(
            &place,
            &["--params-file", "params.json", "--count", "2"],
            ""
        ),
        json!({"name": "file", "nested": {"a": [1, null]}, "count": 2})
    );
    assert_eq!(
        echoed(
            &place,
            &["--params-file", "-", "--name", "flag"],
            r#"{"name": "input", "count": 3}"#
        ),
        json!({"name": "flag", "count": 3})
    );
    // Standard input that nobody asked for is left alone.
    assert_eq!(
        echoed(&place, &["--count", "4"], r#"{"name": "input"}"#),
        json!({"count": 4})
    );
}

#[test]
fn a_secret_reaches_the_program_alone() {
    let place = Place::new(TASKS);
    let said = place.call(
        &["exec", "echo", "--secret-env", "token=TOKEN", "--name", "n"],
        &[("TOKEN", "hunter2-long-enough")],
        "",
    );
    assert_eq!(said.code, 0, "{said}");
    assert!(
        said.out.contains("[redacted]") && said.err.contains("FLUID_PARAM_NAME=n"),
        "{said}"
    );
    assert!(
        !said.to_string().contains("hunter2") && !said.err.contains("PARAM_TOKEN"),
        "{said}"
    );
}

#[test]
fn simple_parameters_are_variables_too() {
    let place = Place::new(TASKS);
    let said = place.fluid(&[
        "exec",
        "echo",
        "--count",
        "3",
        "--keep-all",
        "--name",
        "a b",
        "--tags",
        "x",
    ]);
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(
        said.err,
        "FLUID_PARAM_COUNT=3\nFLUID_PARAM_KEEP_ALL=true\nFLUID_PARAM_NAME=a b\n"
    );
}

#[test]
fn what_does_not_fit_is_told_by_flag() {
    let place = Place::new(TASKS);
    place.write("list.json", "[1, 2]");
    let mut told = String::new();
    for (args, input) in [
        (&["--count", "many"] as &[&str], ""),
        (&["--count", "0", "--mode", "stretch"], ""),
        (&["--ratio", "half", "--keep-all=maybe"], ""),
        (&["--params", r#"{"cuont": 1, "nmae": 2}"#], ""),
        (&["--params", r#"{"tags": "a"}"#], ""),
        (&["--params", "{"], ""),
        (&["--params", "[1]"], ""),
        (&["--params-file", "list.json"], ""),
        (&["--params-file", "nowhere.json"], ""),
        (&["--params-file", "-"], "{\"name\": oops}"),
        (&["--params", "{}", "--params-file", "-"], "{}"),
        (&["--params", r#"{"token": "hunter2"}"#], ""),
        (&["--token", "hunter2"], ""),
        (&["--secret-env", "token"], ""),
        (&["--secret-env", "token=NO_SUCH_VARIABLE"], ""),
        (&["--secret-env", "name=PATH"], ""),
    ] {
        for command in ["exec", "enqueue"] {
            let said = place.call(&[&[command, "echo"], args].concat(), &[], input);
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{said}");
            assert!(!said.err.contains("hunter2"), "{said}");
            if command == "exec" {
                told.push_str(&said.to_string());
            }
        }
    }
    assert_told!(place, told);
    assert_eq!(
        place.json(&["runs", "list"])["runs"],
        json!([]),
        "nothing was enqueued"
    );
}

#[test]
fn many_runs_are_enqueued_from_lines_all_or_none() {
    let place = Place::new(TASKS);
    let lines = "{\"count\": 1}\n\n{\"count\": 2}\n{\"count\": 3}\n";
    let said = place.call(&["enqueue", "echo", "--many", "-"], &[], lines);
    assert_eq!((said.code, said.out.lines().count()), (0, 3), "{said}");
    let said = place.call(
        &["enqueue", "echo", "--many", "-"],
        &[],
        "{\"count\": 4}\n{\"count\": 0}\n",
    );
    assert!(said.code == 2 && said.err.contains("in line 2"), "{said}");
    let runs = place.json(&["runs", "list"]);
    let counts: Vec<_> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["params"]["count"])
        .collect();
    assert_eq!(counts, [3, 2, 1]);
}

#[test]
fn the_order_of_parameters_makes_no_other_run() {
    let place = Place::new(TASKS);
    let one = place.json(&[
        "enqueue",
        "once",
        "--params",
        r#"{"a": {"x": 1, "y": 2}, "b": 3}"#,
    ]);
    let other = place.json(&[
        "enqueue",
        "once",
        "--params",
        r#"{"b": 3, "a": {"y": 2, "x": 1}}"#,
    ]);
    assert_eq!(
        (&other["run"], &other["duplicate"]),
        (&one["run"], &json!(true))
    );
    let third = place.json(&["enqueue", "once", "--params", r#"{"b": 4}"#]);
    assert_eq!(third["duplicate"], false);
}
