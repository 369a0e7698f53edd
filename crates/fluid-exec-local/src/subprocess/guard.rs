//! The guard: a process that outlives a killed consumer for the moment it takes to kill what the consumer
//! started.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::net::{SendFlags, send};
use rustix::process::Pid;

/// Reads `? FILE` (a child with this result file is about to be started, or none), `+ GROUP` (it leads this
/// group), `- GROUP` and `=` (forget all); at the end of input it kills the groups that are left, and a child that
/// was about to be started, and removes the directory of result files, its first argument. While there is no
/// input it sleeps in `read`.
///
/// That child is found by its environment, on Linux. It may be between fork and exec, so it is looked for more
/// than once. `kill` is written in the one way that dash, bash and busybox all understand: dash knows no `--`
/// after `-KILL`, busybox none after `-s KILL`.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
cd /
groups=' '
coming=
while read -r word what; do
    case $word in
        '?') coming=$what ;;
        +) groups="$groups$what " coming= ;;
        -) case $groups in
            *" $what "*) groups="${groups%%" $what "*} ${groups#*" $what "}" ;;
        esac ;;
        =) groups=' ' coming= ;;
    esac
done
for group in $groups; do
    kill -KILL "-$group"
done
tries=20
while [ "$coming" ] && [ $tries -gt 0 ]; do
    for process in /proc/[0-9]*; do
        if tr '\0' '\n' <"$process/environ" | grep -qxF "FLUID_RESULT_PATH=$1/$coming"; then
            kill -KILL "-${process#/proc/}" && coming=
        fi
    done
    [ "$coming" ] && sleep 0.1
    tries=$((tries - 1))
done
rm -rf -- "$1"
"#;

/// Knows every live process group and keeps the guard process told of them. Used by one thread.
pub(super) struct Guard {
    process: Process,
    groups: BTreeSet<i32>,
    /// Lines about groups that left, which go with the next line.
    untold: String,
    directory: PathBuf,
}

enum Process {
    NotStarted,
    Running(Child, UnixStream),
    Unavailable,
}

impl Guard {
    /// A guard that is started for the first child; `directory` is removed when the consumer is gone.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            process: Process::NotStarted,
            groups: BTreeSet::new(),
            untold: String::new(),
            directory,
        }
    }

    /// A child with this result file is about to be started. Says whether there is a guard to know it; replaces
    /// one that was killed.
    pub(super) fn expects(&mut self, file: &str) -> bool {
        self.revive();
        let left = std::mem::take(&mut self.untold);
        if self.tell(&format!("{left}? {file}\n")).is_err() {
            self.revive();
            let _ = self.tell(&format!("? {file}\n"));
        }
        matches!(self.process, Process::Running(..))
    }

    /// The child was started and leads this group.
    pub(super) fn joined(&mut self, group: Pid) {
        let group = group.as_raw_nonzero().get();
        self.groups.insert(group);
        self.tell_or_retell(&format!("+ {group}\n"));
    }

    /// The child could not be started.
    pub(super) fn failed_to_join(&mut self) {
        self.tell_or_retell("?\n");
    }

    /// A group has ended. The guard hears of it with the next child that it [expects](Self::expects) or by
    /// [`tell_rest`](Self::tell_rest): until then the leader may not be waited for, so that its id is still its own.
    pub(super) fn left(&mut self, group: Pid) {
        let group = group.as_raw_nonzero().get();
        if self.groups.remove(&group) {
            let _ = writeln!(self.untold, "- {group}");
        }
    }

    /// Tells of the groups that left.
    pub(super) fn tell_rest(&mut self) {
        let left = std::mem::take(&mut self.untold);
        if !left.is_empty() {
            self.tell_or_retell(&left);
        }
    }

    fn tell_or_retell(&mut self, line: &str) {
        if self.tell(line).is_err() {
            // It was killed; another one is told of all groups.
            self.revive();
        }
    }

    /// Starts the guard if there is none.
    fn revive(&mut self) {
        if let Process::Running(child, _) = &mut self.process
            && !matches!(child.try_wait(), Ok(None))
        {
            self.process = Process::NotStarted;
        }
        if matches!(self.process, Process::NotStarted) {
            self.start();
        }
    }

    fn start(&mut self) {
        match spawn(&self.directory) {
            Ok((child, socket)) => {
                self.process = Process::Running(child, socket);
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
            let sent = send(socket, rest, SendFlags::NOSIGNAL)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use fluid_core::child::RESULT_VARIABLE;

    use super::*;

    fn sleeper(result: &std::path::Path) -> Child {
        Command::new("sleep")
            .arg("1000")
            .env(RESULT_VARIABLE, result)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn guard() -> (Guard, PathBuf) {
        let directory = tempfile::tempdir().unwrap().keep();
        (Guard::new(directory.clone()), directory)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_that_was_being_started_is_killed_too() {
        let (mut guard, directory) = guard();
        assert!(guard.expects("one.json"));
        let mut one = sleeper(&directory.join("one.json"));
        let mut other = sleeper(&directory.join("other.json"));
        drop(guard);
        assert_eq!(one.wait().unwrap().signal(), Some(9));
        assert_eq!(other.try_wait().unwrap(), None, "it was not expected");
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn only_groups_that_joined_and_never_left_are_killed() {
        let (mut guard, directory) = guard();
        let mut children: Vec<_> = (0..3).map(|_| sleeper(&directory)).collect();
        for child in &children {
            guard.expects("some.json");
            guard.joined(Pid::from_child(child));
        }
        guard.left(Pid::from_child(&children[1]));
        guard.tell_rest();
        guard.expects("missing.json");
        guard.failed_to_join();
        drop(guard);
        assert_eq!(children[0].wait().unwrap().signal(), Some(9));
        assert_eq!(children[2].wait().unwrap().signal(), Some(9));
        assert_eq!(children[1].try_wait().unwrap(), None);
        children[1].kill().unwrap();
        children[1].wait().unwrap();
    }

    #[test]
    fn a_guard_that_was_killed_is_replaced_and_told_of_all() {
        let (mut guard, directory) = guard();
        let (mut one, mut other) = (sleeper(&directory), sleeper(&directory));
        assert!(guard.expects("one.json"));
        guard.joined(Pid::from_child(&one));
        let Process::Running(process, _) = &mut guard.process else {
            panic!("no guard");
        };
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(guard.expects("other.json"));
        guard.joined(Pid::from_child(&other));
        drop(guard);
        assert_eq!(one.wait().unwrap().signal(), Some(9));
        assert_eq!(other.wait().unwrap().signal(), Some(9));
    }
}
