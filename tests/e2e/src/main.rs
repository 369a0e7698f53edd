//! `cargo xtask e2e`: fluid on a real Kubernetes cluster.

mod arguments;
mod cluster;
mod image;
mod wait;

use clap::Parser;

use crate::arguments::Arguments;
use crate::cluster::local::{self, Local};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.down {
        return local::remove_kept().await;
    }
    let start = std::time::Instant::now();
    let cluster = Local::up(arguments.kubernetes.as_deref()).await?;
    eprintln!(
        "Kubernetes {} after {:?}: export KUBECONFIG={}",
        cluster.version(),
        start.elapsed(),
        cluster.kubeconfig().display()
    );
    Ok(())
}
