//! What a consumer may do in a place.

use anyhow::Context;
use serde_json::{Value, json};

use crate::manifests;

/// What the consumer may do.
#[derive(Clone, Debug, Default)]
pub(crate) enum Rbac {
    /// deploy/rbac.yaml to the letter.
    Seed,
    /// With the Role that gives all there is.
    #[default]
    Minimal,
    /// The same but for the output of pods, which simulated ones don't have.
    WithoutOutput,
    /// The same also for the consumer of another namespace.
    AlsoFor(String),
    /// Nothing at all.
    Nothing,
}

impl Rbac {
    /// The objects that give the consumer these rights.
    pub(crate) fn objects(&self) -> anyhow::Result<Vec<Value>> {
        let mut objects = manifests::read("rbac.yaml")?;
        match self {
            Self::Seed => {}
            Self::Minimal => replace_role(&mut objects)?,
            Self::WithoutOutput => {
                replace_role(&mut objects)?;
                let rules = objects
                    .iter_mut()
                    .find_map(|object| object["rules"].as_array_mut());
                let output = |rule: &Value| rule["resources"] == json!(["pods/log"]);
                rules.context("no rules")?.retain(|rule| !output(rule));
            }
            Self::AlsoFor(namespace) => {
                replace_role(&mut objects)?;
                let binding = objects
                    .iter_mut()
                    .find(|object| object["kind"] == "RoleBinding");
                let subjects = binding.and_then(|binding| binding["subjects"].as_array_mut());
                subjects.context("no subjects")?.push(json!({
                    "kind": "ServiceAccount", "name": "tasks-consumer-sa", "namespace": namespace,
                }));
            }
            Self::Nothing => objects.retain(|object| object["kind"] == "ServiceAccount"),
        }
        Ok(objects)
    }
}

/// Puts the minimal Role in the place of the seed's.
fn replace_role(objects: &mut [Value]) -> anyhow::Result<()> {
    let minimal = manifests::read("rbac-minimal.yaml")?;
    let role = minimal.into_iter().find(|object| object["kind"] == "Role");
    let place = objects.iter_mut().find(|object| object["kind"] == "Role");
    let (role, place) = role.zip(place).context("a Role is missing in deploy/")?;
    place["rules"] = role["rules"].clone();
    Ok(())
}
