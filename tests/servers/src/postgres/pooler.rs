//! What lends a server's connections to many clients.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::place::{Folder, as_server, free_port, give_away};
use super::{Postgres, SOON};
use crate::keeper;

/// A `PgBouncer` in front of a server, which lends its connections for the length of a transaction.
#[derive(Debug)]
pub struct PgBouncer {
    folder: Folder,
    port: u16,
    process: Child,
}

impl PgBouncer {
    /// Starts one in front of this server, which must trust everybody.
    pub fn start(server: &Postgres) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let port = free_port()?;
        let users = folder.path().join("users");
        fs::write(&users, "\"postgres\" \"\"\n")?;
        let configuration = folder.path().join("pgbouncer.ini");
        // With `auth_type = any` clients are let in as this user, whoever they are.
        fs::write(
            &configuration,
            format!(
                "[databases]\n* = user=postgres host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = any\nauth_file = {}\npool_mode = transaction\nmax_client_conn = 2000\n\
                 default_pool_size = 30\nignore_startup_parameters = extra_float_digits\n",
                server.port(),
                users.display()
            ),
        )?;
        give_away(&users)?;
        give_away(&configuration)?;
        let log = folder.path().join("log");
        let out = File::create(&log)?;
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| Path::new(path).is_file())
            .context("pgbouncer is missing: install the package pgbouncer")?;
        let mut bouncer = as_server(Path::new(program));
        bouncer
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let mut process = keeper::spawn(bouncer)?;
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.try_wait()?.is_some() || since.elapsed() > SOON {
                bail!("pgbouncer does not start:\n{}", fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            folder,
            port,
            process,
        })
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// What it wrote into its log so far.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
