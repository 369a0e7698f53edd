//! The programs that a cluster is made of, and the settings each of them starts with.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Child;

use super::audit;
use super::builds::Builds;
use super::node::{CGROUP, NODE, Node, PODS, Process, SERVICES};
use super::packages::{BUSYBOX, CNI};
use super::simulation::SIMULATED;

/// A program of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Containerd,
    Kubelet,
    /// Not of the cluster itself: it simulates a node where a scenario asks for one.
    Kwok,
}

/// Where kwok answers for its node as a kubelet would.
pub(super) const KWOK_PORT: u16 = 10247;

impl Service {
    /// What a cluster is made of, in the order of their start.
    pub(super) const ALL: [Self; 6] = [
        Self::Etcd,
        Self::ApiServer,
        Self::Containerd,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
            Self::Kwok => "kwok",
        }
    }
}

/// Files of the cluster; each program keeps to them.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
}

impl Layout {
    pub(super) fn pki(&self, name: &str) -> PathBuf {
        self.folder.join("pki").join(name)
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    /// What the API server wrote down.
    pub(super) fn audit(&self) -> PathBuf {
        self.folder.join("log/audit.log")
    }

    fn log(&self, service: Service) -> PathBuf {
        self.folder
            .join("log")
            .join(format!("{}.log", service.name()))
    }

    fn pid(&self, service: Service) -> PathBuf {
        self.folder
            .join("run")
            .join(format!("{}.json", service.name()))
    }

    /// Makes the folders and the configuration files.
    pub(super) fn prepare(&self, pause_image: &str, builds: &Builds) -> anyhow::Result<()> {
        for name in ["log", "run", "etcd", "cni", "pki"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        let network = json!({"cniVersion": "1.0.0", "name": "fluid-e2e", "plugins": [{
            "type": "bridge", "bridge": "pods0", "isDefaultGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": self.folder.join("addresses"),
                "ranges": [[{"subnet": PODS}]],
            },
        }]});
        fs::write(
            self.folder.join("cni/fluid-e2e.conflist"),
            network.to_string(),
        )?;
        fs::write(
            self.folder.join("containerd.toml"),
            self.containerd(pause_image, builds),
        )?;
        fs::write(self.folder.join("kubelet.json"), self.kubelet().to_string())?;
        fs::write(self.folder.join("kwok.yaml"), include_str!("kwok.yaml"))?;
        fs::write(self.folder.join("audit.yaml"), audit::POLICY)?;
        Ok(())
    }

    fn containerd(&self, pause_image: &str, builds: &Builds) -> String {
        let folder = self.folder.display();
        format!(
            r#"version = 4
root = "{folder}/containerd"
state = "{folder}/run/containerd"
imports = []

[plugins."io.containerd.server.v1.grpc"]
address = "{socket}"

[plugins."io.containerd.server.v1.ttrpc"]
address = "{socket}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/containerd/opt"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause_image}"

[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI}"]
conf_dir = "{folder}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{shim}"
"#,
            socket = self.containerd_socket().display(),
            shim = builds.containerd("containerd-shim-runc-v2").display(),
        )
    }

    fn kubelet(&self) -> Value {
        let socket = format!("unix://{}", self.containerd_socket().display());
        // The disk and memory are shared with all else on this machine: their shortage is not the node's to judge.
        let never = [
            "memory.available",
            "nodefs.available",
            "nodefs.inodesFree",
            "imagefs.available",
        ];
        let never: serde_json::Map<_, _> = never
            .iter()
            .map(|signal| ((*signal).to_owned(), json!("0%")))
            .collect();
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE.to_string(),
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{CGROUP}"),
            "containerRuntimeEndpoint": socket,
            "evictionHard": never,
            "failCgroupV1": false,
            "failSwapOn": false,
            "healthzPort": 0,
            "imageGCHighThresholdPercent": 100,
            "maxPods": 200,
            "podLogsDir": self.folder.join("log/pods"),
            "readOnlyPort": 0,
            "volumePluginDir": self.folder.join("run/volume-plugins"),
        })
    }
}

/// The running programs.
#[derive(Debug)]
pub(super) struct Services {
    layout: Layout,
    node: Node,
    builds: Builds,
    /// Those that this process started: they are waited for, so that none stays as a zombie.
    children: Mutex<Vec<(Service, Child)>>,
}

impl Services {
    pub(super) fn new(layout: Layout, node: Node, builds: Builds) -> Self {
        Self {
            layout,
            node,
            builds,
            children: Mutex::default(),
        }
    }

    /// Where a program of containerd is.
    pub(super) fn containerd(&self, program: &str) -> PathBuf {
        self.builds.containerd(program)
    }

    /// Starts a program that is not running. It ends with the node, not with this process.
    pub(super) fn start(&self, service: Service) -> anyhow::Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.layout.log(service))?;
        let (program, arguments) = self.command(service);
        let mut command = self.node.inside();
        // nsenter waits outside for a program inside: the end of the one must be that of the other.
        let child = command
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .current_dir(&self.layout.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", service.name()))?;
        let process = child.id().and_then(|id| Process::of(id.cast_signed()));
        let process = process.with_context(|| format!("{} ended at once", service.name()))?;
        fs::write(self.layout.pid(service), serde_json::to_string(&process)?)?;
        self.children().push((service, child));
        Ok(())
    }

    /// The same, unless this or an earlier process has started it already.
    pub(super) fn start_once(&self, service: Service) -> anyhow::Result<()> {
        if self.process(service).is_ok_and(Process::lives) {
            return Ok(());
        }
        self.start(service)
    }

    fn process(&self, service: Service) -> anyhow::Result<Process> {
        let path = self.layout.pid(service);
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Ends a program as a power cut would.
    pub(super) async fn kill(&self, service: Service) -> anyhow::Result<()> {
        let process = self.process(service)?;
        process.kill().await?;
        self.children().retain(|(other, _)| *other != service);
        Ok(())
    }

    /// Asks etcd for something through the gateway that it has for programs without gRPC.
    pub(super) async fn ask_etcd(&self, what: &str, question: &Value) -> anyhow::Result<Value> {
        let mut command = self.node.inside();
        command.args([BUSYBOX, "wget", "-q", "-O-", "--post-data"]);
        command.arg(question.to_string());
        command.arg(format!("http://127.0.0.1:2379/v3/kv/{what}"));
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("etcd said {output:?}"))
    }

    /// Fails when a program has ended that should run, with its last words.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (service, child) in self.children().iter_mut() {
            if let Some(status) = child.try_wait()? {
                let log = self.layout.log(*service);
                bail!("{} ended with {status}:\n{}", service.name(), tail(&log)?);
            }
        }
        Ok(())
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<(Service, Child)>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, service: Service) -> (PathBuf, Vec<String>) {
        let pki = |name: &str| self.layout.pki(name).display().to_string();
        let folder = |name: &str| self.layout.folder.join(name).display().to_string();
        let arguments = match service {
            Service::Etcd => vec![
                format!("--data-dir={}", self.layout.etcd().join("data").display()),
                "--unsafe-no-fsync".to_owned(),
                "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
                "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
                "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
            ],
            Service::ApiServer => vec![
                "--etcd-servers=http://127.0.0.1:2379".to_owned(),
                format!("--bind-address={NODE}"),
                format!("--advertise-address={NODE}"),
                "--secure-port=6443".to_owned(),
                format!("--tls-cert-file={}", pki("server.crt")),
                format!("--tls-private-key-file={}", pki("server.key")),
                format!("--token-auth-file={}", pki("tokens.csv")),
                "--authorization-mode=Node,RBAC".to_owned(),
                "--enable-admission-plugins=NodeRestriction".to_owned(),
                format!("--service-cluster-ip-range={SERVICES}"),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--service-account-key-file={}", pki("accounts.pub")),
                format!("--service-account-signing-key-file={}", pki("accounts.key")),
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
                format!("--audit-policy-file={}", folder("audit.yaml")),
                format!("--audit-log-path={}", self.layout.audit().display()),
                "--audit-log-maxsize=1000".to_owned(),
            ],
            Service::ControllerManager => vec![
                format!("--kubeconfig={}", pki("controller-manager.kubeconfig")),
                "--use-service-account-credentials".to_owned(),
                format!("--service-account-private-key-file={}", pki("accounts.key")),
                format!("--root-ca-file={}", pki("ca.crt")),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
                "--concurrent-job-syncs=20".to_owned(),
                "--kube-api-qps=1000".to_owned(),
                "--kube-api-burst=2000".to_owned(),
            ],
            Service::Scheduler => vec![
                format!("--kubeconfig={}", pki("scheduler.kubeconfig")),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
                "--kube-api-qps=1000".to_owned(),
                "--kube-api-burst=2000".to_owned(),
            ],
            Service::Containerd => vec![format!("--config={}", folder("containerd.toml"))],
            Service::Kubelet => vec![
                format!("--config={}", folder("kubelet.json")),
                format!("--kubeconfig={}", pki("kubelet.kubeconfig")),
                format!("--root-dir={}", folder("kubelet")),
                format!("--cert-dir={}", folder("pki/kubelet")),
                "--hostname-override=node-1".to_owned(),
                format!("--node-ip={NODE}"),
            ],
            Service::Kwok => vec![
                format!("--kubeconfig={}", pki("admin.kubeconfig")),
                format!("--config={}", folder("kwok.yaml")),
                format!("--manage-nodes-with-label-selector={SIMULATED}=yes"),
                format!("--node-ip={NODE}"),
                format!("--node-port={KWOK_PORT}"),
                "--node-lease-duration-seconds=40".to_owned(),
                format!("--tls-cert-file={}", pki("server.crt")),
                format!("--tls-private-key-file={}", pki("server.key")),
                format!("--server-address={NODE}:{KWOK_PORT}"),
            ],
        };
        let program = match service {
            Service::Etcd => self.builds.etcd().to_owned(),
            Service::Kwok => self.builds.kwok().to_owned(),
            Service::Containerd => self.builds.containerd("containerd"),
            other => self.builds.kubernetes(other.name()),
        };
        (program, arguments)
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)?;
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    Ok(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}
