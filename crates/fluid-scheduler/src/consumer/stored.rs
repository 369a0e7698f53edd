//! How far the output of an attempt that is adopted was stored by earlier consumers.

use fluid_core::{Broker, BrokerResult, LogStream, RunId, StoredOutput};

const PAGE: usize = 1000;

/// The end of an attempt's output as stored. What fluid itself said is none of it. Cancellation safe.
pub(super) async fn output(
    broker: &dyn Broker,
    run: RunId,
    attempt: u32,
) -> BrokerResult<Option<StoredOutput>> {
    let mut stored: Option<StoredOutput> = None;
    let mut after = 0;
    loop {
        let page = broker.read_logs(run, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(stored);
        };
        after = last.position;
        let printed = page
            .iter()
            .filter(|stored| stored.attempt == attempt && stored.line.stream != LogStream::System);
        for line in printed {
            stored = Some(match stored {
                Some(StoredOutput { at, lines }) if at == line.line.at => StoredOutput {
                    at,
                    lines: lines + 1,
                },
                _ => StoredOutput {
                    at: line.line.at,
                    lines: 1,
                },
            });
        }
    }
}
