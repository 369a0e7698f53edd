//! Storms as a contributor starts them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

use fluid_proof::Promise;

fn storm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluid-chaos"));
    let output = command.args(arguments).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// How a storm on a broker that is broken so ends: the verdict on each promise.
fn sabotaged(how: &str) -> impl Fn(Promise) -> bool {
    let arguments = ["--broker", "sqlite", "--runs", "200", "--seed", "3"];
    let output = storm(&[&arguments[..], &["--sabotage", how]].concat());
    assert_eq!(output.status.code(), Some(1), "the storm tells of it");
    let said = String::from_utf8(output.stdout).unwrap();
    move |promise| {
        let words = promise.to_string();
        let line = said.lines().find(|line| line.trim().starts_with(&words));
        line.unwrap().contains("BROKEN")
    }
}

fn holds_on(broker: &str) {
    let output = storm(&["--broker", broker]);
    assert_eq!(output.status.code(), Some(0), "every promise holds");
}

#[test]
fn nothing_is_lost_or_doubled_on_sqlite() {
    holds_on("sqlite");
}

#[test]
fn nothing_is_lost_or_doubled_on_redis() {
    holds_on("redis");
}

#[test]
fn nothing_is_lost_or_doubled_on_postgres() {
    holds_on("postgres");
}

#[test]
fn a_broker_without_fencing_is_caught() {
    let breaks = sabotaged("fencing");
    assert!(breaks(Promise::EndsStand) && breaks(Promise::RefusedIsRefused));
}

#[test]
fn a_broker_that_fires_ticks_again_is_caught() {
    let breaks = sabotaged("ticks");
    assert!(breaks(Promise::TicksOnce));
}

#[test]
fn a_broker_that_forgets_runs_is_caught() {
    let breaks = sabotaged("loss");
    assert!(breaks(Promise::NothingLost));
}
