//! A cluster that kind makes of containers.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::programs::{exists, run};

const NAME: &str = "fluid-e2e";

/// The cluster and where its kubeconfig is.
#[derive(Debug)]
pub(crate) struct Kind {
    kubeconfig: PathBuf,
}

impl Kind {
    /// Whether kind and an engine for it are installed.
    pub(crate) fn possible() -> bool {
        exists("kind")
            && ["docker", "podman", "nerdctl"]
                .iter()
                .any(|engine| exists(engine))
    }

    /// Goes on with the cluster that an earlier run kept, or makes one.
    pub(crate) async fn up() -> anyhow::Result<Self> {
        let kubeconfig = std::env::temp_dir().join("fluid-e2e-kind.kubeconfig");
        let mut export = kind(&["export", "kubeconfig"], &kubeconfig);
        if !export.output().await?.status.success() {
            let mut create = kind(&["create", "cluster", "--wait", "120s"], &kubeconfig);
            run(&mut create).await?;
        }
        Ok(Self { kubeconfig })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) async fn load(&self, archive: &Path) -> anyhow::Result<()> {
        load(NAME, archive).await
    }

    /// Deletes the cluster, if there is one.
    pub(crate) async fn remove() -> anyhow::Result<()> {
        run(Command::new("kind").args(["delete", "cluster", "--name", NAME])).await
    }
}

/// Gives an image to the nodes of one of kind's clusters.
pub(super) async fn load(cluster: &str, archive: &Path) -> anyhow::Result<()> {
    let mut load = Command::new("kind");
    load.args(["load", "image-archive", "--name", cluster]);
    run(load.arg(archive)).await
}

fn kind(arguments: &[&str], kubeconfig: &Path) -> Command {
    let mut command = Command::new("kind");
    command.args(arguments).args(["--name", NAME]);
    command.env("KUBECONFIG", kubeconfig);
    command
}
