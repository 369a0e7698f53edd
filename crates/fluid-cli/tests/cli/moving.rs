//! `migrate` and `move`.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, assert_told};
use crate::serving::Process;

pub(crate) const TASKS: &str = r#"
[tasks.count]
shell = 'for i in 1 2 3; do echo "line $i"; done'

[tasks.flaky]
shell = 'echo "attempt $FLUID_ATTEMPT"; test "$FLUID_ATTEMPT" = 2'
retry = { attempts = 2, delay = 0, jitter = 0 }

[tasks.broken]
shell = 'exit 7'

[tasks.nightly]
command = ["true"]
schedule = { cron = "0 3 * * *" }
"#;

const MOVE: [&str; 5] = [
    "move",
    "--from",
    "sqlite://fluid.db",
    "--to",
    "sqlite://new.db",
];

/// All that the two brokers know must be the same; runs by their ids.
pub(crate) fn story(place: &Place, broker: &str) -> Vec<Value> {
    story_with(place, broker, &[])
}

/// The same with these environment variables.
pub(crate) fn story_with(place: &Place, broker: &str, env: &[(&str, &str)]) -> Vec<Value> {
    let call = |args: &[&str]| {
        let args = [args, &["--broker", broker, "--output", "json"]].concat();
        let said = place.call(&args, env, "");
        assert_eq!(said.code, 0, "{said}");
        said.out
    };
    let list: Value = serde_json::from_str(&call(&["runs", "list", "--limit", "100"])).unwrap();
    let runs = list["runs"].as_array().unwrap();
    let of = |run: &Value| {
        let id = run["id"].as_str().unwrap();
        json!([call(&["runs", "show", id]), call(&["runs", "logs", id])])
    };
    runs.iter().map(of).collect()
}

#[test]
fn runs_with_their_output_and_settings_move_to_another_broker() {
    let place = Place::new(TASKS);
    for task in ["count", "flaky", "broken"] {
        place.fluid(&["enqueue", task]);
    }
    let mut serving = Process::serve(&place);
    for _ in 0..2 {
        place.fluid(&["enqueue", "count", "--wait"]);
    }
    let said = place.fluid(&MOVE);
    assert_eq!(said.code, 2, "{said}");
    assert!(
        said.err.contains("consumers still work on sqlite://"),
        "{said}"
    );
    serving.signal(Signal::TERM);
    assert_eq!(serving.end().0, 0);
    place.fluid(&["disable", "nightly"]);
    place.fluid(&["pause", "default"]);
    let waiting = place.json(&["enqueue", "count", "--delay", "1h"]);

    let before = story(&place, "sqlite://fluid.db");
    assert_eq!(before.len(), 6);
    assert_told!(place, place.fluid(&MOVE), @r"
    $ fluid-cli move --from sqlite://fluid.db --to sqlite://new.db
    moved 6 runs, 11 lines of output and the last ticks of 0 schedules from sqlite://[place]/fluid.db to sqlite://[place]/new.db
    ! sqlite://[place]/fluid.db is as it was: start no consumer on it any more
    [0]
    ");
    assert_eq!(story(&place, "sqlite://new.db"), before);
    assert_eq!(
        story(&place, "sqlite://fluid.db"),
        before,
        "the source was changed"
    );
    let status = place.json(&["status", "--broker", "sqlite://new.db"]);
    assert_eq!(status["disabled_tasks"], json!(["nightly"]));
    assert_eq!(status["paused_queues"], json!(["default"]));
    assert_eq!(status["states"]["scheduled"], 1, "{waiting}");

    // Nothing is there twice after a second call.
    assert_told!(place, place.fluid(&MOVE), @r"
    $ fluid-cli move --from sqlite://fluid.db --to sqlite://new.db
    moved 0 runs (6 were there), 0 lines of output and the last ticks of 0 schedules from sqlite://[place]/fluid.db to sqlite://[place]/new.db
    ! sqlite://[place]/fluid.db is as it was: start no consumer on it any more
    [0]
    ");
    assert_eq!(story(&place, "sqlite://new.db"), before);
}

#[test]
fn a_move_that_makes_no_sense_is_refused() {
    let place = Place::new(TASKS);
    place.write("password", "hunter2");
    let mut said = String::new();
    for (from, to) in [
        ("sqlite://a.db", "sqlite://a.db"),
        ("memory:", "sqlite://a.db"),
        ("sqlite://a.db", "mysql://me:hunter2@db"),
        ("sqlite://a.db", "env:NOT_SET"),
        ("file:nowhere", "sqlite://a.db"),
        ("file:password", "sqlite://a.db"),
    ] {
        let refused = place.fluid(&["move", "--from", from, "--to", to]);
        assert!(!refused.err.contains("hunter2"), "{refused}");
        said += &refused.err;
    }
    assert_told!(place, said, @r#"
    error: --from and --to are the same broker
    error: --from memory: has no runs to keep
    error: "mysql://[redacted]@db" is not the URL of a broker
      because: it comes from --to
      help: this build has sqlite://FILE, redis://HOST, postgres://HOST/DATABASE, memory:; such as sqlite://fluid.db
    error: the variable "NOT_SET" is not set
      because: it comes from --to
    error: [place]/nowhere can't be read
      because: No such file or directory (os error 2)
      because: it comes from --from
    error: file:password does not hold the URL of a broker
      because: it comes from --from
      help: this build has sqlite://FILE, redis://HOST, postgres://HOST/DATABASE, memory:
    "#);
}

#[test]
fn a_broker_is_brought_to_this_version() {
    let place = Place::new(TASKS);
    assert_told!(place, place.fluid(&["migrate"]), @r"
    $ fluid-cli migrate
    broker sqlite://[place]/fluid.db was empty and got version 2
    [0]
    ");
    assert!(place.path().join("fluid.db").is_file());
    assert_told!(place, place.fluid(&["migrate"]), @r"
    $ fluid-cli migrate
    broker sqlite://[place]/fluid.db has version 2: there was nothing to do
    [0]
    ");
}
