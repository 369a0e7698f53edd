//! The files of deploy/, and applying such objects.

use std::path::PathBuf;

use anyhow::{Context, bail};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;

/// Who the API server notes as the owner of the fields.
pub(crate) const MANAGER: &str = "fluid-e2e";

/// The objects of one file of deploy/.
pub(crate) fn read(name: &str) -> anyhow::Result<Vec<Value>> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    parse(&text).with_context(|| format!("{}", path.display()))
}

/// The objects of a YAML text.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(text)?)
}

/// Where this package is: cargo and `cargo xtask e2e` say it, and checkouts may share what was compiled.
pub(crate) fn crate_folder() -> PathBuf {
    let said = std::env::var_os("CARGO_MANIFEST_DIR");
    said.map_or_else(|| PathBuf::from("tests/e2e"), PathBuf::from)
}

fn folder() -> PathBuf {
    crate_folder().join("../../deploy")
}

/// Creates or changes an object; its own namespace wins over `namespace`.
pub(crate) async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (Some(version), Some(kind), Some(name)) =
        (word("/apiVersion"), word("/kind"), word("/metadata/name"))
    else {
        bail!("not a Kubernetes object: {object}");
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match word("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("could not apply {kind} {name}"))?;
    Ok(())
}
