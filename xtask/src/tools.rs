//! Programs that the tests and checks need, installed where that is possible.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process::{cargo, root, run};

/// The version of cargo-deny that deny.toml is written for.
const CARGO_DENY: &str = "0.20.2";

/// Debian's name for the package that has each program the tests start. One with a slash is the end of a path that
/// stands in no search path: Debian keeps each version of PostgreSQL in a folder of its own.
const PROGRAMS: &[(&str, &str)] = &[
    ("python3", "python3"),
    ("strace", "strace"),
    ("xz", "xz-utils"),
    ("tar", "tar"),
    ("sha256sum", "coreutils"),
    ("setpriv", "util-linux"),
    ("openssl", "openssl"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("redis-sentinel", "redis-sentinel"),
    ("chromium", "chromium"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("bin/initdb", "postgresql"),
    ("sbin/pgbouncer", "pgbouncer"),
];

/// Installs the programs that are missing where this is Debian and we are root; otherwise names them.
pub(crate) fn programs() -> anyhow::Result<()> {
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !exists(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    eprintln!("the tests need {}", names(&missing));
    install(&packages)
}

/// Installs Debian's packages where this is Debian and we are root; otherwise names them.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    if !exists("apt-get") || !is_root() {
        bail!("the tests need the packages {}", packages.join(" "));
    }
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages))
}

fn names(missing: &[&(&str, &str)]) -> String {
    missing
        .iter()
        .map(|(program, _)| *program)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Below it Debian has a folder for each version of PostgreSQL; a server package brings one that has `bin/initdb`.
const POSTGRESQL: &str = "/usr/lib/postgresql";

fn exists(program: &str) -> bool {
    if program.contains('/') {
        let versions = std::fs::read_dir(POSTGRESQL)
            .into_iter()
            .flatten()
            .flatten();
        let below = versions.map(|version| version.path());
        return below
            .chain(["/usr".into(), "/usr/local".into()])
            .any(|folder| folder.join(program).is_file());
    }
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// cargo-deny, built once and kept outside the checkout by version.
pub(crate) fn cargo_deny() -> anyhow::Result<Command> {
    let folder = cache()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = cargo();
        install.args([
            "install",
            "--locked",
            "--quiet",
            "cargo-deny",
            "--version",
            CARGO_DENY,
        ]);
        run(install
            .arg("--root")
            .arg(&folder)
            .arg("--target-dir")
            .arg(folder.join("build")))?;
        std::fs::remove_dir_all(folder.join("build")).ok();
    }
    let mut command = Command::new(program);
    command.current_dir(root());
    Ok(command)
}

/// What the browser tests import, installed once for each lock file and kept outside the checkout.
pub(crate) fn browser() -> anyhow::Result<PathBuf> {
    let scripts = root().join("crates/fluid-http/tests/browser");
    let lock = std::fs::read(scripts.join("package-lock.json"))?;
    let folder = cached("browser", &lock)?;
    // Written last of all by npm.
    if !folder.join("node_modules/.package-lock.json").is_file() {
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(scripts.join(file), folder.join(file))?;
        }
        run(Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(&folder))?;
    }
    Ok(folder)
}

/// A folder outside the checkout for what these bytes list.
pub(crate) fn cached(what: &str, listed: &[u8]) -> anyhow::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    listed.hash(&mut hasher);
    Ok(cache()?.join(format!("{what}-{:016x}", hasher.finish())))
}

/// Where slow builds are kept between checkouts.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("FLUID_CACHE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/fluid-dev"));
    set.or_else(home)
        .context("set HOME, or FLUID_CACHE to a folder for what is slow to build")
}
