//! Flag, environment, `fluid.toml`, default: whichever comes first wins.

use serde_json::{Value, json};

use crate::place::Place;
use crate::serving::Process;

const TASK: &str = "[tasks.a]\ncommand = [\"true\"]\n";

/// What `status` says of the broker and the executor, with these settings, flags and variables.
fn chosen(
    settings: &str,
    flags: &[&str],
    env: &[(&str, &str)],
) -> (String, String, String, String) {
    let place = Place::new(&format!("[fluid]\n{settings}\n{TASK}"));
    let said = place.call(&[flags, &["status", "--output", "json"]].concat(), env, "");
    assert_eq!(said.code, 0, "{said}");
    let status: Value = serde_json::from_str(&said.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let url = text(&status["broker"]["url"]);
    let file = url.rsplit('/').next().unwrap().to_owned();
    assert!(place.path().join(&file).is_file(), "{url} was opened");
    let (broker_why, executor) = (text(&status["broker"]["why"]), &status["executor"]);
    (
        file,
        broker_why,
        text(&executor["kind"]),
        text(&executor["why"]),
    )
}

#[test]
fn of_the_broker() {
    let file = "broker = \"sqlite://file.db\"";
    let env = [("FLUID_BROKER_URL", "sqlite://variable.db")];
    let flag = ["--broker", "sqlite://flag.db"];
    let broker = |settings, flags: &[&str], env: &[(&str, &str)]| {
        let (file, why, ..) = chosen(settings, flags, env);
        (file, why)
    };
    let told = |file: &str, why: &str| (file.to_owned(), why.to_owned());
    assert_eq!(
        broker(file, &flag, &env),
        told("flag.db", "--broker says so")
    );
    assert_eq!(
        broker(file, &[], &env),
        told("variable.db", "FLUID_BROKER_URL says so")
    );
    assert_eq!(
        broker(file, &[], &[]),
        told("file.db", "fluid.toml says so")
    );
    assert_eq!(broker("", &[], &[]), told("fluid.db", "the default"));
    assert_eq!(
        broker(file, &[], &[("FLUID_BROKER_URL", "")]),
        told("file.db", "fluid.toml says so")
    );
}

#[test]
fn of_the_executor() {
    let file = "executor = \"inline\"";
    let env = [("FLUID_EXECUTOR", "subprocess")];
    let flag = ["--executor", "inline"];
    let executor = |settings, flags: &[&str], env: &[(&str, &str)]| {
        let (_, _, kind, why) = chosen(settings, flags, env);
        (kind, why)
    };
    let told = |kind: &str, why: &str| (kind.to_owned(), why.to_owned());
    assert_eq!(
        executor(file, &flag, &env),
        told("inline", "--executor says so")
    );
    assert_eq!(
        executor(file, &[], &env),
        told("subprocess", "FLUID_EXECUTOR says so")
    );
    assert_eq!(
        executor(file, &[], &[]),
        told("inline", "fluid.toml says so")
    );
    assert_eq!(executor(file, &[], &[("FLUID_EXECUTOR", "")]).0, "inline");
    let (kind, why) = executor("", &[], &[]);
    assert_eq!(kind, "subprocess");
    assert!(why.contains("KUBERNETES_SERVICE_HOST is not set"), "{why}");
}

#[test]
fn of_the_file_itself() {
    let place = Place::new("[tasks.here]\ncommand = [\"true\"]");
    place.write("variable.toml", "[tasks.variable]\ncommand = [\"true\"]");
    place.write("flag.toml", "[tasks.flag]\ncommand = [\"true\"]");
    let name = |args: &[&str], env: &[(&str, &str)]| {
        let said = place.call(&[args, &["ls", "--output", "json"]].concat(), env, "");
        let tasks: Value = serde_json::from_str(&said.out).unwrap();
        tasks[0]["name"].as_str().unwrap().to_owned()
    };
    let env = [("FLUID_CONFIG", "variable.toml")];
    assert_eq!(name(&["--config", "flag.toml"], &env), "flag");
    assert_eq!(name(&["--config=flag.toml"], &env), "flag");
    assert_eq!(name(&[], &env), "variable");
    assert_eq!(name(&[], &[]), "here");
    assert_eq!(name(&[], &[("FLUID_CONFIG", "")]), "here");
}

#[test]
fn of_what_serve_takes_and_for_how_long() {
    let settings = "\
[fluid]
queues = [\"file\"]
concurrency = 3
retention = \"3d\"
lease = \"33s\"
grace = \"3s\"
drain_timeout = 13
";
    let place = Place::new(&format!("{settings}{TASK}"));
    let bare = Place::new(TASK);
    let serving = |place: &Place, flags: &[&str], env: &[(&str, &str)]| {
        let mut command = place.command(&["serve", "--output", "json"]);
        command.args(flags).envs(env.iter().copied());
        let mut serving = Process::start(command);
        let said = serving.until("\"event\":\"serving\"");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(serving.stop().0, 0);
        let keys = [
            "queues",
            "concurrency",
            "retention",
            "lease",
            "grace",
            "drain_timeout",
        ];
        Value::from(keys.map(|key| said[key].clone()).to_vec())
    };
    let env = [
        ("FLUID_QUEUES", "variable,more"),
        ("FLUID_CONCURRENCY", "2"),
        ("FLUID_RETENTION", "2d"),
        ("FLUID_LEASE", "22s"),
        ("FLUID_GRACE", "2s"),
        ("FLUID_DRAIN_TIMEOUT", "12"),
    ];
    let flags = [
        "--queues",
        "flag",
        "--concurrency",
        "1",
        "--retention",
        "forever",
        "--lease",
        "11s",
        "--grace",
        "1s",
        "--drain-timeout",
        "11s",
    ];
    let wanted = json!([["flag"], 1, null, "11s", "1s", "11s"]);
    assert_eq!(serving(&place, &flags, &env), wanted);
    let wanted = json!([["variable", "more"], 2, "2days", "22s", "2s", "12s"]);
    assert_eq!(serving(&place, &[], &env), wanted);
    let wanted = json!([["file"], 3, "3days", "33s", "3s", "13s"]);
    assert_eq!(serving(&place, &[], &[]), wanted);
    let wanted = json!([["default"], 10, "7days", "30s", "5s", "20s"]);
    assert_eq!(serving(&bare, &[], &[]), wanted);
}

#[test]
fn of_the_time_that_runs_have_at_the_end() {
    let told = |settings: &str, flags: &[&str], env: &[(&str, &str)]| {
        let place = Place::new(&format!("[fluid]\n{settings}\n{TASK}"));
        let mut command = place.command(&["serve"]);
        command.args(flags).envs(env.iter().copied());
        let mut serving = Process::start(command);
        serving.until("serves as");
        let (code, said) = serving.stop();
        assert_eq!(code, 0, "{said}");
        let line = said
            .lines()
            .find(|line| line.starts_with("SIGTERM: "))
            .unwrap()
            .to_owned();
        line.split("those that run have ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    let (file, env) = ("drain_timeout = \"3s\"", [("FLUID_DRAIN_TIMEOUT", "2")]);
    assert_eq!(told(file, &["--drain-timeout", "1s"], &env), "1s");
    assert_eq!(told(file, &[], &env), "2s");
    assert_eq!(told(file, &[], &[]), "3s");
    assert_eq!(told("", &[], &[]), "20s");
}

#[test]
fn of_the_log() {
    let place = Place::new(TASK);
    let bad = [("FLUID_LOG", "loud=very=much")];
    assert_eq!(place.call(&["ls"], &bad, "").code, 2);
    assert_eq!(place.call(&["ls", "--log", "warn"], &bad, "").code, 0);
    let logged = |flags: &[&str], env: &[(&str, &str)]| {
        let mut command = place.command(&["serve", "--quiet"]);
        command.args(flags).envs(env.iter().copied());
        let mut serving = Process::start(command);
        let line = serving.until("serving");
        serving.stop();
        serde_json::from_str::<Value>(&line).is_ok()
    };
    let json = [("FLUID_LOG_FORMAT", "json")];
    assert!(!logged(&[], &[("FLUID_LOG_FORMAT", "")]));
    assert!(logged(&[], &json) && !logged(&["--log-format", "text"], &json) && !logged(&[], &[]));
}
