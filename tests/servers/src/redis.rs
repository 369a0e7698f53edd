//! A Redis of one test program, and Sentinels that watch it.
//!
//! Debian's packages are `redis-server` and `redis-sentinel`; certificates are made by `openssl`.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::keeper;

/// How long a server may take to answer. Much less is expected.
const SOON: Duration = Duration::from_secs(30);

/// Names a program to start instead of `redis-server`, as to test with another version.
const PROGRAM: &str = "FLUID_TEST_REDIS";

/// How a server is to be.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    lines: Vec<String>,
    tls: bool,
    password: Option<String>,
}

impl RedisOptions {
    /// A server that asks nobody who they are and keeps nothing on disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The default user needs this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}"))
    }

    /// Another user, with rules as `ACL SETUSER` takes them: `on >secret resetchannels ~{fluid}:* &{fluid}:* +@all -@dangerous`.
    #[must_use]
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.line(&format!("user {name} {rules}"))
    }

    /// Each write is on disk before it is answered.
    #[must_use]
    pub fn append_only(self) -> Self {
        self.line("appendonly yes").line("appendfsync always")
    }

    /// At most so much memory, and what happens beyond.
    #[must_use]
    pub fn memory(self, bytes: u64, policy: &str) -> Self {
        self.line(&format!("maxmemory {bytes}"))
            .line(&format!("maxmemory-policy {policy}"))
    }

    /// It speaks TLS only, with a certificate for `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// A replica of the server at this port.
    #[must_use]
    pub fn replica_of(self, port: u16) -> Self {
        self.line(&format!("replicaof 127.0.0.1 {port}"))
    }

    /// A cluster of this one node. It takes writes after [`RedisServer::own_all_slots`].
    #[must_use]
    pub fn cluster(self) -> Self {
        self.line("cluster-enabled yes")
    }

    /// A line of `redis.conf`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

/// A running server. It ends with this value, or with the program.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    program: OsString,
    port: u16,
    tls: bool,
    password: Option<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server in a folder of its own.
    pub fn start(options: &RedisOptions) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut server = Self {
            folder: TempDir::new()?,
            program: std::env::var_os(PROGRAM).unwrap_or_else(|| "redis-server".into()),
            port,
            tls: options.tls,
            password: options.password.clone(),
            process: None,
        };
        let mut lines = vec!["bind 127.0.0.1".to_owned(), "save \"\"".to_owned()];
        if options.tls {
            make_certificates(server.folder())?;
            lines.push("port 0".to_owned());
            lines.push(format!("tls-port {port}"));
            lines.push("tls-auth-clients no".to_owned());
            for (name, file) in [
                ("cert", "server.pem"),
                ("key", "server.key"),
                ("ca-cert", "ca.pem"),
            ] {
                lines.push(format!(
                    "tls-{name}-file {}",
                    server.folder().join(file).display()
                ));
            }
        } else {
            lines.push(format!("port {port}"));
        }
        lines.push(format!("dir {}", server.folder().display()));
        lines.extend(options.lines.iter().cloned());
        fs::write(server.config(), lines.join("\n") + "\n")?;
        server.restart()?;
        Ok(server)
    }

    /// Starts a Sentinel that watches the primary at this port under the name `main`. It decides alone, soon.
    pub fn sentinel(primary: u16) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut server = Self {
            folder: TempDir::new()?,
            program: "redis-sentinel".into(),
            port,
            tls: false,
            password: None,
            process: None,
        };
        let lines = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 6000\n",
            server.folder().display()
        );
        fs::write(server.config(), lines)?;
        server.restart()?;
        Ok(server)
    }

    /// The same for servers that live as long as the program: their folder is removed after it.
    pub fn keep(self) -> anyhow::Result<&'static Self> {
        // Its input stays open until this program ends.
        Box::leak(Box::new(keeper::remove_at_the_end(self.folder())?));
        Ok(Box::leak(Box::new(self)))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> PathBuf {
        self.folder().join("redis.conf")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without a password.
    pub fn url(&self) -> String {
        let tls = if self.tls { "s" } else { "" };
        format!("redis{tls}://127.0.0.1:{}", self.port)
    }

    /// The file with the authority of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Starts it again, on the same port and data, if it does not run.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder().join("log"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .arg(self.config());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = keeper::spawn(command)
            .with_context(|| format!("starting {}: is it installed?", self.program.display()))?;
        self.process = Some(process);
        self.wait()
    }

    /// Waits until it answers and has its data.
    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let answered = self.cli(&["PING"]).unwrap_or_default();
            if answered.contains("PONG") || answered.contains("NOPERM") {
                return Ok(());
            }
            let ended = self
                .process
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten();
            ensure!(
                ended.is_none(),
                "{} ended: {}",
                self.program.display(),
                self.log()
            );
            ensure!(
                Instant::now() < deadline,
                "{} did not answer: {}",
                self.program.display(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.as_ref().context("the server does not run")?;
        let pid = Pid::from_child(process);
        Ok(kill_process(pid, signal)?)
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Has it stand still (SIGSTOP): connections stay, and nothing is answered.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Has it go on (SIGCONT).
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Runs a command by `redis-cli`, as the default user; what it prints.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("redis-cli");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "--no-auth-warning",
        ]);
        if self.tls {
            command.arg("--tls").arg("--cacert").arg(self.ca());
        }
        if let Some(password) = &self.password {
            command.args(["-a", password]);
        }
        let output = command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("redis-cli is missing")?;
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// A field of `INFO`.
    pub fn info(&self, field: &str) -> anyhow::Result<String> {
        let info = self.cli(&["INFO", "everything"])?;
        let line = info.lines().find_map(|line| {
            line.trim_end()
                .strip_prefix(field)?
                .strip_prefix(':')
                .map(str::to_owned)
        });
        line.with_context(|| format!("INFO has no {field}"))
    }

    /// Waits until a command prints this.
    pub fn wait_for(&self, arguments: &[&str], wanted: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let printed = self.cli(arguments)?;
            if printed.contains(wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{arguments:?} never printed {wanted:?}: {printed}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Gives this node of a cluster all slots.
    pub fn own_all_slots(&self) -> anyhow::Result<()> {
        // ADDSLOTSRANGE is not in 6.2.
        let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
        let words = ["CLUSTER", "ADDSLOTS"].into_iter();
        let command: Vec<&str> = words.chain(slots.iter().map(String::as_str)).collect();
        self.cli(&command)?;
        self.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok")
    }
}

/// A cluster of three primaries, each with a replica.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts six nodes and joins them.
    pub fn start() -> anyhow::Result<Self> {
        let options = RedisOptions::new()
            .cluster()
            .line("cluster-node-timeout 5000");
        let nodes = (0..6)
            .map(|_| RedisServer::start(&options))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let addresses: Vec<String> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        let mut join = vec!["--cluster", "create"];
        join.extend(addresses.iter().map(String::as_str));
        join.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        nodes[0].cli(&join)?;
        for node in &nodes {
            node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok")?;
            if node.info("role")? == "slave" {
                node.wait_for(&["INFO", "replication"], "master_link_status:up")?;
            }
        }
        Ok(Self { nodes })
    }

    /// The URL of its first node.
    pub fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.nodes[0].port)
    }

    /// The primary that has this key, which is there, gives its slots to its replica; this returns when it did.
    pub fn hand_over(&self, key: &str) -> anyhow::Result<()> {
        let slot = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key])?;
        for node in &self.nodes {
            let keys: u64 = node.cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot])?.parse()?;
            if keys > 0 && node.info("role")? == "slave" {
                let answer = node.cli(&["CLUSTER", "FAILOVER"])?;
                ensure!(answer == "OK", "the replica refuses: {answer}");
                return node
                    .wait_for(&["INFO", "replication"], "role:master")
                    .with_context(|| node.log());
            }
        }
        bail!("no replica has {key}")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Whatever could not be killed ends with the program.
        let _ = self.kill();
    }
}

/// A port that nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Makes an authority and a certificate of the server, for a day.
fn make_certificates(folder: &Path) -> anyhow::Result<()> {
    let openssl = |arguments: &str| -> anyhow::Result<()> {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .context("openssl is missing")?;
        ensure!(
            output.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    fs::write(
        folder.join("names"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -days 1 -subj /CN=fluid-test-ca -keyout ca.key -out ca.pem"
    ))?;
    openssl(&format!(
        "req {key} -subj /CN=fluid-test -keyout server.key -out server.csr"
    ))?;
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile names -out server.pem",
    )
}
