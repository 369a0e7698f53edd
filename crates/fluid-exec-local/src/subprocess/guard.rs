//! The guard: a process that outlives a killed consumer for the moment it takes to kill what the consumer
//! started.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::net::{SendFlags, send};
use rustix::process::Pid;

/// Reads `+ GROUP`, `- GROUP` and `=` (forget all); at the end of input it kills the groups that are left and
/// removes the directory of result files, its first argument. `kill` is written in the one way that dash, bash
/// and busybox all understand: dash knows no `--` after `-KILL`, busybox none after `-s KILL`. While there is no input it sleeps in `read`.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
cd /
groups=' '
while read -r word group; do
    case $word in
        +) groups="$groups$group " ;;
        -) case $groups in
            *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
        esac ;;
        =) groups=' ' ;;
    esac
done
for group in $groups; do
    kill -KILL "-$group"
done
rm -rf -- "$1"
"#;

/// Knows every live process group and keeps the guard process told of them. Used by one thread.
pub(super) struct Guard {
    process: Process,
    groups: BTreeSet<i32>,
    directory: PathBuf,
}

enum Process {
    NotStarted,
    Running(Child, Arc<UnixStream>),
    Unavailable,
}

impl Guard {
    /// A guard that is started for the first child; `directory` is removed when the consumer is gone.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            process: Process::NotStarted,
            groups: BTreeSet::new(),
            directory,
        }
    }

    /// Where a child tells of its group; `None` where no guard can run. Replaces a guard that was killed.
    pub(super) fn socket(&mut self) -> Option<Arc<UnixStream>> {
        if let Process::Running(child, _) = &mut self.process
            && !matches!(child.try_wait(), Ok(None))
        {
            self.process = Process::NotStarted;
        }
        if matches!(self.process, Process::NotStarted) {
            self.start();
        }
        match &self.process {
            Process::Running(_, socket) => Some(socket.clone()),
            Process::NotStarted | Process::Unavailable => None,
        }
    }

    /// The child itself has told of this group.
    pub(super) fn joined(&mut self, group: Pid) {
        self.groups.insert(group.as_raw_nonzero().get());
    }

    /// A group has ended. To be called while its leader is not waited for yet, so that its id is still its own.
    pub(super) fn left(&mut self, group: Pid) {
        let group = group.as_raw_nonzero().get();
        if self.groups.remove(&group) && self.tell(&format!("- {group}\n")).is_err() {
            // It was killed, so nobody knows the others.
            self.socket();
        }
    }

    /// A child told of its group and then failed to start its program: the guard must not keep its id.
    pub(super) fn failed_to_join(&mut self) {
        if self.retell().is_err() {
            self.socket();
        }
    }

    fn start(&mut self) {
        match spawn(&self.directory) {
            Ok((child, socket)) => {
                self.process = Process::Running(child, Arc::new(socket));
                if let Err(error) = self.retell() {
                    tracing::warn!(%error, "the guard of child processes ended at once");
                }
            }
            Err(error) => {
                self.process = Process::Unavailable;
                tracing::warn!(
                    %error,
                    "no guard of child processes: should this process be killed, what its children \
                     started will live on"
                );
            }
        }
    }

    fn retell(&self) -> io::Result<()> {
        let all: String = self
            .groups
            .iter()
            .map(|group| format!("+ {group}\n"))
            .collect();
        self.tell(&format!("=\n{all}"))
    }

    fn tell(&self, lines: &str) -> io::Result<()> {
        let Process::Running(_, socket) = &self.process else {
            return Ok(());
        };
        let mut rest = lines.as_bytes();
        while !rest.is_empty() {
            let sent = send(socket.as_ref(), rest, SendFlags::NOSIGNAL)?;
            rest = &rest[sent..];
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let process = std::mem::replace(&mut self.process, Process::NotStarted);
        if let Process::Running(mut child, socket) = process {
            drop(socket);
            let _ = child.wait();
        }
    }
}

fn spawn(directory: &PathBuf) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "fluid-guard"])
        .arg(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((child, ours))
}
