//! One connection through the proxy.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Fault, Orders};

const CHUNK: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl Way {
    fn is_held_by(self, fault: Option<Fault>) -> bool {
        match fault {
            Some(Fault::Silence) => true,
            Some(Fault::NoAnswers) => self == Self::ToClient,
            _ => false,
        }
    }
}

/// Carries bytes both ways until one side ends or the connection, which began after so many cuts, is cut.
pub(super) async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    began: u64,
    orders: &watch::Sender<Orders>,
) {
    let mut cut = orders.subscribe();
    // A small answer must not wait for the next one.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let was_cut = tokio::select! {
        // What is held up when the connection is cut never arrives.
        biased;
        _ = cut.wait_for(|orders| orders.cuts > began) => true,
        (_, _) = async {
            tokio::join!(
                pass(Way::ToServer, from_client, to_server, orders),
                pass(Way::ToClient, from_server, to_client, orders),
            )
        } => false,
    };
    if was_cut {
        // Reset, so that what is on its way is gone too.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn pass(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    orders: &watch::Sender<Orders>,
) -> io::Result<()> {
    let mut state = orders.subscribe();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        let fault = state.borrow().fault;
        if let Some(Fault::Delay(delay)) = fault {
            sleep(delay).await;
        }
        let _ = state.wait_for(|orders| !way.is_held_by(orders.fault)).await;
        if read == 0 {
            return to.shutdown().await;
        }
        let (passing, cut) = allowance(orders, read);
        to.write_all(&chunk[..passing]).await?;
        if cut {
            orders.send_modify(Orders::cut);
            return Ok(());
        }
    }
}

/// How many of these bytes pass, and whether all connections are cut then.
fn allowance(orders: &watch::Sender<Orders>, wanted: usize) -> (usize, bool) {
    let mut answer = (wanted, false);
    orders.send_if_modified(|orders| {
        if let Some(left) = &mut orders.cut_after {
            let wants = u64::try_from(wanted).unwrap_or(u64::MAX);
            if *left <= wants {
                answer = (usize::try_from(*left).unwrap_or(wanted), true);
            }
            *left = left.saturating_sub(wants);
        }
        // Nobody waits for this number.
        false
    });
    answer
}
