//! Namespaces for the tests, each with the Deployment that Jobs are made like.

use fluid_core::K8sConfig;
use fluid_exec_k8s::K8sExecutor;
use fluid_exec_k8s::kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use fluid_exec_k8s::kube::core::{ApiResource, DynamicObject, GroupVersionKind, Request};
use fluid_exec_k8s::kube::{Api, Client, Config, Error, ResourceExt};
use fluid_exec_k8s::rbac::RIGHTS;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The image of `examples/suite.rs`.
fn image() -> String {
    std::env::var("FLUID_SUITE_IMAGE")
        .expect("FLUID_SUITE_IMAGE names an image of examples/suite.rs")
}

/// What the names of all namespaces of the tests begin with.
fn prefix() -> String {
    std::env::var("FLUID_SUITE_NAMESPACE").unwrap_or_else(|_| "fluid-suite".to_owned())
}

/// The one namespace of the conformance suite.
pub(crate) async fn shared() -> Place {
    static READY: OnceCell<()> = OnceCell::const_new();
    let place = Place {
        client: Client::try_default().await.unwrap(),
        namespace: prefix(),
        keep: true,
    };
    READY.get_or_init(|| place.prepare()).await;
    place
}

/// A namespace. It is deleted when this is dropped.
pub(crate) struct Place {
    client: Client,
    namespace: String,
    keep: bool,
}

impl Place {
    /// A fresh namespace.
    pub(crate) async fn new(name: &str) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let place = Self {
            client: Client::try_default().await.unwrap(),
            namespace: format!("{}-{name}-{}", prefix(), &id[..8]),
            keep: false,
        };
        place.prepare().await;
        place
    }

    async fn prepare(&self) {
        let namespace = json!({"metadata": {"name": self.namespace}});
        let namespaces = resource("", "Namespace", "namespaces");
        make(&Api::all_with(self.client.clone(), &namespaces), &namespace).await;
        make(
            &self.api("apps", "Deployment", "deployments"),
            &deployment(),
        )
        .await;
    }

    fn api(&self, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &resource(group, kind, plural),
        )
    }

    fn job_api(&self) -> Api<DynamicObject> {
        self.api("batch", "Job", "jobs")
    }

    fn pod_api(&self) -> Api<DynamicObject> {
        self.api("", "Pod", "pods")
    }

    /// Jobs go here.
    pub(crate) fn config(&self) -> K8sConfig {
        K8sConfig::default().namespace(&self.namespace)
    }

    /// An executor that may do anything.
    pub(crate) fn executor(&self) -> K8sExecutor {
        K8sExecutor::builder(self.client.clone()).build()
    }

    /// An executor with these rights alone.
    pub(crate) async fn executor_with(&self, rules: &Value) -> K8sExecutor {
        let name = json!({"name": "consumer"});
        let account = json!({"metadata": name});
        make(&self.api("", "ServiceAccount", "serviceaccounts"), &account).await;
        let group = "rbac.authorization.k8s.io";
        let role = json!({"metadata": name, "rules": rules});
        make(&self.api(group, "Role", "roles"), &role).await;
        let subject =
            json!({"kind": "ServiceAccount", "name": "consumer", "namespace": self.namespace});
        let binding = json!({
            "metadata": name, "subjects": [subject],
            "roleRef": {"kind": "Role", "name": "consumer", "apiGroup": group},
        });
        make(&self.api(group, "RoleBinding", "rolebindings"), &binding).await;
        let mut config = Config::infer().await.unwrap();
        let user = format!("system:serviceaccount:{}:consumer", self.namespace);
        config.auth_info.impersonate = Some(user);
        config.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
        K8sExecutor::builder(Client::try_from(config).unwrap()).build()
    }

    pub(crate) async fn jobs(&self) -> Vec<String> {
        names(&self.job_api()).await
    }

    pub(crate) async fn pods(&self) -> Vec<String> {
        names(&self.pod_api()).await
    }

    /// All objects of a kind as they stand in the API server.
    pub(crate) async fn dump(&self, plural: &str) -> String {
        let path = match plural {
            "jobs" => format!("/apis/batch/v1/namespaces/{}/jobs", self.namespace),
            core => format!("/api/v1/namespaces/{}/{core}", self.namespace),
        };
        let list = Request::new(path).list(&ListParams::default()).unwrap();
        self.client.request_text(list).await.unwrap()
    }

    pub(crate) async fn log(&self, pod: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let request =
            Request::new(path).logs(pod, &fluid_exec_k8s::kube::api::LogParams::default());
        self.client.request_text(request.unwrap()).await.unwrap()
    }

    pub(crate) async fn delete_job(&self, name: &str) {
        let how = DeleteParams::background();
        self.job_api().delete(name, &how).await.unwrap();
        while self.job_api().get_opt(name).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn delete_pod(&self, name: &str) {
        let how = DeleteParams::default();
        self.pod_api().delete(name, &how).await.unwrap();
    }

    /// A Job that is none of fluid's.
    pub(crate) async fn make_job(&self, name: &str) {
        let job = json!({"metadata": {"name": name}, "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": image()}],
        }}}});
        make(&self.job_api(), &job).await;
    }

    pub(crate) async fn resume_job(&self, name: &str) {
        let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
        let how = PatchParams::default();
        self.job_api().patch(name, &how, &resume).await.unwrap();
    }

    pub(crate) async fn evict(&self, pod: &str) {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        });
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let body = serde_json::to_vec(&eviction).unwrap();
        let how = PostParams::default();
        let request = Request::new(path).create_subresource("eviction", pod, &how, body);
        self.client
            .request::<Value>(request.unwrap())
            .await
            .unwrap();
    }

    pub(crate) async fn quota(&self, name: &str, hard: Value) {
        let quota = json!({"metadata": {"name": name}, "spec": {"hard": hard}});
        let quotas = self.api("", "ResourceQuota", "resourcequotas");
        make(&quotas, &quota).await;
        // It holds once its use was counted.
        while quotas
            .get(name)
            .await
            .unwrap()
            .data
            .pointer("/status/hard")
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn lift_quota(&self, name: &str) {
        let quotas = self.api("", "ResourceQuota", "resourcequotas");
        quotas.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let namespace = self.namespace.clone();
        let delete = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = Client::try_default().await.unwrap();
                let namespaces = resource("", "Namespace", "namespaces");
                let namespaces = Api::<DynamicObject>::all_with(client, &namespaces);
                let _ = namespaces
                    .delete(&namespace, &DeleteParams::default())
                    .await;
            });
        };
        let _ = std::thread::spawn(delete).join();
    }
}

/// What the page that fluid's users know asks for.
pub(crate) fn seed_rules() -> Value {
    json!([
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
        {
            "apiGroups": ["batch"], "resources": ["jobs", "cronjobs", "jobs/status"],
            "verbs": ["create", "get", "list", "watch", "delete", "patch", "update"],
        },
    ])
}

/// What `k8s rbac` prints.
pub(crate) fn minimal_rules() -> Value {
    let rule = |right: &fluid_exec_k8s::rbac::Right| json!({"apiGroups": [right.group], "resources": [right.resource], "verbs": right.verbs});
    RIGHTS.iter().map(rule).collect()
}

async fn names(api: &Api<DynamicObject>) -> Vec<String> {
    let list = api.list(&ListParams::default()).await.unwrap();
    list.items.iter().map(ResourceExt::name_any).collect()
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
                    "name": "main", "image": image(), "imagePullPolicy": "IfNotPresent",
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

async fn make(api: &Api<DynamicObject>, object: &Value) {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
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
