//! What a person reads who calls the command line on a server that can't be used.

use std::fmt::Write;

use fluid_test_servers::postgres::{Postgres, PostgresOptions};
use fluid_test_servers::redis::{RedisOptions, RedisServer};

use crate::moving::TASKS;
use crate::place::{Place, assert_told};

const PASSWORD: &str = "hunter2";

/// What `status` and `enqueue` say of each, with a name in place of each port. One answer where both say the same.
fn answers(place: &Place, cases: &[(&str, String)], ports: &[(&str, u16)]) -> String {
    let mut told = String::new();
    for (what, url) in cases {
        let call = |args: &[&str]| {
            let said = place.call(args, &[("FLUID_BROKER_URL", url)], "");
            assert!(!said.err.contains("hunter") && !said.out.contains("hunter"));
            let mut text = format!("[{}] {}{}", said.code, said.out, said.err);
            for (name, port) in ports {
                text = text.replace(&format!("127.0.0.1:{port}"), name);
            }
            // Which of them it is depends on who is faster.
            for cause in [
                "Connection reset by peer (os error 104)",
                "Broken pipe (os error 32)",
            ] {
                text = text.replace(cause, "[closed]");
            }
            text
        };
        let (status, enqueue) = (call(&["status"]), call(&["enqueue", "count"]));
        if status == enqueue {
            let _ = writeln!(told, "{what}\n{status}");
        } else {
            let _ = writeln!(told, "{what}, status\n{status}\n{what}, enqueue\n{enqueue}");
        }
    }
    told
}

#[test]
fn what_a_redis_refuses_is_said_with_what_to_do() {
    let start = |options: RedisOptions| RedisServer::start(&options).unwrap();
    let server = start(RedisOptions::new().password(PASSWORD));
    let secure = start(RedisOptions::new().tls());
    let replica = start(RedisOptions::new().replica_of(1));
    server
        .cli(&["HSET", "{newer}:meta", "schema", "99"])
        .unwrap();
    let at = |scheme: &str, login: &str, rest: &str| {
        format!("{scheme}://{login}127.0.0.1:{}{rest}", server.port())
    };
    let tls = |scheme: &str| format!("{scheme}://127.0.0.1:{}", secure.port());
    let cases = [
        ("a wrong password", at("redis", ":hunter3@", "")),
        ("no password", at("redis", "", "")),
        ("no such database", at("redis", ":hunter2@", "/99")),
        ("a newer fluid", at("redis", ":hunter2@", "?prefix=newer")),
        ("TLS to a port without", at("rediss", ":hunter2@", "")),
        ("no TLS to a port with", tls("redis")),
        ("a certificate of nobody", tls("rediss")),
        ("a replica", replica.url()),
    ];
    let ports = [
        ("[server]", server.port()),
        ("[secure]", secure.port()),
        ("[replica]", replica.port()),
    ];
    let place = Place::new(TASKS);
    assert_told!(place, answers(&place, &cases, &ports));
}

#[test]
fn what_a_postgres_refuses_is_said_with_what_to_do() {
    // Its certificate is as good for another server on this machine.
    let redis = RedisServer::start(&RedisOptions::new().tls()).unwrap();
    let (certificate, key) = (
        redis.ca().with_file_name("server.pem"),
        redis.ca().with_file_name("server.key"),
    );
    let server = Postgres::start(&PostgresOptions::new().password(PASSWORD)).unwrap();
    let secure = Postgres::start(&PostgresOptions::new().certificate(&certificate, &key)).unwrap();
    let place = Place::new(TASKS);
    for (schema, args) in [("fluid", "status"), ("newer", "status")] {
        let url = format!("{}?schema={schema}", server.url("postgres"));
        assert_eq!(
            place.call(&[args], &[("FLUID_BROKER_URL", &url)], "").code,
            0
        );
    }
    server
        .psql("postgres", "UPDATE newer.meta SET version = 99")
        .unwrap();
    let standby = server.standby().unwrap();
    let good = server.url("postgres");
    let cases = [
        ("a wrong password", good.replace(PASSWORD, "hunter3")),
        ("no password", good.replace(&format!(":{PASSWORD}"), "")),
        ("no such database", server.url("nowhere")),
        ("a newer fluid", format!("{good}?schema=newer")),
        ("TLS to a server without", format!("{good}?sslmode=require")),
        (
            "a certificate of nobody",
            format!("{}?sslmode=verify-full", secure.url("postgres")),
        ),
        ("a standby", standby.url("postgres")),
    ];
    let ports = [
        ("[server]", server.port()),
        ("[secure]", secure.port()),
        ("[standby]", standby.port()),
    ];
    assert_told!(place, answers(&place, &cases, &ports));
}
