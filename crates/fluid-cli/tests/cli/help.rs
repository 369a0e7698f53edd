//! What `--help` says of every command, and of a task.

use std::collections::BTreeMap;

use crate::place::{Place, assert_told};

const TASKS: &str = r#"
[tasks.resize]
description = """
Makes a picture smaller.
Keeps its proportions."""
command = ["true"]

[tasks.resize.params]
type = "object"
required = ["path", "token"]

[tasks.resize.params.properties]
path = { type = "string", description = "The picture" }
max_width = { type = "integer", default = 800, description = "In pixels" }
ratio = { type = "number" }
mode = { enum = ["fit", "fill"], description = "What becomes of the rest" }
tags = { type = "array", items = { type = "string" } }
keep = { type = "boolean" }
queue = { type = "string", description = "Named as an option of ours" }
token = { type = "string", format = "password" }
options = { type = "object" }

[tasks.bare]
command = ["true"]
"#;

/// The names under a heading such as `Commands:` of a help text.
fn listed(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Every command there is, with its help.
fn all(place: &Place, command: &[String], found: &mut BTreeMap<String, String>) {
    let args: Vec<&str> = command
        .iter()
        .map(String::as_str)
        .chain(["--help"])
        .collect();
    let said = place.fluid(&args);
    assert!(said.code == 0 && said.err.is_empty(), "{said}");
    for next in listed(&said.out, "Commands:") {
        all(place, &[command, &[next]].concat(), found);
    }
    found.insert(command.join(" "), said.out);
}

/// The help of every command, by name; that of the whole has none.
pub(crate) fn every_help(place: &Place) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    all(place, &[], &mut found);
    found
}

#[test]
fn every_command_says_what_it_is_for() {
    let found = every_help(&Place::new(TASKS));
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    insta::assert_snapshot!(names.join("\n"));
    let global = {
        let whole = &found[""];
        let start = whole.find("Global options:").unwrap();
        let length = whole[start..].find("\n\n").unwrap();
        whole[start..start + length].to_owned()
    };
    // What k8s says depends on the features of the build.
    let every_build = |(name, _): &(&String, &String)| !name.starts_with("k8s");
    for (name, help) in found.iter().filter(every_build) {
        assert!(help.contains(&global), "{name}:\n{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{name}: {line:?}");
        }
        let file = if name.is_empty() {
            "all".to_owned()
        } else {
            name.replace(' ', "_")
        };
        let rest = if name.is_empty() {
            help.clone()
        } else {
            help.replace(&global, "Global options: …")
        };
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(file, rest);
        });
    }
}

#[test]
fn a_task_describes_itself() {
    let place = Place::new(TASKS);
    let mut told = String::new();
    for args in [
        ["enqueue", "resize", "-h"],
        ["exec", "resize", "--help"],
        ["exec", "bare", "--help"],
    ] {
        let text = place.fluid(&args).to_string();
        let start = text.find("Global options:").unwrap();
        let end = text[start..]
            .find("\n\n")
            .map_or(text.len(), |length| start + length);
        told.push_str(&format!(
            "{}Global options: …{}",
            &text[..start],
            &text[end..]
        ));
    }
    assert_told!(place, told);
}

#[test]
fn a_word_too_few_or_wrong_is_answered_with_what_there_is() {
    let place = Place::new(TASKS);
    let mut told = String::new();
    for args in [
        &["statsu"] as &[&str],
        &["runs", "shwo", "x"],
        &["exec", "resiez"],
        &["enqueue", "nothing-like-it"],
        &["exec", "resize", "--max-widht", "3"],
        &["runs", "show"],
        &["runs", "show", "abc"],
        &["runs", "list", "--state", "done"],
        &["runs", "list", "--since", "yesterday"],
        &["runs", "retry"],
        &["runs", "purge"],
        &["enable", "resiez"],
        &["pause", "fast"],
        &["enqueue", "bare", "--delay", "soon"],
        &["enqueue", "bare", "--priority", "urgent"],
        &["--executor", "docker", "ls"],
        &["--output", "xml", "ls"],
        &["--log", "loud=very=much", "ls"],
        &["--broker", "memory:", "status"],
        &["completion", "tcsh"],
    ] {
        told.push_str(&place.fluid(args).to_string());
    }
    assert_told!(place, told);
}

#[test]
fn programs_get_every_refusal_as_json() {
    let place = Place::new(TASKS);
    for args in [
        &["statsu"] as &[&str],
        &["runs", "show"],
        &["runs", "list", "--limit", "many"],
        &["exec", "nothing"],
        &["--broker", "mysql://host", "status"],
    ] {
        let said = place.fluid(&[args, &["--output", "json"]].concat());
        let error: serde_json::Value = serde_json::from_str(&said.err).expect(&said.err);
        assert_eq!(error["error"]["exit_code"], said.code, "{said}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n') && !message.starts_with("error"));
        assert_eq!(said.out, "", "{said}");
    }
}

#[test]
fn without_a_fluid_toml_the_way_to_one_is_shown() {
    let place = Place::empty();
    let mut told = String::new();
    for args in [
        &["serve"] as &[&str],
        &["ls"],
        &["exec", "x"],
        &["enqueue", "x"],
        &["status"],
        &["runs", "list"],
        &["enable", "x"],
    ] {
        told.push_str(&place.fluid(args).to_string());
    }
    assert_told!(place, told);
    let help = place.fluid(&["exec"]);
    assert!(
        help.code == 2
            && help
                .err
                .contains("Write a fluid.toml with `fluid-cli init`"),
        "{help}"
    );
}
