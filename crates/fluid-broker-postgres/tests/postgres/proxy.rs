//! A proxy on loopback that loses what it is told to lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PASS: u8 = 0;
const LOSE_ANSWER: u8 = 1;
const LOSE_REQUEST: u8 = 2;

/// Stands between a broker and a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    orders: Arc<Orders>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Orders {
    next: AtomicU8,
    lost: AtomicU32,
    refuse: AtomicBool,
}

impl Orders {
    /// Whether this is what was to be lost. It is lost only once.
    fn take(&self, what: u8) -> bool {
        let taken = self
            .next
            .compare_exchange(what, PASS, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if taken {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
        taken
    }
}

impl Proxy {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Arc::new(Orders::default());
        let task = {
            let orders = Arc::clone(&orders);
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    if orders.refuse.load(Ordering::SeqCst) {
                        continue;
                    }
                    let orders = Arc::clone(&orders);
                    tokio::spawn(async move {
                        if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                            pass_on(client, server, &orders).await;
                        }
                    });
                }
            })
        };
        Self {
            address,
            orders,
            task,
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address)
    }

    /// The server does what it is asked next, and nobody hears of it.
    pub(crate) fn lose_next_answer(&self) {
        self.orders.next.store(LOSE_ANSWER, Ordering::SeqCst);
    }

    /// What is asked next does not reach the server.
    pub(crate) fn lose_next_request(&self) {
        self.orders.next.store(LOSE_REQUEST, Ordering::SeqCst);
    }

    /// Nobody who comes from now on gets through, or everybody does.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.orders.refuse.store(refuse, Ordering::SeqCst);
    }

    /// How often something was lost.
    pub(crate) fn lost(&self) -> u32 {
        self.orders.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Copies both ways until one side ends, or something is to be lost: then both are closed.
async fn pass_on(mut client: TcpStream, mut server: TcpStream, orders: &Orders) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        let passed = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(length) if length > 0 && !orders.take(LOSE_REQUEST) => {
                    server.write_all(&asked[..length]).await
                }
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(length) if length > 0 && !orders.take(LOSE_ANSWER) => {
                    client.write_all(&answered[..length]).await
                }
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}
