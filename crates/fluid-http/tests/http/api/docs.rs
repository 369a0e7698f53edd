//! docs/http-api.md lists every route and every kind of problem.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::asked::get;
use crate::served::served;

const URN: &str = "urn:fluid:problem:";

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-api.md");
    fs::read_to_string(page).unwrap()
}

/// What stands in backquotes in the first column of the tables below a heading of this kind.
fn listed(heading: &str) -> BTreeSet<String> {
    let page = page();
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| ") || !line.starts_with(heading));
    let rows = rows.by_ref().take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1).map(str::to_owned));
    let quoted = first.flat_map(|cell| {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect::<Vec<_>>()
    });
    quoted.collect()
}

fn kinds_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            kinds_in(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let kinds = text.split(URN).skip(1);
        let end = |kind: &str| {
            kind.find(|c: char| !c.is_ascii_lowercase() && c != '-')
                .map(|end| kind[..end].to_owned())
        };
        found.extend(kinds.filter_map(end).filter(|kind| !kind.is_empty()));
    }
}

#[tokio::test]
async fn every_route_is_listed_and_no_other() {
    let served = served().await;
    let document = get(&served, "/openapi.json").await.json;
    let mut described = BTreeSet::from(["GET /openapi.json".to_owned()]);
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(listed("| route "), described);
}

#[test]
fn every_kind_of_problem_is_listed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut of_the_api, mut all) = (BTreeSet::new(), BTreeSet::new());
    kinds_in(&source.join("api"), &mut of_the_api);
    // Those of the guard, which the description tells as examples.
    let examples = ["not-signed-in", "may-only-read", "too-many-requests"];
    of_the_api.retain(|kind| !examples.contains(&kind.as_str()));
    assert_eq!(listed("| kind "), of_the_api);
    kinds_in(&source, &mut all);
    let page = page();
    for kind in all {
        assert!(
            page.contains(&format!("`{kind}`")),
            "{kind} is not in docs/http-api.md"
        );
    }
}
