//! Templates of Jobs, read from their Deployments once for all Jobs that start at about the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fluid_core::K8sTarget;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::template::{Template, TemplateError};

type Read = Result<Arc<Template>, TemplateError>;

#[derive(Debug, Default)]
pub(crate) struct Templates(Mutex<HashMap<Key, Slot>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    deployment: String,
    container: String,
}

#[derive(Debug, Clone)]
struct Slot {
    since: Instant,
    read: Arc<OnceCell<Read>>,
}

impl Templates {
    /// The template as it was at most `target.sleep` ago. Cancellation safe.
    pub(crate) async fn get(&self, cluster: &Cluster, target: &K8sTarget) -> Result<Read, Fault> {
        let key = Key {
            namespace: target.namespace.clone(),
            deployment: target.deployment.clone(),
            container: target.container.clone(),
        };
        let new = || Slot {
            since: Instant::now(),
            read: Arc::default(),
        };
        let read = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(key).or_insert_with(new);
            if slot.since.elapsed() > target.sleep {
                *slot = new();
            }
            slot.read.clone()
        };
        let read = read
            .get_or_try_init(|| async {
                let deployment = cluster.deployment(target).await?;
                Ok::<_, Fault>(Template::of(&deployment, target).map(Arc::new))
            })
            .await?;
        Ok(read.clone())
    }
}
