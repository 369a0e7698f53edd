//! A PostgreSQL whose commits wait for the disk.

use std::net::{Ipv4Addr, SocketAddr};

use fluid_proof::Clocks;
use fluid_test_servers::postgres::{Postgres as Server, PostgresOptions};

use super::Store;

/// The server.
pub(super) struct Postgres(Server);

impl Postgres {
    pub(super) fn start() -> anyhow::Result<Self> {
        Ok(Self(Server::start(&PostgresOptions::new().durable())?))
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.0.port()).into()
    }
}

impl Store for Postgres {
    fn clocks(&self) -> Clocks {
        Clocks::Server
    }

    fn url(&self, address: Option<SocketAddr>) -> String {
        let address = address.unwrap_or(self.address());
        format!("postgres://postgres@{address}/postgres")
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.address())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()
    }

    fn start_again(&mut self) -> anyhow::Result<()> {
        self.0.start_again()
    }

    fn pause(&mut self, paused: bool) -> anyhow::Result<()> {
        self.0.pause(paused)
    }
}
