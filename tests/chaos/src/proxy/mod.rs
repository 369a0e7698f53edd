//! A proxy in between, which delays, cuts and swallows.

mod connection;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use connection::carry;

/// What is wrong with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Everything takes so much longer, each way.
    Delay(Duration),
    /// Those that there are end, and new ones end at once.
    Refuse,
    /// Nothing passes, and nothing is told of it: what is sent meanwhile arrives later, unless the connection is cut.
    Silence,
    /// Nothing passes from the server: what was asked is done, and its answer does not come, as with `Silence`.
    NoAnswers,
}

/// What is to be done to connections.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    fault: Option<Fault>,
    /// Connections that began under a smaller number end.
    cuts: u64,
    /// How many more bytes pass, over all connections, before the next cut.
    cut_after: Option<u64>,
}

/// Forwards connections to a server of this machine, as long as it lives.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    orders: Arc<watch::Sender<Orders>>,
    work: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback and forwards to `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let orders = Arc::new(watch::Sender::new(Orders::default()));
        let work = tokio::spawn(listen(listener, upstream, orders.clone()));
        Ok(Self {
            address,
            orders,
            work,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections have this fault, or none.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        self.orders.send_modify(|orders| {
            orders.fault = fault;
            if fault == Some(Fault::Refuse) {
                orders.cuts += 1;
            }
        });
    }

    /// Ends all connections at once, with what is on its way.
    pub(crate) fn cut(&self) {
        self.orders.send_modify(Orders::cut);
    }

    /// Ends all connections once so many more bytes have passed, counting both ways.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.orders
            .send_modify(|orders| orders.cut_after = Some(bytes));
    }
}

impl Orders {
    fn cut(&mut self) {
        self.cuts += 1;
        self.cut_after = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn listen(listener: TcpListener, upstream: SocketAddr, orders: Arc<watch::Sender<Orders>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of files, say: whoever wanted to connect tries again.
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connect(client, upstream, orders.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, orders: Arc<watch::Sender<Orders>>) {
    let Orders { fault, cuts, .. } = *orders.borrow();
    if fault != Some(Fault::Refuse)
        && let Ok(server) = TcpStream::connect(upstream).await
    {
        carry(client, server, cuts, &orders).await;
    } else {
        // Ends as a connection does that nobody listens for.
        let _ = client.set_zero_linger();
    }
}
