//! A cluster of one node on a bare machine: etcd, API server, controller manager, scheduler, containerd and kubelet as
//! processes, without a container engine, a registry or a download other than Go modules and Debian packages.

mod audit;
mod builds;
mod node;
pub(crate) mod packages;
mod pki;
mod services;
pub(crate) mod simulation;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as ApiNode, ServiceAccount};
use kube::{Api, Client};
use serde_json::json;

use self::builds::Builds;
use self::node::Node;
use self::packages::BUSYBOX;
use self::services::{Layout, Service, Services};
use crate::image::{File as ImageFile, Image};
use crate::programs::run;
use crate::wait::{Deadline, until};

const PAUSE: &str = "localhost/pause:e2e";

/// What of Kubernetes is on one machine where it has more than one.
const CONTROL: [Service; 3] = [
    Service::ApiServer,
    Service::ControllerManager,
    Service::Scheduler,
];

/// The cluster, and the right to be the only one.
#[derive(Debug)]
pub(crate) struct Local {
    layout: Layout,
    services: Services,
    version: String,
    /// Held while this process lives.
    _lock: File,
}

impl Local {
    /// Goes on with the cluster that an earlier run kept, or makes one. Cancelled half-way it leaves what
    /// [`remove`] removes.
    pub(crate) async fn up(release: Option<&str>) -> anyhow::Result<Self> {
        let lock = lock()?;
        packages::ensure().await?;
        let builds = Builds::ensure(release).await?;
        let layout = Layout { folder: folder() };
        let version = builds.version.clone();
        if let Some(node) = kept(&layout, &version)? {
            return Ok(Self {
                services: Services::new(layout.clone(), node, builds),
                layout,
                version,
                _lock: lock,
            });
        }
        node::remove(&layout.folder).await?;
        fs::create_dir_all(&layout.folder)?;
        layout.prepare(PAUSE, &builds)?;
        let server = format!("https://{}:6443", node::NODE);
        pki::write(&layout.pki(""), &server, &node::server_addresses())?;
        let node = Node::create(&layout.folder, &layout.etcd()).await?;
        let cluster = Self {
            services: Services::new(layout.clone(), node, builds),
            layout,
            version,
            _lock: lock,
        };
        for service in Service::ALL {
            cluster.services.start(service)?;
            // The kubelet ends if containerd does not listen yet.
            if service == Service::Containerd {
                cluster.containerd_listens().await?;
            }
        }
        cluster.ready().await?;
        fs::write(cluster.layout.folder.join("version"), &cluster.version)?;
        Ok(cluster)
    }

    async fn containerd_listens(&self) -> anyhow::Result<()> {
        let socket = self.layout.containerd_socket();
        self.until("containerd to listen", async || {
            Ok(socket.exists().then_some(()))
        })
        .await
    }

    /// Waits until a pod could be created and would be started.
    async fn ready(&self) -> anyhow::Result<()> {
        let pause = Image {
            name: PAUSE.to_owned(),
            entrypoint: vec![
                "/busybox".to_owned(),
                "sleep".to_owned(),
                "2147483647".to_owned(),
            ],
            layers: vec![vec![ImageFile::program(BUSYBOX, "/busybox")]],
        };
        let archive = self.layout.folder.join("pause.tar");
        pause.write(&archive)?;
        self.load(&archive).await?;
        let client = super::client(&self.kubeconfig(), None).await?;
        self.answers(&client).await?;
        let nodes: Api<ApiNode> = Api::all(client.clone());
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client);
        self.until("the node to be ready", async || {
            let node = nodes.get_opt("node-1").await?;
            let conditions = node
                .and_then(|node| node.status?.conditions)
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            Ok((ready && accounts.get_opt("default").await?.is_some()).then_some(()))
        })
        .await
    }

    async fn answers(&self, client: &Client) -> anyhow::Result<()> {
        self.until("the API server to be ready", async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.ok().map(|_| ()))
        })
        .await
    }

    async fn until(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<()>>,
    ) -> anyhow::Result<()> {
        let deadline = Deadline::after(Duration::from_secs(120));
        until(deadline, what.to_owned(), async || {
            self.services.check()?;
            look().await
        })
        .await
    }

    /// As in `1.37.2`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// An administrator's.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.layout.pki("admin.kubeconfig")
    }

    /// When the Jobs of runs were complete, as far as they are.
    pub(crate) fn completions(&self) -> anyhow::Result<HashMap<String, Timestamp>> {
        audit::completions(&self.layout.audit())
    }

    /// Makes the images of a docker archive known to the node.
    pub(crate) async fn load(&self, archive: &Path) -> anyhow::Result<()> {
        let mut import = tokio::process::Command::new(self.services.containerd("ctr"));
        import.arg("--address").arg(self.layout.containerd_socket());
        import.args(["--namespace", "k8s.io", "images", "import"]);
        run(import.arg(archive)).await
    }

    /// The API server is gone, as if its machine had lost power, and with it the controllers beside it, which on their own
    /// would wait for up to a minute before they tried again.
    pub(crate) async fn kill_api_server(&self) -> anyhow::Result<()> {
        for service in CONTROL {
            self.services.kill(service).await?;
        }
        Ok(())
    }

    /// Forgets every version of every object but the present one; the revision that is kept.
    pub(crate) async fn compact(&self) -> anyhow::Result<u64> {
        let all = json!({"key": "AA=="});
        let range = self.services.ask_etcd("range", &all).await?;
        let revision = range["header"]["revision"].as_str();
        let revision = revision.with_context(|| format!("no revision in {range}"))?;
        let compaction = json!({"revision": revision, "physical": true});
        self.services.ask_etcd("compaction", &compaction).await?;
        Ok(revision.parse()?)
    }

    /// The API server is back and answers.
    pub(crate) async fn start_api_server(&self, client: &Client) -> anyhow::Result<()> {
        for service in CONTROL {
            self.services.start(service)?;
        }
        self.answers(client).await
    }
}

/// The node of a cluster that works and is of this version.
fn kept(layout: &Layout, version: &str) -> anyhow::Result<Option<Node>> {
    let finished = fs::read_to_string(layout.folder.join("version")).unwrap_or_default();
    Ok(Node::left(&layout.folder)?.filter(|node| node.lives() && finished == version))
}

/// Ends the cluster of this machine, however far it got. Fails while another process has it.
pub(crate) async fn remove() -> anyhow::Result<()> {
    let _lock = lock()?;
    node::remove(&folder()).await
}

/// Where all of it is. It is one for the whole machine, whatever environment a run has: so are its network and its control
/// groups.
fn folder() -> PathBuf {
    PathBuf::from("/var/lib/fluid-e2e")
}

fn lock() -> anyhow::Result<File> {
    let path = folder().with_extension("lock");
    let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another e2e has the local cluster of this machine (it holds {})",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{}", path.display()))
        }
    }
}
