//! What the commands that look at things show: tables for people, JSON for programs.

use serde_json::{Value, json};

use crate::place::{Place, assert_told};
use crate::serving::Process;

const TASKS: &str = r#"
[tasks.double]
description = "Doubles a number"
shell = """
n=$(sed 's/[^0-9]//g')
echo "doubling $n"
echo "::progress 0.5 half of it"
printf '{"n": %s}' $((n * 2)) > "$FLUID_RESULT_PATH"
"""
cpu_bound = true
queue = "numbers"
priority = "high"
tags = ["demo", "numbers"]
params = { required = ["n"], properties = { n = { type = "integer" } } }

[tasks.flaky]
description = "Fails at first"
shell = 'echo "attempt $FLUID_ATTEMPT"; test "$FLUID_ATTEMPT" = 2'
retry = { attempts = 2, delay = 0, jitter = 0 }

[tasks.broken]
shell = 'echo "out of paper" >&2; exit 7'

[tasks.nightly]
description = "Every night at three"
command = ["true"]
schedule = { cron = "0 3 * * *", timezone = "Europe/Zurich" }

[tasks.login]
command = ["cat"]
params = { properties = { user = { type = "string" }, token = { type = "string", format = "password" } } }
"#;

/// JSON as a snapshot: over several lines, without what differs from machine to machine.
fn steady(mut value: Value) -> String {
    fn settle(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(settle),
            Value::Object(members) => {
                for (name, member) in members {
                    match name.as_str() {
                        "pid" | "host" | "version" | "running" if !member.is_object() => {
                            *member = json!(format!("[{name}]"));
                        }
                        _ => settle(member),
                    }
                }
            }
            _ => {}
        }
    }
    settle(&mut value);
    format!("{value:#}\n")
}

/// A place in which a consumer has done three runs, and its consumer.
fn worked() -> (Place, Process) {
    let place = Place::new(TASKS);
    let serving = Process::serve(&place);
    for (args, code) in [
        (&["double", "--n", "21"] as &[&str], 0),
        (&["flaky"], 0),
        (&["broken"], 1),
    ] {
        let said = place.fluid(&[&["enqueue"], args, &["--wait"]].concat());
        assert_eq!(said.code, code, "{said}");
    }
    (place, serving)
}

/// The id of the newest run of a task.
fn run_of(place: &Place, task: &str) -> String {
    let runs = place.json(&["runs", "list", "--task", task, "--limit", "1"]);
    runs["runs"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn ls() {
    let place = Place::new(TASKS);
    place.fluid(&["disable", "flaky"]);
    let mut told = place.fluid(&["ls"]).to_string();
    told.push_str(
        &place
            .fluid(&["ls", "--tag", "demo", "--tag", "numbers"])
            .to_string(),
    );
    told.push_str(
        &place
            .fluid(&["ls", "--tag", "demo", "--tag", "nothing"])
            .to_string(),
    );
    told.push_str(&steady(place.json(&["ls"])));
    assert_told!(place, told);
}

#[test]
fn status() {
    let (place, mut serving) = worked();
    place.fluid(&["disable", "login"]);
    place.fluid(&["pause", "numbers"]);
    place.fluid(&["enqueue", "double", "--n", "1"]);
    let mut told = place.fluid(&["status"]).to_string();
    told.push_str(&steady(place.json(&["status"])));
    serving.stop();
    let alone = place.fluid(&["status"]);
    assert!(
        alone
            .out
            .ends_with("consumers none: start one with `fluid-cli serve`\n"),
        "{alone}"
    );
    assert_told!(place, told);
}

#[test]
fn runs_list() {
    let (place, _serving) = worked();
    let mut told = String::new();
    for args in [
        &[] as &[&str],
        &["--task", "double", "--task", "flaky"],
        &["--state", "failure"],
        &["--queue", "numbers", "--since", "1h"],
        &["--since", "2100-01-01T00:00:00Z"],
        &["--limit", "2"],
    ] {
        told.push_str(&place.fluid(&[&["runs", "list"], args].concat()).to_string());
    }
    let first = place.json(&["runs", "list", "--limit", "2"]);
    let next = place.json(&["runs", "list", "--before", first["next"].as_str().unwrap()]);
    assert_eq!(next["runs"][0]["task"], "double");
    assert_eq!(
        (next["runs"].as_array().unwrap().len(), &next["next"]),
        (1, &Value::Null)
    );
    told.push_str(&steady(place.json(&["runs", "list", "--limit", "1"])));
    assert_told!(place, told);
}

#[test]
fn runs_show() {
    let (place, _serving) = worked();
    let mut told = String::new();
    for task in ["double", "flaky", "broken"] {
        let run = run_of(&place, task);
        told.push_str(&place.fluid(&["runs", "show", &run[run.len() - 8..]]).out);
        told.push('\n');
    }
    told.push_str(&steady(place.json(&[
        "runs",
        "show",
        &run_of(&place, "flaky"),
    ])));
    assert_told!(place, told);
}

#[test]
fn runs_show_says_why_a_run_waits_and_whose_child_it_is() {
    let place = Place::new(TASKS);
    let parent = place.json(&["enqueue", "flaky"])["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let inside = [
        ("FLUID_RUN_ID", parent.as_str()),
        ("FLUID_ROOT_ID", &parent),
    ];
    let child = place.call(
        &["enqueue", "double", "--n", "2", "--delay", "1h"],
        &inside,
        "",
    );
    let mut told = place.fluid(&["runs", "show", &parent]).out;
    told.push('\n');
    told.push_str(&place.fluid(&["runs", "show", child.out.trim()]).out);
    assert_told!(place, told);
    let waiting = place.json(&["runs", "show", &parent]);
    assert_eq!(waiting["children"], json!([child.out.trim()]));
    assert!(
        waiting["why_waiting"]
            .as_str()
            .unwrap()
            .contains("no consumer"),
        "{waiting}"
    );
}

#[test]
fn runs_logs() {
    let (place, _serving) = worked();
    let [double, flaky, broken] = ["double", "flaky", "broken"].map(|task| run_of(&place, task));
    let mut told = String::new();
    for args in [
        &[&double as &str] as &[&str],
        &[&flaky],
        &[&flaky, "--attempt", "2"],
        &[&flaky, "--tail", "1", "--timestamps"],
        &[&flaky, "--follow"],
        &[&flaky, "--output", "json"],
        &[&broken, "--output", "json"],
    ] {
        told.push_str(&place.fluid(&[&["runs", "logs"], args].concat()).to_string());
    }
    assert_told!(place, told);
}

#[test]
fn runs_are_changed_and_it_is_said_how() {
    let (place, _serving) = worked();
    let broken = run_of(&place, "broken");
    let waiting = place.fluid(&["enqueue", "broken", "--delay", "1h"]);
    let mut told = String::new();
    for args in [
        &["runs", "cancel", waiting.out.trim()] as &[&str],
        &["runs", "cancel", waiting.out.trim()],
        &["runs", "cancel", &broken, "--output", "json"],
        &["runs", "retry", "--state", "running"],
        &["runs", "purge", "--all", "--task", "double"],
        &["runs", "purge", "--older-than", "7d", "--output", "json"],
        &["disable", "broken"],
        &["runs", "retry", &broken],
        &["enable", "broken", "--output", "json"],
        &["pause", "numbers"],
        &["resume", "numbers"],
        &["resume", "elsewhere", "--force", "--output", "json"],
    ] {
        told.push_str(&place.fluid(args).to_string());
    }
    assert_told!(place, told);
    let again = place.json(&["runs", "list", "--task", "broken", "--limit", "1"]);
    assert_eq!(again["runs"][0]["retry_of"], json!(broken));
}

#[test]
fn a_secret_shows_nowhere() {
    let place = Place::new(TASKS);
    let _serving = Process::serve(&place);
    let secret = "correct-horse-battery";
    let said = place.call(
        &[
            "enqueue",
            "login",
            "--user",
            "me",
            "--secret-env",
            "token=TOKEN",
            "--wait",
        ],
        &[("TOKEN", secret)],
        "",
    );
    assert_eq!(said.code, 0, "{said}");
    let run = run_of(&place, "login");
    let mut told = String::new();
    for args in [
        &["runs", "show", &run] as &[&str],
        &["runs", "show", &run, "--output", "json"],
        &["runs", "list", "--output", "json"],
        &["runs", "logs", &run],
    ] {
        told.push_str(&place.fluid(args).to_string());
    }
    assert!(!told.contains(secret) && !told.contains("horse"), "{told}");
    let shown = place.json(&["runs", "show", &run]);
    assert_eq!(
        shown["params"],
        json!({"user": "me", "token": "[redacted]"})
    );
    // The program itself had it: it printed all of its parameters, and the log hides that one.
    let log = place.fluid(&["runs", "logs", &run]).out;
    assert_eq!(log, "{\"user\":\"me\",\"token\":\"[redacted]\"}\n");
}
