//! The dashboard for Grafana and the alerts of Prometheus, held to docs/metrics.md and to promtool.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

/// What looks like the name of a metric, without what Prometheus adds for histograms.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("fluid_") || word.starts_with("process_"))
        .map(|word| {
            let suffixes = ["_bucket", "_count", "_sum"];
            let family = suffixes.iter().find_map(|s| word.strip_suffix(s));
            family.unwrap_or(word)
        })
        .collect()
}

#[test]
fn what_is_watched_is_what_the_docs_list() {
    let docs = text("docs/metrics.md");
    let listed: BTreeSet<_> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    for path in [
        "deploy/grafana/fluid.json",
        "deploy/prometheus/fluid-alerts.yaml",
    ] {
        let text = text(path);
        let named = names(&text);
        assert!(named.len() > 5, "{path} names {named:?}");
        let unknown: Vec<_> = named.difference(&listed).collect();
        assert!(
            unknown.is_empty(),
            "{path} has {unknown:?}, docs/metrics.md has not"
        );
    }
    serde_json::from_str::<serde_json::Value>(&text("deploy/grafana/fluid.json")).unwrap();
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    for arguments in [
        ["check", "rules", "fluid-alerts.yaml"],
        ["test", "rules", "fluid-alerts.test.yaml"],
    ] {
        let output = Command::new("promtool")
            .current_dir(file("deploy/prometheus"))
            .args(arguments)
            .output()
            .expect("promtool is installed by `cargo xtask test`");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}
