//! Requests to the API server.

use std::fmt;
use std::time::Duration;

use fluid_core::K8sTarget;
use futures_util::io::AsyncBufRead;
use kube::Client;
use kube::api::{DeleteParams, GetParams, ListParams, LogParams, PostParams, Preconditions};
use kube::core::{ObjectList, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fault::Fault;
use crate::view::{Job, Pod};

/// How many short requests are under way at once, each on a connection of its own.
const AT_ONCE: usize = 32;
/// How long a short request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to an API server.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    turns: Semaphore,
    /// Apart from the others, because a node that doesn't answer holds them up.
    log_turns: Semaphore,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

type Http = http::Request<Vec<u8>>;

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            turns: Semaphore::new(AT_ONCE),
            log_turns: Semaphore::new(AT_ONCE),
        }
    }

    pub(crate) async fn deployment(&self, target: &K8sTarget) -> Result<Value, Fault> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", target.namespace);
        let get = Request::new(path).get(&target.deployment, &GetParams::default());
        self.ask(get).await
    }

    /// Creates the Job that `make` makes when it is its turn: thousands that wait take no room.
    pub(crate) async fn create_job(
        &self,
        namespace: &str,
        make: impl FnOnce() -> Result<Value, Fault>,
    ) -> Result<Job, Fault> {
        let turn = turn(&self.turns).await?;
        let body = bytes(&make()?);
        let create = Request::new(jobs(namespace)).create(&PostParams::default(), body);
        self.ask_in_turn(create, turn).await
    }

    /// Has the API server look at a Job without making it.
    pub(crate) async fn try_job(&self, namespace: &str, job: &Value) -> Result<(), Fault> {
        let how = PostParams {
            dry_run: true,
            field_manager: None,
        };
        let create = Request::new(jobs(namespace)).create(&how, bytes(job));
        self.ask::<Value>(create).await.map(|_| ())
    }

    pub(crate) async fn job(&self, namespace: &str, name: &str) -> Result<Job, Fault> {
        self.ask(Request::new(jobs(namespace)).get(name, &GetParams::default()))
            .await
    }

    /// Deletes the Job with this uid after its pods. That there is none is no fault.
    pub(crate) async fn delete_job(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), Fault> {
        let how = DeleteParams::foreground().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        let delete = Request::new(jobs(namespace)).delete(name, &how);
        match self.ask::<Value>(delete).await {
            Ok(_) | Err(Fault::NotFound(_) | Fault::Conflict(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) async fn create_secret(&self, namespace: &str, secret: &Value) -> Result<(), Fault> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let create = Request::new(path).create(&PostParams::default(), bytes(secret));
        self.ask::<Value>(create).await.map(|_| ())
    }

    pub(crate) async fn pods_of(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, Fault> {
        let list = Request::new(pods(namespace)).list(&ListParams::default().labels(selector));
        let list: ObjectList<Pod> = self.ask(list).await?;
        Ok(list.items)
    }

    /// Whether these credentials may do something to a resource of a group, `pods/log` for the log of pods.
    pub(crate) async fn may(
        &self,
        namespace: &str,
        verb: &str,
        (group, resource): (&str, &str),
        name: Option<&str>,
    ) -> Result<bool, Fault> {
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part,
                "name": name,
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let create = Request::new(path).create(&PostParams::default(), bytes(&review));
        let answer: Value = self.ask(create).await?;
        let allowed = answer.pointer("/status/allowed");
        Ok(allowed.and_then(Value::as_bool).unwrap_or(false))
    }

    /// Opens a container's log. The stream may stay open for as long as the container runs.
    pub(crate) async fn log(
        &self,
        namespace: &str,
        pod: &str,
        params: &LogParams,
    ) -> Result<impl AsyncBufRead + use<>, Fault> {
        let request = Request::new(pods(namespace)).logs(pod, params);
        let request = request.map_err(kube::Error::BuildRequest)?;
        let _turn = turn(&self.log_turns).await?;
        let opened = tokio::time::timeout(PATIENCE, self.client.request_stream(request)).await;
        Ok(opened.map_err(|_| too_long())??)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<Http, kube::core::request::Error>,
    ) -> Result<T, Fault> {
        self.ask_in_turn(request, turn(&self.turns).await?).await
    }

    async fn ask_in_turn<T: DeserializeOwned>(
        &self,
        request: Result<Http, kube::core::request::Error>,
        _turn: SemaphorePermit<'_>,
    ) -> Result<T, Fault> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        Ok(answer.map_err(|_| too_long())??)
    }
}

async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Fault> {
    let turn = turns.acquire().await;
    turn.map_err(|_| Fault::away("this executor is gone"))
}

fn too_long() -> Fault {
    Fault::away(format!("no answer within {} s", PATIENCE.as_secs()))
}

fn jobs(namespace: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs")
}

fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

fn bytes(object: &Value) -> Vec<u8> {
    object.to_string().into_bytes()
}
