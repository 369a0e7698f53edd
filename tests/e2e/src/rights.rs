//! What a consumer may do in a place.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::manifests;

/// What the consumer may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rbac {
    /// deploy/rbac.yaml to the letter.
    Seed,
    /// What the program itself prints as the least that it needs for everything.
    #[default]
    Minimal,
    /// The same but for the output of pods, which simulated ones don't have.
    WithoutOutput,
    /// Nothing at all.
    Nothing,
}

impl Rbac {
    /// The objects that give these rights to the consumer of a namespace, for tasks in TOML.
    pub(crate) async fn objects(
        self,
        program: &str,
        tasks: &str,
        namespace: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let mut objects = manifests::read("rbac.yaml")?;
        for object in &mut objects {
            object["metadata"]["namespace"] = json!(namespace);
        }
        if self == Self::Seed {
            return Ok(objects);
        }
        objects.retain(|object| object["kind"] == "ServiceAccount");
        if self == Self::Nothing {
            return Ok(objects);
        }
        let mut printed = printed(program, tasks, namespace).await?;
        if self == Self::WithoutOutput {
            for object in &mut printed {
                if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
                    rules.retain(|rule| rule["resources"] != json!(["pods/log"]));
                }
            }
        }
        objects.extend(printed);
        Ok(objects)
    }
}

/// What `k8s rbac` prints.
pub(crate) async fn printed(
    program: &str,
    tasks: &str,
    namespace: &str,
) -> anyhow::Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fluid.toml");
    std::fs::write(&file, tasks)?;
    let output = Command::new(std::env::current_exe()?.with_file_name(program))
        .args(["k8s", "rbac", "--service-account"])
        .arg(format!("{namespace}/tasks-consumer-sa"))
        .env("FLUID_CONFIG", &file)
        .env("FLUID_TASK_CONSUMER_K8S_NAMESPACE", namespace)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("could not start {program}"))?;
    if !output.status.success() {
        bail!("{program} k8s rbac: {output:?}");
    }
    manifests::parse(std::str::from_utf8(&output.stdout)?)
}
