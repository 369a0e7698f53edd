//! How a place differs from deploy/.

use anyhow::Context;
use serde_json::{Value, json};

use crate::manifests;
use crate::place::OURS;
use crate::rights::Rbac;
use crate::world::TEST_IMAGE;

/// A change of the Deployment.
type Edit = Box<dyn FnOnce(&mut Value)>;

/// How a place differs from deploy/.
#[derive(Default)]
pub(crate) struct Setup {
    program: Option<&'static str>,
    tasks: Option<String>,
    rbac: Rbac,
    privileged: bool,
    edits: Vec<Edit>,
    extra: Vec<Value>,
}

impl Setup {
    /// The stock binary with these tasks, in TOML.
    pub(crate) fn stock(tasks: &str) -> Self {
        Self {
            tasks: Some(tasks.to_owned()),
            ..Self::default()
        }
    }

    /// The tests' own Rust program.
    pub(crate) fn application() -> Self {
        Self {
            program: Some("application"),
            tasks: Some(String::new()),
            ..Self::default()
        }
    }

    /// deploy/ as it is.
    pub(crate) fn as_deployed() -> Self {
        Self::default()
    }

    pub(crate) fn rbac(mut self, rbac: Rbac) -> Self {
        self.rbac = rbac;
        self
    }

    /// Lets pods do what the `restricted` level forbids.
    pub(crate) fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Changes the Deployment.
    pub(crate) fn deployment(mut self, edit: impl FnOnce(&mut Value) + 'static) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// One more object; it is put into the place's namespace.
    pub(crate) fn object(mut self, object: Value) -> Self {
        self.extra.push(object);
        self
    }

    /// The program that the consumer is.
    pub(crate) fn program(&self) -> &'static str {
        self.program.unwrap_or("fluid-cli")
    }

    /// Everything that is in the place.
    pub(crate) async fn objects(self, namespace: &str) -> anyhow::Result<Vec<Value>> {
        let program = self.program();
        let mut objects = manifests::read("namespace.yaml")?;
        for object in &mut objects {
            object["metadata"]["name"] = json!(namespace);
            let labels = &mut object["metadata"]["labels"];
            labels[OURS] = json!("yes");
            if self.privileged {
                labels["pod-security.kubernetes.io/enforce"] = json!("privileged");
            }
        }
        let mut own = manifests::read("tasks.yaml")?;
        let file = &mut own[0]["data"]["fluid.toml"];
        if let Some(text) = self.tasks {
            *file = json!(text);
        }
        let tasks = file
            .as_str()
            .context("deploy/tasks.yaml has no fluid.toml")?;
        objects.extend(self.rbac.objects(program, tasks, namespace).await?);
        own.extend(self.extra);
        let mut deployment = manifests::read("deployment.yaml")?.remove(0);
        if let Some(program) = self.program {
            let container = container(&mut deployment);
            container["image"] = json!(TEST_IMAGE);
            container["command"] = json!([program]);
        }
        for edit in self.edits {
            edit(&mut deployment);
        }
        own.push(deployment);
        for object in &mut own {
            object["metadata"]["namespace"] = json!(namespace);
        }
        objects.extend(own);
        Ok(objects)
    }
}

/// The consumer's container in its Deployment.
pub(crate) fn container(deployment: &mut Value) -> &mut Value {
    &mut deployment["spec"]["template"]["spec"]["containers"][0]
}
