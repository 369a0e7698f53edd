//! The Kubernetes executor of this process.

use std::time::Duration;

use fluid_core::ExecutorKind;
use fluid_exec_k8s::{K8sExecutor, K8sExecutorBuilder};

use crate::detector::BrokerUrl;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{CONFIG_VARIABLE, Session};

/// The executor for the cluster that this process is in, or the one of the kubeconfig. Jobs find `fluid.toml` where
/// the consumer finds it, as their pods are made like its own.
pub(crate) async fn executor(
    session: &Session,
    grace: Option<Duration>,
) -> Result<K8sExecutor, Failure> {
    let mut builder = connect().await?.owner(owner(session)?);
    if let Some(grace) = grace {
        builder = builder.grace(grace);
    }
    if let Some(file) = session.file.as_ref().filter(|_| in_cluster()) {
        builder = builder.env(CONFIG_VARIABLE, file.to_string_lossy());
    }
    Ok(builder.build())
}

pub(crate) async fn connect() -> Result<K8sExecutorBuilder, Failure> {
    K8sExecutor::connect().await.map_err(|error| {
        Failure::new(Exit::Other, "the Kubernetes cluster can't be used")
            .caused_by(&error)
            .help("run inside a cluster, or set KUBECONFIG, or use --executor subprocess")
    })
}

pub(crate) fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Whose Jobs these are: one identity for each broker. A broker of this machine is this pod's alone.
fn owner(session: &Session) -> Result<String, Failure> {
    let url = session.broker_choice()?.url;
    Ok(match url {
        BrokerUrl::Sqlite(_) | BrokerUrl::Memory => {
            let host = std::env::var("HOSTNAME").unwrap_or_default();
            format!("{host} {url}")
        }
        BrokerUrl::Redis(server) | BrokerUrl::Postgres(server) => server.identity(),
    })
}

/// The tasks that become Jobs here, or would in a cluster.
pub(crate) fn tasks(session: &Session) -> impl Iterator<Item = &fluid_core::Task> {
    let becomes_job =
        |task: &&fluid_core::Task| task.executor_with(ExecutorKind::K8s) == ExecutorKind::K8s;
    session.tasks.iter().filter(becomes_job)
}
