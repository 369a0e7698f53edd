//! What every scenario shares: the cluster with the images.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use kube::Client;

use crate::cluster::Cluster;
use crate::cluster::local::packages::BUSYBOX;
use crate::image::{File, Image, libraries};

/// The image of deploy/: the stock binary and a shell.
pub(crate) const IMAGE: &str = "fluid:local";
/// The same with the tests' own program.
pub(crate) const TEST_IMAGE: &str = "fluid-e2e:local";
/// The same with the program of the executor's own tests.
pub(crate) const SUITE_IMAGE: &str = "fluid-suite:local";

/// What busybox stands in for.
const TOOLS: &[&str] = &[
    "sh",
    "awk",
    "cat",
    "date",
    "dd",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "id",
    "kill",
    "ls",
    "mkdir",
    "printf",
    "ps",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "tail",
    "touch",
    "tr",
    "true",
    "wc",
    "yes",
];

/// The cluster, ready for scenarios.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) client: Client,
}

impl World {
    /// Makes the images of the programs beside this one and gives them to the cluster.
    pub(crate) async fn furnish(cluster: Cluster) -> anyhow::Result<Self> {
        let programs = std::env::current_exe()?;
        let programs = programs.parent().context("this program is in no folder")?;
        let stock = programs.join("fluid-cli");
        let mut base = libraries(&stock).await?;
        base.push(File::program(BUSYBOX, "/bin/busybox"));
        base.extend(
            TOOLS
                .iter()
                .map(|tool| File::link(format!("/bin/{tool}"), "busybox")),
        );
        base.push(File::program(&stock, "/usr/local/bin/fluid-cli"));
        let application = programs.join("application");
        let tests = vec![File::program(application, "/usr/local/bin/application")];
        load(&cluster, programs, IMAGE, vec![base.clone()]).await?;
        load(&cluster, programs, TEST_IMAGE, vec![base.clone(), tests]).await?;
        let suite = vec![File::program(programs.join("examples/suite"), "/suite")];
        load(&cluster, programs, SUITE_IMAGE, vec![base, suite]).await?;
        let client = cluster.client().await?;
        Ok(Self {
            cluster: Arc::new(cluster),
            client,
        })
    }
}

async fn load(
    cluster: &Cluster,
    folder: &Path,
    name: &str,
    layers: Vec<Vec<File>>,
) -> anyhow::Result<()> {
    let image = Image {
        name: name.to_owned(),
        entrypoint: vec!["/usr/local/bin/fluid-cli".to_owned()],
        layers,
    };
    let archive = folder.join(format!("{}.tar", name.replace(':', "-")));
    image.write(&archive)?;
    cluster.load(&archive).await
}
