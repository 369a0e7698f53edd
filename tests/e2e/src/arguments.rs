//! What `cargo xtask e2e` is asked for.

use clap::{Parser, ValueEnum};

/// Proves fluid on a real Kubernetes cluster: makes one, runs every scenario there, prints what was seen.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask e2e", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Where to run [default: kind where kind and a container engine are found, else local]
    #[arg(long, value_enum)]
    pub(crate) cluster: Option<ClusterKind>,

    /// The Kubernetes release of a local cluster, as in 1.35 [default: the newest known]
    #[arg(long, value_name = "1.X")]
    pub(crate) kubernetes: Option<String>,

    /// Run only scenarios whose name contains this; may be repeated
    #[arg(long, value_name = "SCENARIO")]
    pub(crate) only: Vec<String>,

    /// Leave the cluster and what the scenarios made; a later run on the same kind of cluster goes on with it
    #[arg(long)]
    pub(crate) keep: bool,

    /// Make the cluster with the images, run nothing and leave it
    #[arg(long, conflicts_with_all = ["only", "down"])]
    pub(crate) up: bool,

    /// Remove what an earlier --keep or --up left
    #[arg(long, conflicts_with_all = ["only", "keep"])]
    pub(crate) down: bool,

    /// Print the names of the scenarios
    #[arg(long)]
    pub(crate) list: bool,

    /// Use the current context although it is not one of kind's
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Whose cluster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClusterKind {
    /// Made with kind, removed afterwards
    Kind,
    /// The context that the kubeconfig points to
    Current,
    /// Made of Go modules and Debian packages on this machine (Linux, root), removed afterwards
    Local,
}
