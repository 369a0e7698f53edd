//! A namespace for the tests with the Deployment that Jobs are made like.

use fluid_core::K8sConfig;
use fluid_exec_k8s::K8sExecutor;
use fluid_exec_k8s::kube::api::PostParams;
use fluid_exec_k8s::kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use fluid_exec_k8s::kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The image of `examples/suite.rs`.
fn image() -> String {
    std::env::var("FLUID_SUITE_IMAGE")
        .expect("FLUID_SUITE_IMAGE names an image of examples/suite.rs")
}

/// One namespace for all tests: their Jobs have names of their own.
pub(crate) fn namespace() -> String {
    std::env::var("FLUID_SUITE_NAMESPACE").unwrap_or_else(|_| "fluid-suite".to_owned())
}

/// Where the tests' Jobs go.
pub(crate) fn config() -> K8sConfig {
    K8sConfig::default().namespace(namespace())
}

/// An executor, and the place that it makes Jobs in.
pub(crate) async fn executor() -> K8sExecutor {
    static READY: OnceCell<()> = OnceCell::const_new();
    let client = Client::try_default().await.unwrap();
    READY.get_or_init(|| prepare(client.clone())).await;
    K8sExecutor::builder(client).build()
}

async fn prepare(client: Client) {
    let name = namespace();
    let namespaces = Api::all_with(client.clone(), &resource("", "Namespace", "namespaces"));
    create(&namespaces, json!({"metadata": {"name": name}})).await;
    let deployments = resource("apps", "Deployment", "deployments");
    let deployments = Api::namespaced_with(client, &name, &deployments);
    create(&deployments, deployment()).await;
}

fn deployment() -> Value {
    json!({
        "metadata": {"name": "fluid-task"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "fluid-task"}},
            "template": {
                "metadata": {"labels": {"app": "fluid-task"}},
                "spec": {"automountServiceAccountToken": false, "containers": [{
                    "name": "main", "image": image(), "imagePullPolicy": "Never",
                    "command": ["/suite", "serve"],
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": 65532, "readOnlyRootFilesystem": true,
                        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    },
                }]},
            },
        },
    })
}

async fn create(api: &Api<DynamicObject>, object: Value) {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => {}
        Err(Error::Api(status)) if status.code == 409 => {}
        Err(error) => panic!("{error}"),
    }
}

fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk(group, "v1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}
