//! What `serve` and `dashboard` serve, and where.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::place::{Place, assert_told};
use crate::serving::Process;

const TASK: &str = "[tasks.a]\ncommand = [\"true\"]\n";

/// The status line and the rest of what a path answers.
fn get(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// Starts it with JSON lines; the process and its first line.
fn start(place: &Place, args: &[&str], env: &[(&str, &str)]) -> (Process, Value) {
    let mut command = place.command(&[args, &["--output", "json"]].concat());
    command.envs(env.iter().copied());
    let mut process = Process::start(command);
    let serving = process.until("\"event\":\"serving\"");
    (process, serde_json::from_str(&serving).unwrap())
}

#[test]
fn serve_answers_where_it_says_until_it_is_stopped() {
    let place = Place::new(TASK);
    let (mut serving, banner) = start(&place, &["serve", "--http", "127.0.0.1:0"], &[]);
    let url = banner["http"]["url"].as_str().unwrap();
    assert_eq!(banner["http"]["why"], "--http says so");
    assert!(get(url, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(url, "/api/v1/tasks").contains("\"name\":\"a\""));
    let status = place.json(&["status"]);
    assert_eq!(status["consumers"][0]["http"], url, "{status}");
    assert_eq!(serving.stop().0, 0);
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    TcpStream::connect(address).expect_err("nobody listens there any more");
}

#[test]
fn dashboard_serves_without_taking_runs() {
    let place = Place::new(TASK);
    let run = place.json(&["enqueue", "a"])["run"].clone();
    let (mut serving, banner) = start(&place, &["dashboard", "--http", "127.0.0.1:0"], &[]);
    let url = banner["http"]["url"].as_str().unwrap();
    let found = get(url, &format!("/api/v1/runs/{}", run.as_str().unwrap()));
    assert!(found.contains("\"state\":\"queued\""), "{found}");
    let status = place.json(&["status"]);
    assert_eq!(status["consumers"].as_array().unwrap().len(), 0);
    let (code, said) = serving.stop();
    assert_eq!(code, 0, "{said}");
    let none = place.fluid(&["dashboard", "--http", "none"]);
    assert_told!(place, none);
}

#[test]
fn a_usual_address_that_is_taken_is_done_without() {
    // Whoever has it: this test, or another process of this machine.
    let _taken = TcpListener::bind("127.0.0.1:7373");
    let place = Place::new(TASK);
    let mut command = place.command(&["serve", "--no-scheduler"]);
    command.env("FLUID_HTTP", "");
    let mut serving = Process::start(command);
    let line = serving.until("  http ");
    assert_eq!(
        line,
        "  http      none (127.0.0.1:7373 can't be had: another process listens there; --http takes another)"
    );
    serving.until("TASK");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn an_address_that_was_asked_for_must_be_had() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(&format!("{TASK}[http]\naddress = \"{address}\"\n"));
    let said = [
        place.fluid(&["serve", "--http", &address]),
        place.call(&["serve"], &[("FLUID_HTTP", &address)], ""),
        place.fluid(&["dashboard"]),
        place.fluid(&["serve", "--http", "8080"]),
    ];
    let said: String = said.iter().map(ToString::to_string).collect();
    assert_told!(place, said.replace(&address, "[address]"));
}

#[test]
fn the_address_comes_from_the_flag_the_variable_the_file() {
    let place = Place::new(&format!("{TASK}[http]\naddress = \"127.0.0.3:0\"\n"));
    let at = |args: &[&str], env: &[(&str, &str)]| {
        let (mut serving, banner) = start(&place, &[&["serve"], args].concat(), env);
        assert_eq!(serving.stop().0, 0);
        let url = banner["http"]["url"].as_str().unwrap_or("none").to_owned();
        let end = url.rfind(':').filter(|_| url != "none");
        url[..end.unwrap_or(url.len())].to_owned()
    };
    let env = [("FLUID_HTTP", "127.0.0.2:0")];
    assert_eq!(at(&["--http", "127.0.0.1:0"], &env), "http://127.0.0.1");
    assert_eq!(at(&[], &env), "http://127.0.0.2");
    assert_eq!(at(&[], &[("FLUID_HTTP", "")]), "http://127.0.0.3");
    assert_eq!(at(&["--no-http"], &env), "none");
}

fn readable(place: &Place, file: &str, mode: u32) {
    let mode = Permissions::from_mode(mode);
    std::fs::set_permissions(place.path().join(file), mode).unwrap();
}

#[test]
fn others_reach_it_only_with_tokens_or_where_that_was_said() {
    let place = Place::new(TASK);
    let token = "0123456789abcdef-token";
    place.write("good", format!("ada full {token}\nbob read {token}-2\n"));
    place.write("bad", format!("ada full {token}\n{token} full\n"));
    place.write("none", "# nobody yet\n");
    for file in ["good", "bad", "none"] {
        readable(&place, file, 0o600);
    }
    let everywhere = ["serve", "--http", "0.0.0.0:0"];
    let with = |flags: &[&str]| place.fluid(&[&everywhere, flags].concat());
    let said = [
        with(&[]),
        with(&["--http-tokens", "bad"]),
        with(&["--http-tokens", "none"]),
        with(&["--http-tokens", "gone"]),
        with(&["--http-tokens", "good", "--insecure"]),
        with(&["--http-user-header", "not a header"]),
        place.fluid(&["serve", "--http-user-access", "some"]),
        place.fluid(&["serve", "--http-proxies", "10.0.0.0/40"]),
    ];
    let said: String = said.iter().map(ToString::to_string).collect();
    assert!(!said.contains(token), "{said}");
    assert_told!(place, said);
}

#[test]
fn tokens_come_from_a_file_and_everybody_only_by_a_word_that_is_warned_of() {
    let place = Place::new(&format!("{TASK}[http]\ntokens = \"tokens\"\n"));
    place.write("tokens", "ada full 0123456789abcdef\n");
    readable(&place, "tokens", 0o644);
    let mut serving = Process::start(place.command(&["serve", "--http", "127.0.0.1:0"]));
    serving.until("everybody on this machine may read the tokens");
    assert_eq!(serving.stop().0, 0);
    let (mut serving, banner) = start(&place, &["serve", "--http", "0.0.0.0:0"], &[]);
    let url = banner["http"]["url"]
        .as_str()
        .unwrap()
        .replace("0.0.0.0", "127.0.0.1");
    assert!(get(&url, "/api/v1/tasks").starts_with("HTTP/1.1 401"));
    assert!(get(&url, "/healthz").starts_with("HTTP/1.1 200"));
    assert_eq!(serving.stop().0, 0);
    let place = Place::new(TASK);
    let flags = [
        "serve",
        "--http",
        "0.0.0.0:0",
        "--insecure",
        "--http-read-only",
    ];
    let mut serving = Process::start(place.command(&flags));
    serving.until("whoever reaches this address may read everything");
    assert_eq!(serving.stop().0, 0);
}
