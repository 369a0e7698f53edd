//! The same command line on Redis and PostgreSQL.

use fluid_test_servers::postgres::{Postgres, PostgresOptions};
use fluid_test_servers::redis::{RedisOptions, RedisServer};
use rustix::process::Signal;
use serde_json::json;

use crate::moving::{TASKS, story, story_with};
use crate::place::{Place, Said};
use crate::serving::Process;
use crate::terminal::Terminal;

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
    let migrated = call(&["migrate", "--output", "json"]);
    let migrated: serde_json::Value = serde_json::from_str(&migrated.out).unwrap();
    assert_eq!((&migrated["from"], &migrated["to"]), (&json!(1), &json!(1)));
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
fn tasks_run_on_a_redis_that_has_only_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let line = format!("unixsocket {socket}");
    let options = RedisOptions::new().password(PASSWORD).line(&line);
    let _server = RedisServer::start(&options).unwrap();
    let url = format!("redis+unix://:{PASSWORD}@{socket}");
    works_on(&url, "redis+unix://");
}

/// A server that throws keys away is warned of wherever fluid works on it, and one that does not is not.
#[test]
fn a_redis_that_may_evict_runs_is_warned_of() {
    for (policy, warned) in [
        ("noeviction", false),
        ("allkeys-lru", true),
        ("volatile-ttl", true),
    ] {
        let server = RedisServer::start(&RedisOptions::new().memory(1 << 30, policy)).unwrap();
        let place = Place::new(TASKS);
        let env = [("FLUID_BROKER_URL", server.url())];
        let is_warned = |said: &str| {
            let told = |line: &str| line.contains("WARN") && line.contains("noeviction");
            said.lines().filter(|line| told(line)).count() == 1
        };
        let env = env.each_ref().map(|(name, url)| (*name, url.as_str()));
        let status = place.call(&["status"], &env, "");
        assert_eq!(
            (status.code, is_warned(&status.err)),
            (0, warned),
            "{status}"
        );

        let serve = |args: &[&str]| {
            let mut serve = place.command(args);
            serve.envs(env).env("NO_COLOR", "1");
            serve
        };
        let mut serving = Process::start(serve(&["serve"]));
        serving.until("serves as");
        let (code, said) = serving.stop();
        assert_eq!((code, is_warned(&said)), (0, warned), "{said}");

        let terminal = Terminal::start(serve(&["serve"]));
        let shown = terminal.until("the banner", |screen| screen.contains("serves as"));
        // A line of the log is longer than the terminal is wide.
        assert_eq!(
            shown.contains("WARN") && shown.contains(policy),
            warned,
            "{shown}"
        );
    }
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
    // Passwords are in no argument.
    place.write("redis-url", url(&redis) + "\n");
    let env = [("POSTGRES_URL", postgres.url("postgres"))];
    let env = env.each_ref().map(|(name, url)| (*name, url.as_str()));
    let way = [
        "sqlite://fluid.db",
        "file:redis-url",
        "env:POSTGRES_URL",
        "sqlite://back.db",
    ];
    for step in way.windows(2) {
        let args = [
            "move", "--from", step[0], "--to", step[1], "--output", "json",
        ];
        let said = place.call(&args, &env, "");
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
        let there = story_with(&place, step[1], &env);
        assert_eq!(there, before, "on the way to {}", step[1]);
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
