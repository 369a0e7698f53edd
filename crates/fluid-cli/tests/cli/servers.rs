//! The same command line on Redis and PostgreSQL.

use fluid_test_servers::postgres::{Postgres, PostgresOptions};
use fluid_test_servers::redis::{RedisOptions, RedisServer};
use rustix::process::Signal;
use serde_json::json;

use crate::moving::{TASKS, story};
use crate::place::{Place, Said};
use crate::serving::Process;

const PASSWORD: &str = "hunter2";

fn postgres() -> Postgres {
    Postgres::start(&PostgresOptions::new().password(PASSWORD)).unwrap()
}

fn redis() -> RedisServer {
    RedisServer::start(&RedisOptions::new().password(PASSWORD)).unwrap()
}

fn url(server: &RedisServer) -> String {
    format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port())
}

/// Everything that a person does first, with nothing but the URL to tell one broker from another.
fn works_on(url: &str, shown: &str) {
    let place = Place::new(TASKS);
    let env = [("FLUID_BROKER_URL", url)];
    let call = |args: &[&str]| -> Said {
        let said = place.call(args, &env, "");
        let told = format!("{}{}", said.out, said.err);
        assert!(!told.contains(PASSWORD), "{said}");
        said
    };
    let mut serve = place.command(&["serve", "--no-scheduler"]);
    serve.env("FLUID_BROKER_URL", url);
    let mut serving = Process::start(serve);
    serving.until("serving");
    let done = call(&["enqueue", "count", "--wait", "--follow"]);
    assert_eq!(done.code, 0, "{done}");
    assert!(
        done.err.contains("line 3") || done.out.contains("line 3"),
        "{done}"
    );
    assert_eq!(call(&["enqueue", "flaky", "--wait"]).code, 0);
    assert_eq!(call(&["enqueue", "broken", "--wait"]).code, 1);
    let status = call(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert!(
        status["broker"]["url"].as_str().unwrap().contains(shown),
        "{status}"
    );
    assert_eq!(status["broker"]["why"], "FLUID_BROKER_URL says so");
    assert_eq!(status["states"]["success"], 2);
    assert_eq!(status["consumers"].as_array().unwrap().len(), 1);
    serving.signal(Signal::TERM);
    let (code, said) = serving.end();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
fn tasks_run_on_redis() {
    let server = redis();
    works_on(&url(&server), "redis://");
}

#[test]
fn tasks_run_on_postgres() {
    let server = postgres();
    works_on(&server.url("postgres"), "postgres://");
}

#[test]
fn aio_fluids_variable_names_the_broker_where_nothing_else_does() {
    let server = redis();
    let place = Place::new(TASKS);
    let url = url(&server);
    let chosen = |env: &[(&str, &str)]| {
        let said = place.call(&["status", "--output", "json"], env, "");
        assert_eq!(said.code, 0, "{said}");
        let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        status["broker"]["why"].clone()
    };
    let legacy = ("REDIS_DEFAULT_URL", url.as_str());
    assert_eq!(chosen(&[legacy]), "REDIS_DEFAULT_URL says so");
    let other = ("FLUID_BROKER_URL", "sqlite://other.db");
    assert_eq!(chosen(&[legacy, other]), "FLUID_BROKER_URL says so");
    place.write(
        "fluid.toml",
        format!("[fluid]\nbroker = \"sqlite://x.db\"\n{TASKS}"),
    );
    assert_eq!(chosen(&[legacy]), "fluid.toml says so");
}

#[test]
fn runs_move_from_broker_to_broker_and_stay_what_they_were() {
    let (redis, postgres) = (redis(), postgres());
    let place = Place::new(TASKS);
    for task in ["count", "flaky", "broken"] {
        place.fluid(&["enqueue", task]);
    }
    let mut serving = Process::serve(&place);
    for task in ["count", "flaky", "broken"] {
        place.fluid(&["enqueue", task, "--wait"]);
    }
    serving.signal(Signal::TERM);
    assert_eq!(serving.end().0, 0);
    place.fluid(&["enqueue", "count", "--delay", "1h"]);
    place.fluid(&["disable", "nightly"]);

    let before = story(&place, "sqlite://fluid.db");
    assert_eq!(before.len(), 7);
    let (redis, postgres) = (url(&redis), postgres.url("postgres"));
    let way = ["sqlite://fluid.db", &redis, &postgres, "sqlite://back.db"];
    for step in way.windows(2) {
        let said = place.fluid(&[
            "move", "--from", step[0], "--to", step[1], "--output", "json",
        ]);
        assert_eq!(said.code, 0, "{said}");
        let moved: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(
            (&moved["runs"], &moved["known"]),
            (&json!(7), &json!(0)),
            "{said}"
        );
        assert!(
            !said.out.contains(PASSWORD) && !said.err.contains(PASSWORD),
            "{said}"
        );
        assert_eq!(story(&place, step[1]), before, "on the way to {}", step[1]);
    }
    let status = place.json(&["status", "--broker", "sqlite://back.db"]);
    assert_eq!(status["disabled_tasks"], json!(["nightly"]));
}

#[test]
fn what_is_wrong_with_a_server_is_told_without_its_password() {
    let (redis, postgres) = (redis(), postgres());
    let place = Place::new(TASKS);
    let wrong = |url: String| url.replace(PASSWORD, "hunter3");
    for (url, code, part) in [
        (wrong(url(&redis)), 2, "password"),
        (wrong(postgres.url("postgres")), 2, "password"),
        (postgres.url("no_such_database"), 2, "no_such_database"),
        ("redis://127.0.0.1:1".to_owned(), 3, "127.0.0.1:1"),
        (
            "postgres://me:hunter2@127.0.0.1:1/x".to_owned(),
            3,
            "127.0.0.1:1",
        ),
    ] {
        let said = place.fluid(&["status", "--broker", &url]);
        assert_eq!(said.code, code, "{said}");
        assert!(said.err.contains(part), "{said}");
        assert!(!said.err.contains("hunter"), "{said}");
    }
}
