//! The machine that a local cluster believes it runs on: namespaces of this one.
//!
//! Mounts, network, processes and everything that the cluster's programs leave in them end with one process, the first
//! of the process namespace. Only control groups, files and one network interface can stay behind.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::programs::run;
use crate::wait::{Deadline, until};

/// The node's end of the wire to this machine.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(10, 197, 0, 2);
/// The address of the `kubernetes` Service: the first of [`SERVICES`].
pub(super) const KUBERNETES: Ipv4Addr = Ipv4Addr::new(10, 197, 2, 1);
/// Addresses of pods.
pub(super) const PODS: &str = "10.197.1.0/24";
/// Addresses of Services.
pub(super) const SERVICES: &str = "10.197.2.0/24";
/// The control group that holds all pods, and the network interface on this machine.
pub(super) const CGROUP: &str = "fluid-e2e";
const WIRE: &str = "fluid-e2e0";

/// A process that can be told from a later one with the same id.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) id: i32,
    started: u64,
}

impl Process {
    /// `None` when there is no such process, or only what is left of one.
    pub(super) fn of(id: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { id, started })
    }

    pub(super) fn lives(self) -> bool {
        Self::of(self.id).is_some_and(|now| now.started == self.started)
    }

    /// Ends it at once, if it is still the one meant.
    pub(super) async fn kill(self) -> anyhow::Result<()> {
        if let Some(pid) = Pid::from_raw(self.id).filter(|_| self.lives()) {
            kill_process(pid, Signal::KILL).ok();
        }
        let gone = Deadline::after(Duration::from_secs(20));
        until(gone, format!("process {} to end", self.id), async || {
            Ok((!self.lives()).then_some(()))
        })
        .await
    }
}

/// What must be found again to go on with the node or to end it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Node {
    /// Whose end is that of all.
    keeper: Process,
    /// The first process inside.
    init: Process,
}

impl Node {
    /// Makes the namespaces and the network; `scratch` becomes a file system in memory inside.
    pub(super) async fn create(folder: &Path, scratch: &Path) -> anyhow::Result<Self> {
        for root in cgroups()? {
            fs::create_dir_all(root.join(CGROUP))?;
        }
        let keeper = Command::new("setsid")
            .args(["unshare", "--mount", "--net", "--pid", "--fork"])
            .args(["--mount-proc", "--kill-child", "--", "sh", "-c"])
            // The first process of a namespace must wait for every orphan.
            .arg("while :; do sleep 86400 & wait $!; done")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start unshare")?;
        let id = keeper.id().context("unshare ended at once")?;
        let keeper = Process::of(id.cast_signed()).context("unshare ended at once")?;
        // Whatever comes between, it can be found and ended.
        let unfinished = Self {
            keeper,
            init: keeper,
        };
        unfinished.note(folder)?;
        let ready = Deadline::after(Duration::from_secs(10));
        let init = until(ready, "the namespaces".to_owned(), async || {
            Ok(first_child(keeper.id)
                .filter(|init| {
                    fs::read_to_string(format!("/proc/{init}/comm"))
                        .is_ok_and(|name| name == "sh\n")
                })
                .and_then(Process::of))
        })
        .await?;
        let node = Self { keeper, init };
        node.note(folder)?;
        node.connect(scratch).await?;
        Ok(node)
    }

    fn note(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(fs::write(file(folder), serde_json::to_string(self)?)?)
    }

    async fn connect(&self, scratch: &Path) -> anyhow::Result<()> {
        let id = self.init.id;
        let outside = format!(
            "ip link add {WIRE} type veth peer name eth0 netns {id}
             ip address add 10.197.0.1/30 dev {WIRE}
             ip link set {WIRE} up
             ip route add {PODS} via {NODE}"
        );
        let rule = format!("-d {KUBERNETES} -p tcp --dport 443 -j DNAT --to {NODE}:6443");
        // All of the Service proxy that one node needs, and no trace outside for what insists on these folders.
        let inside = format!(
            "ip link set lo up
             ip address add {NODE}/30 dev eth0
             ip link set eth0 up
             ip route add default via 10.197.0.1
             echo 1 > /proc/sys/net/ipv4/ip_forward
             iptables -t nat -A PREROUTING {rule}
             iptables -t nat -A OUTPUT {rule}
             mount -t tmpfs tmpfs /run
             mount -t tmpfs tmpfs /var/log
             mount -t tmpfs tmpfs '{}'",
            scratch.display()
        );
        run(Command::new("sh").args(["-ec", &outside])).await?;
        // With addresses, the default route needs its gateway reachable: after the outside.
        run(self.inside().args(["sh", "-ec", &inside])).await
    }

    /// A command line that goes on with a program inside the node.
    pub(super) fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.id.to_string()]);
        command.args(["--mount", "--net", "--pid", "--"]);
        command
    }

    /// The node that an earlier run left, dead or alive.
    pub(super) fn left(folder: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read_to_string(file(folder)) {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}", folder.display())),
        }
    }

    pub(super) fn lives(&self) -> bool {
        self.keeper.lives() && self.init.lives()
    }
}

/// Ends whatever node there is and removes what outlives one. Safe to repeat.
pub(super) async fn remove(folder: &Path) -> anyhow::Result<()> {
    if let Some(node) = Node::left(folder)? {
        node.keeper.kill().await?;
        node.init.kill().await?;
    }
    let removed = Deadline::after(Duration::from_secs(20));
    until(
        removed,
        "the control groups to empty".to_owned(),
        async || {
            for root in cgroups()? {
                if !remove_cgroup(&root.join(CGROUP))? {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        },
    )
    .await?;
    // The interface goes with the other end's namespace, a little later than its processes.
    Command::new("ip")
        .args(["link", "delete", WIRE])
        .stderr(Stdio::null())
        .status()
        .await?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("node.json")
}

fn first_child(id: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Where the hierarchies of control groups are mounted, of both versions.
fn cgroups() -> anyhow::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let roots = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after
            .starts_with("cgroup")
            .then(|| before.split(' ').nth(4).map(PathBuf::from))?
    });
    Ok(roots.collect())
}

/// Whether it is gone with all below it; a group stays busy for a moment after its last process.
fn remove_cgroup(group: &Path) -> anyhow::Result<bool> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !remove_cgroup(&entry.path())? {
            return Ok(false);
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            kill_members(group)?;
            Ok(false)
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", group.display()))
        }
        _ => Ok(true),
    }
}

fn kill_members(group: &Path) -> anyhow::Result<()> {
    let members = fs::read_to_string(group.join("cgroup.procs"))?;
    for id in members.lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = Pid::from_raw(id) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
    Ok(())
}

/// Addresses that the API server answers at.
pub(super) fn server_addresses() -> [IpAddr; 2] {
    [IpAddr::V4(NODE), IpAddr::V4(KUBERNETES)]
}
