//! The executor itself: what its attempts share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{Broker, Execution, Executor, ExecutorKind, RawContext, RunError, Task};
use kube::Client;

use crate::cluster::Cluster;
use crate::execution::{Attempt, K8sExecution, start_error};
use crate::identity;
use crate::measure;
use crate::namespace::Namespace;
use crate::output::Logs;
use crate::templates::Templates;

/// How long a container gets to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Runs each attempt as a Kubernetes Job. See the [crate's page](crate).
#[derive(Clone)]
pub struct K8sExecutor {
    pub(crate) shared: Arc<Shared>,
}

/// What all attempts share.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pub(crate) templates: Templates,
    pub(crate) logs: Logs,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) grace: Duration,
    pub(crate) owner: Option<String>,
    namespaces: Mutex<HashMap<String, Arc<Namespace>>>,
}

impl Shared {
    /// The watches of a namespace, begun at the first call.
    pub(crate) fn namespace(&self, name: &str) -> Arc<Namespace> {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Namespace::watch(&self.cluster.client, name)))
            .clone()
    }
}

impl K8sExecutor {
    /// An executor for the cluster that this process is in, or else that of the current context of `KUBECONFIG`
    /// or `~/.kube/config`.
    ///
    /// # Errors
    /// When there is neither, or what it says can't be used.
    pub async fn connect() -> Result<K8sExecutorBuilder, kube::Error> {
        Ok(Self::builder(Client::try_default().await?))
    }

    /// An executor for the cluster of a client. The client should have no read timeout, which would cut watches
    /// and logs short.
    pub fn builder(client: Client) -> K8sExecutorBuilder {
        K8sExecutorBuilder {
            client,
            env: Vec::new(),
            grace: GRACE,
            owner: None,
        }
    }
}

impl fmt::Debug for K8sExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.shared.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("K8sExecutor")
            .field("env", &names)
            .field("grace", &self.shared.grace)
            .field("owner", &self.shared.owner)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`K8sExecutor`].
#[derive(Clone)]
#[must_use]
pub struct K8sExecutorBuilder {
    client: Client,
    env: Vec<(String, String)>,
    grace: Duration,
    owner: Option<String>,
}

impl fmt::Debug for K8sExecutorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("K8sExecutorBuilder").finish_non_exhaustive()
    }
}

impl K8sExecutorBuilder {
    /// One more variable for every Job, before the Deployment's own of the same name. Everybody who may read Jobs
    /// can read it.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// How long a Job's container gets between the wish to stop and its end, in whole seconds; 5 s by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Whose Jobs these are: consumers of one broker say the same, those of another broker something else. Only
    /// Jobs of this owner are swept. Without it none are.
    pub fn owner(mut self, owner: impl AsRef<str>) -> Self {
        self.owner = Some(identity::owner_label(owner.as_ref()));
        self
    }

    /// The executor. It asks nothing of the cluster before the first attempt.
    #[must_use]
    pub fn build(self) -> K8sExecutor {
        measure::describe();
        K8sExecutor {
            shared: Arc::new(Shared {
                cluster: Cluster::new(measure::measured(self.client)),
                templates: Templates::default(),
                logs: Logs::default(),
                env: self.env,
                grace: self.grace,
                owner: self.owner,
                namespaces: Mutex::default(),
            }),
        }
    }
}

#[async_trait]
impl Executor for K8sExecutor {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::K8s
    }

    fn survives_consumer(&self) -> bool {
        true
    }

    /// The Job is made, or found, when the execution's outcome is waited for.
    async fn start(
        &self,
        task: Arc<Task>,
        context: RawContext,
    ) -> Result<Box<dyn Execution>, RunError> {
        let run = context.run().clone();
        let config = task.k8s_config.clone().unwrap_or_default();
        let target = config
            .resolve(|name| std::env::var(name).ok())
            .map_err(|error| start_error(error.to_string()))?;
        Ok(Box::new(K8sExecution::new(Attempt {
            namespace: self.shared.namespace(&target.namespace),
            shared: self.shared.clone(),
            name: identity::job_name(&run),
            labels: identity::labels(&run, self.shared.owner.as_deref()),
            io: context.io().clone(),
            task,
            run,
            config,
            target,
        })))
    }

    async fn sweep(&self, tasks: &[Arc<Task>], broker: &dyn Broker) {
        self.shared.sweep(tasks, broker).await;
    }
}
