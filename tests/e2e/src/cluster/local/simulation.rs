//! A node that is not there, for thousands of pods: kwok tells of them what a kubelet would.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::Local;
use super::node::NODE;
use super::services::{KWOK_PORT, Service};
use crate::manifests::MANAGER;

/// The label and the taint of the simulated node: only pods that ask for it go there.
pub(crate) const SIMULATED: &str = "fluid.invalid/simulated";
/// The annotation of a pod that says how long it runs.
pub(crate) const LENGTH: &str = "fluid.invalid/length";

const NAME: &str = "simulated-1";

impl Local {
    /// Adds the node, with room for this many pods. It stays for as long as the cluster.
    pub(crate) async fn simulate(&self, client: &Client, pods: u32) -> anyhow::Result<()> {
        self.services.start_once(Service::Kwok)?;
        let room = json!({"cpu": "10000", "memory": "100Ti", "pods": pods.to_string()});
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": NAME, "labels": {SIMULATED: "yes"}},
            "spec": {"taints": [{"key": SIMULATED, "value": "yes", "effect": "NoSchedule"}]},
        });
        let status = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME},
            "status": {
                "capacity": room, "allocatable": room,
                "addresses": [{"type": "InternalIP", "address": NODE.to_string()}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": KWOK_PORT}},
            },
        });
        let nodes: Api<Node> = Api::all(client.clone());
        let ours = PatchParams::apply(MANAGER).force();
        nodes.patch(NAME, &ours, &Patch::Apply(node)).await?;
        nodes
            .patch_status(NAME, &ours, &Patch::Apply(status))
            .await?;
        Ok(())
    }
}
