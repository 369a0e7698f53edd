//! A Redis that has each write on disk before it answers.

use std::net::{Ipv4Addr, SocketAddr};

use fluid_proof::Clocks;
use fluid_test_servers::redis::{RedisOptions, RedisServer};

use super::Store;

/// The server.
pub(super) struct Redis(RedisServer);

impl Redis {
    pub(super) fn start() -> anyhow::Result<Self> {
        let options = RedisOptions::new().append_only();
        Ok(Self(RedisServer::start(&options)?))
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.0.port()).into()
    }
}

impl Store for Redis {
    fn clocks(&self) -> Clocks {
        Clocks::Server
    }

    fn url(&self, address: Option<SocketAddr>) -> String {
        format!("redis://{}", address.unwrap_or(self.address()))
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.address())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()
    }

    fn start_again(&mut self) -> anyhow::Result<()> {
        self.0.restart()
    }

    fn pause(&mut self, paused: bool) -> anyhow::Result<()> {
        if paused {
            self.0.stop()
        } else {
            self.0.go_on()
        }
    }
}
