//! Clusters to run scenarios on.

mod current;
mod kind;
pub(crate) mod local;

use std::path::{Path, PathBuf};

use anyhow::bail;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use self::current::Current;
use self::kind::Kind;
use self::local::Local;
use crate::arguments::{Arguments, ClusterKind};

/// The cluster of this run.
#[derive(Debug)]
pub(crate) enum Cluster {
    Kind(Kind),
    Current(Current),
    Local(Box<Local>),
}

impl Cluster {
    /// Makes it, or finds it. What a cancelled call leaves, `remove` removes.
    pub(crate) async fn up(kind: ClusterKind, arguments: &Arguments) -> anyhow::Result<Self> {
        let release = arguments.kubernetes.as_deref();
        if release.is_some() && kind != ClusterKind::Local {
            bail!("--kubernetes chooses the release of --cluster local only");
        }
        Ok(match kind {
            ClusterKind::Kind => Self::Kind(Kind::up().await?),
            ClusterKind::Current => Self::Current(Current::find(arguments.yes)?),
            ClusterKind::Local => Self::Local(Box::new(Local::up(release).await?)),
        })
    }

    /// The file with which other programs reach it.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Kind(kind) => kind.kubeconfig().to_owned(),
            Self::Current(current) => current.kubeconfig().to_owned(),
            Self::Local(local) => local.kubeconfig(),
        }
    }

    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        match self {
            Self::Kind(kind) => client(kind.kubeconfig(), None).await,
            Self::Current(current) => client(current.kubeconfig(), Some(current.context())).await,
            Self::Local(local) => client(&local.kubeconfig(), None).await,
        }
    }

    /// Makes an image of a docker archive known to the nodes.
    pub(crate) async fn load(&self, archive: &Path) -> anyhow::Result<()> {
        match self {
            Self::Kind(kind) => kind.load(archive).await,
            Self::Current(current) => current.load(archive).await,
            Self::Local(local) => local.load(archive).await,
        }
    }

    /// How a person reaches it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Kind(kind) => format!("export KUBECONFIG={}", kind.kubeconfig().display()),
            Self::Current(current) => format!("the context {}", current.context()),
            Self::Local(local) => format!(
                "Kubernetes {}: export KUBECONFIG={}",
                local.version(),
                local.kubeconfig().display()
            ),
        }
    }
}

/// Ends the cluster of a kind that this program makes, however far it got; another's stays.
pub(crate) async fn remove(kind: ClusterKind) -> anyhow::Result<()> {
    match kind {
        ClusterKind::Kind => Kind::remove().await,
        ClusterKind::Current => Ok(()),
        ClusterKind::Local => local::remove().await,
    }
}

/// The kind of cluster to make where none was named.
pub(crate) fn default_kind() -> ClusterKind {
    if Kind::possible() {
        ClusterKind::Kind
    } else {
        ClusterKind::Local
    }
}

async fn client(kubeconfig: &Path, context: Option<&str>) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options).await?;
    Ok(Client::try_from(config)?)
}
