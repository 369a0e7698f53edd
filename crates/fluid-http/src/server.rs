//! Serves the routes by itself.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::guard::refusal;
use crate::limits::Limits;

/// How many headers a request may have.
const HEADERS: usize = 64;
/// How many connections beyond the limit are told that there are too many, instead of being closed.
const TOLD: usize = 64;
/// How long requests that are under way at the end may take.
const LAST: Duration = Duration::from_secs(5);
/// How long to wait when the system has no more sockets.
const RECOVERY: Duration = Duration::from_millis(500);

/// A listening socket and the routes that answer on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    routes: Router,
    limits: Limits,
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address can't be listened on: another process has it, or it is not of this machine.
    pub async fn bind(address: SocketAddr, routes: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            routes,
            limits: Limits::default(),
        })
    }

    /// Sets what is taken of connections and heads of requests.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until it is told to stop, and then ends those that are under way, within 5 s.
    ///
    /// When the future is dropped all connections are closed at once.
    pub async fn run(self, stop: CancellationToken) {
        let builder = connection(&self.limits);
        let (free, told) = (
            Arc::new(Semaphore::new(self.limits.connections)),
            Arc::new(Semaphore::new(TOLD)),
        );
        let too_many = Router::new().fallback(too_many);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener) => accepted,
            };
            let (permit, routes) = if let Ok(permit) = free.clone().try_acquire_owned() {
                (permit, self.routes.clone())
            } else if let Ok(permit) = told.clone().try_acquire_owned() {
                (permit, too_many.clone())
            } else {
                continue;
            };
            let service = service_fn(move |request| answer(routes.clone(), peer, request));
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            let serving = graceful.watch(serving);
            connections.spawn(async move {
                // What a client breaks off is its own affair.
                let _ = serving.await;
                drop(permit);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(LAST, graceful.shutdown()).await;
        connections.shutdown().await;
    }
}

fn connection(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(HEADERS)
        .max_buf_size(limits.head.max(8 * 1024));
    builder
}

async fn answer(
    routes: Router,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    routes.oneshot(request).await
}

/// The next connection, however long the system has none to give.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small, and whoever waits for one should have it.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::time::sleep(RECOVERY).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn too_many() -> Response {
    refusal::too_many_connections()
}
