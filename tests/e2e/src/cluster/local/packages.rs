//! The programs of this machine that a local cluster is made with.

use anyhow::bail;
use tokio::process::Command;

use crate::programs::{exists, run};

/// Where Debian has what is not on the path, and the package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    (CNI_BRIDGE, "containernetworking-plugins"),
    (BUSYBOX, "busybox-static"),
];

/// The folder of the CNI plugins.
pub(super) const CNI: &str = "/usr/lib/cni";
const CNI_BRIDGE: &str = "/usr/lib/cni/bridge";

/// A static shell and tools.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Installs what is missing where this is Debian; elsewhere names it.
pub(super) async fn ensure() -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        bail!("a local cluster needs Linux and root: use --cluster kind or --cluster current");
    }
    if !exists("go") {
        bail!("a local cluster is built from Go modules: put a current go on the path");
    }
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(program, _)| !exists(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    if !exists("apt-get") {
        let names: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        bail!(
            "a local cluster needs {}: install what brings them",
            names.join(", ")
        );
    }
    eprintln!("» apt-get install {}", packages.join(" "));
    apt_get(&["update", "-qq"]).await?;
    let install = ["install", "--yes", "-qq", "--no-install-recommends"];
    apt_get(&[&install, packages.as_slice()].concat()).await
}

async fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    run(command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive"))
    .await
}
