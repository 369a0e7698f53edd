//! The cluster that the kubeconfig points to. It is another's: only namespaces of our own are touched.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::config::Kubeconfig;

use super::kind;

/// The prefix that kind gives its contexts.
const KIND: &str = "kind-";

/// A context of a kubeconfig.
#[derive(Debug)]
pub(crate) struct Current {
    kubeconfig: PathBuf,
    context: String,
}

impl Current {
    /// Refuses a context that is not kind's unless `yes`.
    pub(crate) fn find(yes: bool) -> anyhow::Result<Self> {
        let kubeconfig = std::env::var_os("KUBECONFIG")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config")))
            .context("set KUBECONFIG or HOME")?;
        let context = Kubeconfig::read_from(&kubeconfig)?
            .current_context
            .with_context(|| format!("{} has no current context", kubeconfig.display()))?;
        if !context.starts_with(KIND) && !yes {
            bail!("the current context is {context:?}, not one of kind's: --yes if that is meant");
        }
        Ok(Self {
            kubeconfig,
            context,
        })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn context(&self) -> &str {
        &self.context
    }

    /// Only kind's clusters can be given an image without a registry; others must have it already.
    pub(crate) async fn load(&self, archive: &Path) -> anyhow::Result<()> {
        if let Some(cluster) = self.context.strip_prefix(KIND) {
            return kind::load(cluster, archive).await;
        }
        let image = archive.display();
        eprintln!("the nodes must have the image of {image} already");
        Ok(())
    }
}
