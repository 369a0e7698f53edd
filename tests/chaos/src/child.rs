//! One of the processes: a consumer or a scheduler.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fluid_core::{Broker, ConsumerId};
use fluid_proof::{ClockOff, Gate, Ledger, LedgerFile, Process, SkewedIds, Tokens, Wrapped};
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::{Child, Role};
use crate::{death, machine, store};

/// Between two tries to open a broker that can't be reached.
const AGAIN: Duration = Duration::from_millis(100);

/// Where ledgers are kept.
pub(crate) fn ledgers(folder: &Path) -> std::path::PathBuf {
    folder.join("ledgers")
}

/// Where the latest tokens are kept if fencing is broken.
pub(crate) fn tokens(folder: &Path) -> std::path::PathBuf {
    folder.join("tokens")
}

/// The ledger of the process with this name.
pub(crate) fn ledger(folder: &Path, name: &str) -> io::Result<Ledger> {
    let file = ledgers(folder).join(format!("{name}.jsonl"));
    let sink = LedgerFile::open(&file, machine::micros)?;
    Ok(Ledger::new(name, Arc::new(sink)))
}

/// Works until it is told to stop.
pub(crate) async fn run(child: &Child) -> anyhow::Result<()> {
    death::with(child.parent)?;
    let stop = CancellationToken::new();
    let mut told = signal(SignalKind::terminate())?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            told.recv().await;
            stop.cancel();
        }
    });
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let ahead = SignedDuration::from_millis(child.ahead);
    let Some(broker) = open(child, ahead, &stop).await? else {
        return Ok(());
    };
    let broker = match child.sabotage {
        Some(sabotage) => sabotage.of(broker, Tokens::Folder(tokens(&child.folder))),
        None => broker,
    };
    let broker = Wrapped::of(broker, SkewedIds::new(child.ahead));
    let ledger = ledger(&child.folder, &child.name)?;
    let process = Process::new(broker, ledger, Gate::default())?;
    match child.role {
        Role::Consumer => {
            let id = ConsumerId::parse(&child.name)?;
            process.consume(id, ahead, stop).await?;
        }
        Role::Scheduler => process.schedule(stop).await?,
    }
    Ok(())
}

/// Opens the broker, as soon as that is possible; `None` when told to stop before.
async fn open(
    child: &Child,
    ahead: SignedDuration,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Arc<dyn Broker>>> {
    loop {
        match store::open(&child.url, ClockOff(ahead)).await {
            Ok(broker) => return Ok(Some(broker)),
            Err(error) if error.is_transient() => {
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
            Err(error) => return Err(error).context("opening the broker"),
        }
    }
}
