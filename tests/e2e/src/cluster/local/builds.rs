//! Kubernetes, etcd, containerd and kwok, built once from their public Go modules and kept outside the checkout by version.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::manifests::crate_folder;

const KUBERNETES: &str = "k8s.io/kubernetes";
const ETCD: &str = "go.etcd.io/etcd/server/v3";
const CONTAINERD: &str = "github.com/containerd/containerd/v2";
const KWOK: &str = "sigs.k8s.io/kwok";

/// The Kubernetes programs of a cluster.
const PROGRAMS: &[&str] = &[
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
];

/// The programs of containerd.
const RUNTIME: &[&str] = &["containerd", "containerd-shim-runc-v2", "ctr"];

/// The releases that have a folder in tests/e2e/go, newest first.
pub(crate) fn releases() -> anyhow::Result<Vec<String>> {
    let folder = modules();
    let mut minors = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(minor) = name.strip_prefix("kubernetes-1.") {
            minors.push(minor.parse::<u32>().with_context(|| name.clone())?);
        }
    }
    minors.sort_unstable_by(|a, b| b.cmp(a));
    Ok(minors.iter().map(|minor| format!("1.{minor}")).collect())
}

/// Where the programs of one cluster are.
#[derive(Clone, Debug)]
pub(super) struct Builds {
    /// As in `1.37.2`.
    pub(super) version: String,
    kubernetes: PathBuf,
    etcd: PathBuf,
    containerd: PathBuf,
    kwok: PathBuf,
}

impl Builds {
    /// Builds what is not there yet. Dropping the future ends the compiler; the next call goes on.
    pub(super) async fn ensure(release: Option<&str>) -> anyhow::Result<Self> {
        let known = releases()?;
        let release = match release {
            Some(release) if known.iter().any(|name| name == release) => release,
            Some(release) => bail!(
                "no Kubernetes {release:?} here: choose of {}",
                known.join(", ")
            ),
            None => known.first().context("tests/e2e/go has no Kubernetes")?,
        };
        let module = modules().join(format!("kubernetes-{release}"));
        let version = required(&module, KUBERNETES)?;
        let kubernetes = cache()?.join(format!("kubernetes-{version}/bin"));
        for program in PROGRAMS {
            let package = format!("{KUBERNETES}/cmd/{program}");
            build(
                &module,
                &package,
                &version_flags(&version),
                &kubernetes.join(program),
            )
            .await?;
        }
        let module = modules().join("etcd");
        let etcd = cache()?.join(format!("etcd-{}/bin/etcd", required(&module, ETCD)?));
        build(&module, ETCD, "", &etcd).await?;
        let module = modules().join("containerd");
        let containerd =
            cache()?.join(format!("containerd-{}/bin", required(&module, CONTAINERD)?));
        for program in RUNTIME {
            let package = format!("{CONTAINERD}/cmd/{program}");
            build(&module, &package, "", &containerd.join(program)).await?;
        }
        let module = modules().join("kwok");
        let kwok = cache()?.join(format!("kwok-{}/bin/kwok", required(&module, KWOK)?));
        build(&module, &format!("{KWOK}/cmd/kwok"), "", &kwok).await?;
        Ok(Self {
            version,
            kubernetes,
            etcd,
            containerd,
            kwok,
        })
    }

    pub(super) fn kubernetes(&self, program: &str) -> PathBuf {
        self.kubernetes.join(program)
    }

    pub(super) fn etcd(&self) -> &Path {
        &self.etcd
    }

    pub(super) fn containerd(&self, program: &str) -> PathBuf {
        self.containerd.join(program)
    }

    pub(super) fn kwok(&self) -> &Path {
        &self.kwok
    }
}

/// Without these the server calls itself v0.0.0, and clients take it for an ancient one.
fn version_flags(version: &str) -> String {
    let minor = version.split('.').nth(1).unwrap_or_default();
    let package = "k8s.io/component-base/version";
    [
        format!("gitVersion=v{version}"),
        "gitMajor=1".to_owned(),
        format!("gitMinor={minor}"),
        "gitTreeState=clean".to_owned(),
    ]
    .map(|value| format!("-X {package}.{value}"))
    .join(" ")
}

async fn build(module: &Path, package: &str, flags: &str, program: &Path) -> anyhow::Result<()> {
    if program.is_file() {
        return Ok(());
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let folder = program.parent().context("a program without a folder")?;
    std::fs::create_dir_all(folder)?;
    eprintln!("» go build {package} (once: kept in {})", folder.display());
    let start = Instant::now();
    let half = folder.join(format!("{name}.building"));
    let status = Command::new("go")
        // Without what containerd would need C libraries for.
        .args(["build", "-trimpath", "-tags=no_btrfs,no_zfs", "-ldflags"])
        .arg(format!("-s -w {flags}"))
        .arg("-o")
        .arg(&half)
        .arg(package)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("could not start go")?;
    if !status.success() {
        bail!("go build {package} ended with {status}");
    }
    std::fs::rename(&half, program)?;
    eprintln!("  {name} took {} s", start.elapsed().as_secs());
    Ok(())
}

/// The version that a go.mod requires, without its `v`.
fn required(module: &Path, name: &str) -> anyhow::Result<String> {
    let path = module.join("go.mod");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('v'))
        .map(|version| {
            version
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .with_context(|| format!("{} requires no {name}", path.display()))
}

fn modules() -> PathBuf {
    crate_folder().join("go")
}

/// Where slow builds are kept between checkouts.
fn cache() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("FLUID_CACHE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/fluid-dev"));
    set.or_else(home)
        .context("set HOME, or FLUID_CACHE to a folder for what is slow to build")
}
