//! The documentation says what the binary does: keys, examples, commands, exit codes, variables, JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::help::every_help;
use crate::place::Place;

fn repository() -> PathBuf {
    // Not as compiled: checkouts may share a target folder.
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

fn page(name: &str) -> String {
    let path = repository().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The part of a page under a heading, up to the next of the same level or above.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let rest = &page[start + heading.len() + 2..];
    let level = heading.split(' ').next().unwrap();
    let end = rest.match_indices("\n#").map(|(at, _)| at).find(|at| {
        let mark = rest[at + 1..].split(' ').next().unwrap();
        mark.len() <= level.len()
    });
    &rest[..end.unwrap_or(rest.len())]
}

/// The rows of the tables in a text, as cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let tables = text.lines().filter(|line| line.starts_with("| "));
    let cells = tables.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    // The heading of a table.
    cells
        .filter(|cells: &Vec<&str>| !["key", "code", "command", "variable"].contains(&cells[0]))
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// The keys that the parser knows in a table: it lists them when it meets one that is none.
fn known_keys(place: &Place, file: &str) -> BTreeSet<String> {
    place.write("fluid.toml", file);
    let said = place.fluid(&["ls", "--output", "json"]);
    let error: Value = serde_json::from_str(&said.err).expect(&said.err);
    let help = error["error"]["faults"][0]["help"]
        .as_str()
        .expect(&said.err);
    set(help
        .strip_prefix("what goes here: ")
        .expect(help)
        .split(", "))
}

#[test]
fn every_key_of_fluid_toml_is_documented_and_no_other() {
    let page = page("docs/fluid-toml.md");
    let place = Place::empty();
    let task = "[tasks.a]\ncommand = [\"true\"]\n";
    assert_eq!(
        known_keys(&place, "[zzzzzzzz]"),
        set(["fluid", "http", "tasks"])
    );
    for (heading, file) in [
        ("`[fluid]`", "[fluid]\nzzzzzzzz = 1".to_owned()),
        ("`[http]`", "[http]\nzzzzzzzz = 1".to_owned()),
        ("`[tasks.NAME]`", format!("{task}zzzzzzzz = 1")),
        ("`schedule`", format!("{task}schedule = {{ zzzzzzzz = 1 }}")),
        ("`retry`", format!("{task}retry = {{ zzzzzzzz = 1 }}")),
        (
            "`rate_limit`",
            format!("{task}rate_limit = {{ zzzzzzzz = 1 }}"),
        ),
        ("`unique`", format!("{task}unique = {{ zzzzzzzz = 1 }}")),
        ("`k8s`", format!("{task}k8s = {{ zzzzzzzz = 1 }}")),
    ] {
        let section = section(&page, &format!("## {heading}"));
        let documented = set(rows(section).iter().map(|row| row[0].trim_matches('`')));
        assert_eq!(documented, known_keys(&place, &file), "of {heading}");
        assert!(section.contains("```toml"), "{heading} has no example");
    }
}

#[test]
fn every_key_has_a_part_in_an_example() {
    let page = page("docs/fluid-toml.md");
    let examples = examples(&page).join("\n");
    let words = set(examples.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    // Read in a Kubernetes cluster only, and explained by their names.
    let without = ["drain_timeout", "lease", "executor", "insecure"];
    for row in rows(section(&page, "## `[fluid]`"))
        .iter()
        .chain(&rows(section(&page, "## `[http]`")))
        .chain(&rows(section(&page, "## `[tasks.NAME]`")))
    {
        let key = row[0].trim_matches('`');
        assert!(
            words.contains(key) || without.contains(&key),
            "{key} is in no example"
        );
    }
}

/// The TOML examples of a page.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_example_of_a_fluid_toml_is_one() {
    let mut pages = vec!["README.md".to_owned()];
    for file in std::fs::read_dir(repository().join("docs")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(format!("docs/{}", path.file_name().unwrap().display()));
        }
    }
    let mut checked = 0;
    for name in pages {
        let page = page(&name);
        for example in examples(&page) {
            let place = Place::new(example);
            std::fs::create_dir_all(place.path().join("pictures")).unwrap();
            std::fs::create_dir_all(place.path().join("schemas")).unwrap();
            place.write("schemas/report.json", "{\"type\": \"object\"}");
            let said = place.fluid(&["--broker", "sqlite://here.db", "ls"]);
            assert_eq!(said.code, 0, "{name}:\n{example}\n{said}");
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} examples were found");
}

#[test]
fn every_command_is_documented_and_no_other() {
    let page = page("docs/cli.md");
    let documented: BTreeSet<String> = rows(section(&page, "## Commands"))
        .iter()
        .flat_map(|row| quoted(row[0]))
        .map(|call| {
            let words = call
                .split(' ')
                .filter(|word| !word.chars().all(char::is_uppercase));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    let groups = ["", "runs", "k8s"];
    let found = every_help(&Place::new("")).into_keys();
    let found: BTreeSet<String> = found
        .filter(|name| !groups.contains(&name.as_str()))
        .collect();
    assert_eq!(documented, found);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let page = page("docs/cli.md");
    let help = Place::new("").fluid(&["--help"]).out;
    let listed = help.split("Exit codes:\n").nth(1).unwrap();
    let listed: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(code, meaning)| (code, meaning.trim()))
        .collect();
    let documented = rows(section(&page, "## Exit codes"));
    let documented: Vec<(&str, &str)> = documented.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(documented, listed);
}

#[test]
fn the_variables_for_settings_are_those_of_the_help() {
    let page = page("docs/cli.md");
    let documented = rows(section(&page, "## Settings"));
    let documented: BTreeMap<String, String> = documented
        .iter()
        .map(|row| {
            (
                row[0].trim_matches('`').to_owned(),
                row[1].trim_matches('`').to_owned(),
            )
        })
        .collect();
    let mut found = BTreeMap::new();
    let all = every_help(&Place::new(""));
    // What is global is under every command: the first, without a name, settles it.
    // What `dashboard` takes, `serve` takes too.
    let others = |name: &str| name.starts_with("k8s") || name == "dashboard";
    for (name, help) in all.iter().filter(|(name, _)| !others(name)) {
        let words: Vec<&str> = help.split_whitespace().collect();
        let mut flag = "";
        for (index, word) in words.iter().enumerate() {
            if word.starts_with("--") && words[index + 1].starts_with('<') {
                flag = word;
            }
            if *word == "[env:" {
                let variable = words[index + 1].trim_end_matches(']').to_owned();
                let flag = format!("{name} {flag}").trim().to_owned();
                found.entry(variable).or_insert(flag);
            }
        }
    }
    assert_eq!(documented, found);
}

#[test]
fn a_program_finds_the_variables_that_are_documented_and_no_other() {
    let page = page("docs/cli.md");
    let documented = rows(section(&page, "## What a program finds"));
    let documented = set(documented.iter().map(|row| row[0].trim_matches('`')));
    let place = Place::new("[tasks.look]\nshell = \"env | grep ^FLUID_ | cut -d= -f1\"\n");
    let said = place.fluid(&["exec", "look", "--params", "{\"name\": 1, \"list\": []}"]);
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(set(said.err.lines()), documented);
}

#[test]
fn the_json_has_the_documented_members() {
    let page = page("docs/cli.md");
    let json = section(&page, "## JSON");
    let members = |text: &str| {
        let words = text.split('"').skip(1).step_by(2);
        words.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let documented = |command: &str| {
        let rows = rows(json);
        let row = rows
            .iter()
            .find(|row| quoted(row[0]).contains(&command))
            .expect(command);
        members(row[1])
    };
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let place = Place::new("[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"1h\" }\n");
    assert_eq!(keys(&place.json(&["ls"])[0]), documented("ls"));
    assert_eq!(keys(&place.json(&["status"])), documented("status"));
    assert_eq!(keys(&place.json(&["disable", "a"])), documented("disable"));
    assert_eq!(
        keys(&place.json(&["resume", "default"])),
        documented("resume")
    );
    assert_eq!(
        keys(&place.json(&["runs", "purge", "--all"])),
        documented("runs purge")
    );
    let enqueued = place.json(&["enqueue", "a"]);
    assert!(documented("enqueue").is_superset(&keys(&enqueued)));
    let run = json
        .split("A run is")
        .nth(1)
        .unwrap()
        .split('…')
        .next()
        .unwrap();
    let runs = place.json(&["runs", "list"]);
    assert_eq!(keys(&runs), set(["runs", "next"]));
    let found = keys(&runs["runs"][0]);
    assert!(found.is_superset(&members(run)), "{found:?}");
    let shown = keys(&place.json(&["runs", "show", enqueued["run"].as_str().unwrap()]));
    assert!(
        shown.is_superset(&set(["attempts", "children", "why_waiting"])),
        "{shown:?}"
    );
}
