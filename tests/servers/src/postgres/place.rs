//! Where servers run, and as whom.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::keeper;

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who runs the server when we are root: `nobody` and its group on Debian.
const NOBODY: u32 = 65534;

/// Names a folder of PostgreSQL's programs to take instead, as to test with another version.
const FOLDER: &str = "FLUID_TEST_POSTGRES";

/// A program of the newest version that is installed, or of the one that the variable names.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Ok(Path::new(&folder).join(name));
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            let path = version.path().join("bin").join(name);
            path.is_file().then_some((number, path))
        })
        .collect();
    versions.sort();
    let newest = versions.pop().map(|(_, path)| path);
    newest.with_context(|| {
        format!("{name} is not below {VERSIONS}: install the package postgresql-15")
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as whoever may run a server, and ends with the thread that starts it.
pub(super) fn as_server(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        // A change of user takes the signal away again, so it comes first.
        let nobody = NOBODY.to_string();
        command.args([
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
            "--clear-groups",
            "setpriv",
        ]);
    }
    // The server takes this signal as an order to end at once, and leaves no shared memory behind.
    command.args(["--pdeathsig", "QUIT", "--"]);
    command
        .arg(program)
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/");
    // A group of its own, so that a signal to the test's group does not reach it first.
    command.process_group(0);
    command
}

/// A folder that belongs to whoever runs the server, and that is gone with the program.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    remover: Child,
}

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("fluid-pg-").tempdir()?;
        give_away(folder.path())?;
        let remover = keeper::remove_at_the_end(folder.path())?;
        Ok(Self { folder, remover })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The folder is removed here and now.
        let _ = self.remover.kill();
        let _ = self.remover.wait();
    }
}

pub(super) fn give_away(path: &Path) -> anyhow::Result<()> {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

pub(super) fn only_for_the_owner(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o600),
    )?)
}

pub(super) fn finish(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub(super) fn pid(process: &Child) -> anyhow::Result<Pid> {
    let number = i32::try_from(process.id())?;
    Pid::from_raw(number).context("a process has no id")
}
