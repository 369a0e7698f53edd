//! A PostgreSQL of one test program, and what may stand in front of it or beside it.
//!
//! Debian's package `postgresql` has no program in the path but `psql`: servers are started from where the package
//! puts them. A server refuses to run as root, so then it runs as `nobody` in a folder that is nobody's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::keeper;

mod place;
mod pooler;

pub use pooler::PgBouncer;

use place::{Folder, as_server, finish, free_port, give_away, only_for_the_owner, pid, program};

const SOON: Duration = Duration::from_secs(60);

/// How a server is to be.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    password: Option<String>,
    certificate: Option<(PathBuf, PathBuf)>,
    settings: Vec<(String, String)>,
    durable: bool,
}

impl PostgresOptions {
    /// A server that trusts everybody, without TLS, and doesn't wait for the disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The superuser `postgres` needs this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// It speaks TLS with this certificate and key, both PEM files.
    #[must_use]
    pub fn certificate(mut self, certificate: &Path, key: &Path) -> Self {
        self.certificate = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// A line of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Commits wait for the disk, as they do unless a server is told otherwise.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }
}

/// A running server. It ends with this value, or with the thread that started it.
#[derive(Debug)]
pub struct Postgres {
    folder: Folder,
    port: u16,
    password: Option<String>,
    tls: bool,
    process: Mutex<Option<Child>>,
}

impl Postgres {
    /// Makes a data folder and starts a server on it.
    pub fn start(options: &PostgresOptions) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let data = folder.path().join("data");
        let mut init = as_server(&program("initdb")?);
        init.args([
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=postgres",
        ]);
        if let Some(password) = &options.password {
            let file = folder.path().join("password");
            fs::write(&file, password)?;
            give_away(&file)?;
            init.args(["--auth=scram-sha-256", "--pwfile"]).arg(&file);
        } else {
            init.arg("--auth=trust");
        }
        finish(init.arg("--pgdata").arg(&data))?;

        let port = free_port()?;
        let mut lines = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             max_connections = 300\nlogging_collector = off\ndynamic_shared_memory_type = mmap\n",
            folder.path().display()
        );
        if !options.durable {
            lines.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n");
        }
        if let Some((certificate, key)) = &options.certificate {
            for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
                let to = folder.path().join(name);
                fs::copy(from, &to)?;
                give_away(&to)?;
                only_for_the_owner(&to)?;
            }
            lines.push_str(&format!(
                "ssl = on\nssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'\n",
                folder.path().display()
            ));
        }
        for (name, value) in &options.settings {
            lines.push_str(&format!("{name} = '{value}'\n"));
        }
        let configuration = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&configuration)?;
        text.push_str(&lines);
        fs::write(&configuration, text)?;
        let server = Self {
            folder,
            port,
            password: options.password.clone(),
            tls: options.certificate.is_some(),
            process: Mutex::default(),
        };
        server.start_again()?;
        Ok(server)
    }

    /// A standby of this server: it follows it, and may only be read.
    pub fn standby(&self) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let data = folder.path().join("data");
        let mut copy = as_server(&program("pg_basebackup")?);
        copy.args([
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "--username=postgres",
        ])
        .arg("--host")
        .arg(self.folder.path())
        .args(["--port", &self.port.to_string()])
        .arg("--pgdata")
        .arg(&data);
        if let Some(password) = &self.password {
            copy.env("PGPASSWORD", password);
        }
        finish(&mut copy)?;
        let port = free_port()?;
        let configuration = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&configuration)?;
        text.push_str(&format!(
            "port = {port}\nunix_socket_directories = '{}'\n",
            folder.path().display()
        ));
        fs::write(&configuration, text)?;
        let server = Self {
            folder,
            port,
            password: self.password.clone(),
            tls: self.tls,
            process: Mutex::default(),
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts the server on its data once more, and waits until it takes connections.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let log = self.folder.path().join("log");
        let out = File::options().create(true).append(true).open(&log)?;
        let mut server = as_server(&program("postgres")?);
        server
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let mut process = keeper::spawn(server).context("starting postgres")?;
        let ready = program("pg_isready")?;
        let since = Instant::now();
        loop {
            let asked = Command::new(&ready)
                .arg("--host")
                .arg(self.folder.path())
                .args(["--port", &self.port.to_string(), "--quiet"])
                .status()?;
            if asked.success() {
                break;
            }
            if process.try_wait()?.is_some() || since.elapsed() > SOON {
                bail!("postgres does not start:\n{}", fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *self.process() = Some(process);
        Ok(())
    }

    /// Kills the server and all its processes as a crash would, and waits until they are gone.
    pub fn crash(&self) -> anyhow::Result<()> {
        // A signal that the server takes for a loss of a process's memory: it kills the others and ends.
        self.end(Signal::QUIT)
    }

    /// Kills the server's first process outright; the others notice and end.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.end(Signal::KILL)?;
        // What still holds the shared memory keeps the next server from starting.
        let since = Instant::now();
        while self.has_processes()? {
            if since.elapsed() > SOON {
                bail!("processes of the killed server go on");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        Ok(())
    }

    /// Stops the server in order; whoever is connected is disconnected.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.end(Signal::INT)
    }

    fn end(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(mut process) = self.process().take() {
            kill_process(pid(&process)?, signal)?;
            process.wait()?;
        }
        Ok(())
    }

    /// Whether a process still works on the data.
    fn has_processes(&self) -> anyhow::Result<bool> {
        let data = self.folder.path().join("data");
        for process in fs::read_dir("/proc")?.flatten() {
            if fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stops all of the server's processes where they are, or lets them go on.
    pub fn pause(&self, paused: bool) -> anyhow::Result<()> {
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        let data = self.folder.path().join("data");
        for process in fs::read_dir("/proc")?.flatten() {
            let name = process.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let ours = fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == data);
            if let Some(pid) = Pid::from_raw(number).filter(|_| ours) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, signal);
            }
        }
        Ok(())
    }

    /// The folder of the server's Unix socket, which nobody else has.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port on 127.0.0.1, also the number of the Unix socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, over TCP.
    pub fn url(&self, database: &str) -> String {
        let password = self
            .password
            .as_deref()
            .map_or_else(String::new, |it| format!(":{it}"));
        format!(
            "postgres://postgres{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The URL of a database, over the Unix socket.
    pub fn socket_url(&self, database: &str) -> String {
        let password = self
            .password
            .as_deref()
            .map_or_else(String::new, |it| format!("&password={it}"));
        let folder = self.folder.path().display();
        format!(
            "postgres:///{database}?host={folder}&port={}&user=postgres{password}",
            self.port
        )
    }

    /// Runs a statement with `psql` as the superuser; what it prints, without headers.
    pub fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(program("psql")?);
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--username=postgres",
        ])
        .args(["--set", "ON_ERROR_STOP=1", "--host"])
        .arg(self.folder.path())
        .args([
            "--port",
            &self.port.to_string(),
            "--dbname",
            database,
            "--command",
            sql,
        ]);
        if let Some(password) = &self.password {
            psql.env("PGPASSWORD", password);
        }
        let output = psql.output()?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// What the server wrote into its log so far.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.pause(false);
        let _ = self.crash();
    }
}
