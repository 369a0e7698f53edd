//! Serves the routes by itself.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A listening socket and the routes that answer on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    routes: Router,
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address can't be listened on: another process has it, or it is not of this machine.
    pub async fn bind(address: SocketAddr, routes: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, routes })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until it is told to stop, and then ends those that are under way.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        axum::serve(self.listener, self.routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }
}
