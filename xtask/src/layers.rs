//! Checks that crates depend downwards only, and that an application gets no more than it asks for.

use std::collections::BTreeSet;

use anyhow::bail;

use crate::process::{cargo, output};

/// For each crate, the crates of this workspace that it may depend on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("fluid-macros", &[]),
    ("fluid-core", &["fluid-macros"]),
    ("fluid-testing", &["fluid-core"]),
    ("fluid-scheduler", &["fluid-core"]),
    ("fluid-broker-sqlite", &["fluid-core"]),
    ("fluid-broker-redis", &["fluid-core"]),
    ("fluid-broker-postgres", &["fluid-core"]),
    ("fluid-exec-local", &["fluid-core"]),
    ("fluid-exec-k8s", &["fluid-core"]),
    ("fluid-http", &["fluid-core", "fluid-scheduler"]),
    (
        "fluid-cli",
        &[
            "fluid-core",
            "fluid-scheduler",
            "fluid-http",
            "fluid-broker-sqlite",
            "fluid-broker-redis",
            "fluid-broker-postgres",
            "fluid-exec-local",
            "fluid-exec-k8s",
        ],
    ),
];

/// What an application on the queue alone must not compile.
const ONLY_WHERE_ASKED_FOR: &[&str] = &[
    "kube",
    "k8s-openapi",
    "axum",
    "hyper",
    "redis",
    "tokio-postgres",
];

/// Fails with the first crate that reaches up or sideways.
pub(crate) fn check() -> anyhow::Result<()> {
    for (name, allowed) in MAY_USE {
        let direct = tree(&["-p", name, "--depth", "1"])?;
        let ours = direct
            .iter()
            .filter(|used| used.starts_with("fluid-") && used != name);
        for used in ours {
            if !allowed.contains(&used.as_str()) {
                bail!("{name} depends on {used}: it may use only {allowed:?}; see ARCHITECTURE.md");
            }
        }
    }
    for package in ["fluid-scheduler", "fluid-exec-local", "fluid-broker-sqlite"] {
        let all = tree(&["-p", package])?;
        if let Some(found) = ONLY_WHERE_ASKED_FOR
            .iter()
            .find(|name| all.contains(**name))
        {
            bail!("{package} pulls in {found}, which only those who ask for it should compile");
        }
    }
    eprintln!("layers: {} crates depend downwards only", MAY_USE.len());
    Ok(())
}

fn tree(arguments: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let mut command = cargo();
    command.args([
        "tree",
        "--quiet",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let text = output(command.args(arguments))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}
