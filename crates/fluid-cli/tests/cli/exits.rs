//! The exit codes, each as a script meets it.

use std::fs::OpenOptions;
use std::time::Instant;

use rustix::process::Signal;

use crate::place::{DEADLINE, Place};
use crate::serving::Process;

const TASKS: &str = r#"
[tasks.good]
command = ["true"]
[tasks.bad]
command = ["false"]
[tasks.slow]
shell = "echo begun; exec sleep 1000"
timeout = "200ms"
[tasks.endless]
shell = "echo begun; exec sleep 1000"
timeout = "none"
[tasks.picky]
command = ["true"]
params = { properties = { n = { type = "integer" } } }
[tasks.chain]
shell = '"$FLUID_CLI" enqueue godo'
[tasks.rare]
command = ["true"]
rate_limit = { limit = 1, period = "1h", exceeded = "reject" }
"#;

#[test]
fn done_is_0() {
    let place = Place::new(TASKS);
    for args in [
        &["exec", "good"] as &[&str],
        &["enqueue", "good"],
        &["ls"],
        &["status"],
        &["runs", "list"],
        &["--help"],
        &["--version"],
    ] {
        let said = place.fluid(args);
        assert_eq!(said.code, 0, "{said}");
    }
    let _serving = Process::serve(&place);
    let said = place.fluid(&["enqueue", "good", "--wait"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said}");
}

#[test]
fn a_run_that_failed_was_aborted_or_refused_is_1() {
    let place = Place::new(TASKS);
    for args in [
        &["exec", "bad"] as &[&str],
        &["exec", "bad", "--output", "json"],
    ] {
        let said = place.fluid(args);
        assert_eq!(said.code, 1, "{said}");
    }
    let mut serving = Process::serve(&place);
    let said = place.fluid(&["enqueue", "bad", "--wait"]);
    assert!(said.code == 1 && said.err.contains("failed"), "{said}");
    assert_eq!(place.fluid(&["enqueue", "rare", "--wait"]).code, 0);
    let said = place.fluid(&["enqueue", "rare", "--wait"]);
    assert!(
        said.code == 1 && said.err.contains("was refused by its rate limit"),
        "{said}"
    );
    serving.stop();

    let later = place.fluid(&["enqueue", "good", "--delay", "1h"]);
    let run = later.out.trim();
    assert_eq!(place.fluid(&["runs", "cancel", run]).code, 0);
    let shown = place.json(&["runs", "show", run]);
    assert_eq!(shown["state"], "aborted");
}

#[test]
fn a_run_that_is_aborted_while_somebody_waits_is_1() {
    let place = Place::new(TASKS);
    let args = ["enqueue", "good", "--delay", "1h", "--wait"];
    let mut waiting = Process::start(place.command(&args));
    let deadline = Instant::now() + DEADLINE;
    let run = loop {
        assert!(Instant::now() < deadline, "nothing was enqueued");
        let runs = place.json(&["runs", "list"]);
        if let Some(run) = runs["runs"][0]["id"].as_str() {
            break run.to_owned();
        }
    };
    assert_eq!(place.fluid(&["runs", "cancel", &run]).code, 0);
    let (code, said) = waiting.end();
    assert!(code == 1 && said.contains("was aborted"), "{code}: {said}");
}

#[test]
fn a_wrong_command_line_file_or_parameter_is_2() {
    let place = Place::new(TASKS);
    place.write("broken.toml", "[tasks.a]");
    for args in [
        &[] as &[&str],
        &["nonsense"],
        &["exec", "good", "--nonsense"],
        &["exec", "picky", "--n", "many"],
        &["exec", "picky", "--params", "[]"],
        &["--config", "broken.toml", "ls"],
        &["--config", "nowhere.toml", "ls"],
        &["--broker", "nonsense", "status"],
        &["runs", "retry"],
    ] {
        let said = place.fluid(args);
        assert_eq!(said.code, 2, "{said}");
    }
}

#[test]
fn a_broker_that_can_not_be_used_is_3() {
    let place = Place::new(TASKS);
    place.write(
        "corrupt.db",
        "this is no database, and long enough to be seen as none\n".repeat(100),
    );
    for url in ["sqlite://no/such/folder/fluid.db", "sqlite://corrupt.db"] {
        let said = place.fluid(&["--broker", url, "status"]);
        assert!(
            said.code == 3 && said.out.is_empty() && said.err.contains(".db"),
            "{said}"
        );
    }
}

#[test]
fn what_is_not_there_is_4() {
    let place = Place::new(TASKS);
    for args in [
        &["exec", "nothing"] as &[&str],
        &["enqueue", "nothing"],
        &["enqueue", "nothing", "--wait", "--with", "flags"],
        &["enable", "nothing"],
        &["disable", "nothing"],
        &["pause", "nothing"],
        &["resume", "nothing"],
        &["runs", "show", "0190aaaa-0000-7000-8000-000000000000"],
        &["runs", "logs", "abcdef"],
        &["runs", "cancel", "abcdef"],
        &["runs", "retry", "abcdef"],
    ] {
        let said = place.fluid(args);
        assert_eq!(said.code, 4, "{said}");
    }
}

#[test]
fn a_chain_to_a_task_that_is_not_there_fails_with_the_reason() {
    let place = Place::new(TASKS);
    let said = place.fluid(&["exec", "chain"]);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.err.contains("there is no task \"godo\""), "{said}");
    assert!(said.err.contains("did you mean good?"), "{said}");
    assert!(said.err.contains("exit code 4"), "{said}");
}

#[test]
fn output_that_can_not_be_written_is_5() {
    let place = Place::new(TASKS);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = place.command(&["ls"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(5));
}

#[test]
fn a_time_limit_that_is_over_is_124() {
    let place = Place::new(TASKS);
    let said = place.fluid(&["exec", "slow"]);
    assert!(said.code == 124 && said.err.contains("failed"), "{said}");
    let said = place.fluid(&["enqueue", "good", "--wait-timeout", "50ms"]);
    assert!(
        said.code == 124 && said.err.contains("is still queued"),
        "{said}"
    );
    assert!(
        said.err.contains("because: no consumer is running"),
        "{said}"
    );
    let _serving = Process::serve(&place);
    let said = place.fluid(&["enqueue", "slow", "--wait"]);
    assert!(said.code == 124 && said.err.contains("failed"), "{said}");
}

#[test]
fn interrupted_by_ctrl_c_or_sigterm_is_130() {
    let place = Place::new(TASKS);
    for signal in [Signal::INT, Signal::TERM] {
        let mut exec = Process::start(place.command(&["exec", "endless"]));
        exec.until("begun");
        exec.signal(signal);
        let (code, said) = exec.end();
        assert!(
            code == 130 && said.contains("interrupted"),
            "{code}: {said}"
        );
    }

    let mut serving = Process::serve(&place);
    let mut waiting = Process::start(place.command(&["enqueue", "endless", "--wait", "--follow"]));
    waiting.until("begun");
    waiting.signal(Signal::INT);
    let (code, said) = waiting.end();
    assert!(code == 130 && said.contains("goes on"), "{code}: {said}");
    let runs = place.json(&["runs", "list"]);
    assert_eq!(runs["runs"][0]["state"], "running", "{runs}");

    let run = runs["runs"][0]["id"].as_str().unwrap();
    let mut logs = Process::start(place.command(&["runs", "logs", run, "--follow"]));
    logs.until("begun");
    logs.signal(Signal::INT);
    assert_eq!(logs.end().0, 130);

    place.fluid(&["runs", "cancel", run]);
    assert_eq!(serving.stop().0, 0, "serve that was asked to stop is done");
}
