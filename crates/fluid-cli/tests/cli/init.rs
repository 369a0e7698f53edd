//! `init`: from nothing to a file that works.

use crate::place::{Place, assert_told};

#[test]
fn init_writes_a_file_that_works_at_once_and_never_over_another() {
    let place = Place::empty();
    let mut told = place.fluid(&["init"]).to_string();
    told.push_str(&place.fluid(&["init"]).to_string());
    told.push_str(&place.fluid(&["init", "new/folder"]).to_string());
    told.push_str(&place.fluid(&["init", "fluid.toml"]).to_string());
    told.push_str(
        &place
            .fluid(&["init", "other", "--output", "json"])
            .to_string(),
    );
    told.push_str(&place.fluid(&["ls"]).to_string());
    told.push_str(
        &place
            .fluid(&["exec", "countdown", "--steps", "1"])
            .to_string(),
    );
    assert_told!(place, told);
    let hello = place.fluid(&["exec", "hello"]);
    assert!(
        hello.code == 0 && hello.err.starts_with("it is "),
        "{hello}"
    );
}

#[test]
fn what_the_file_keeps_in_comments_is_right_too() {
    let place = Place::empty();
    place.fluid(&["init"]);
    let file = std::fs::read_to_string(place.path().join("fluid.toml")).unwrap();
    let mut settings = 0;
    let used: Vec<String> = file
        .lines()
        .filter(|line| !line.starts_with("schedule ="))
        .map(|line| {
            let key = line.strip_prefix("# ").filter(|line| {
                let key = line.split(" = ").next().unwrap_or_default();
                line.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            settings += usize::from(key.is_some());
            key.unwrap_or(line).to_owned()
        })
        .collect();
    assert_eq!(settings, 4, "{used:#?}");
    place.write("fluid.toml", used.join("\n"));
    let tasks = place.json(&["ls"]);
    assert_eq!(
        tasks[1]["schedule"], "cron \"0 3 * * *\" Europe/Zurich",
        "{tasks}"
    );
}
