//! Hears what other handles did.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::Event;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::sleep;

use crate::events::tell;
use crate::fault::Outcome;
use crate::link::Link;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens until it is dropped. Each time that it begins to, something may have been missed.
pub(crate) async fn listen(link: Arc<Link>, events: broadcast::Sender<Event>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match hear(&link, &events).await {
            // It had worked until the connection was lost.
            Ok(()) => pause = FIRST_PAUSE,
            Err(fault) => {
                let error = link.error(&fault);
                tracing::debug!(broker = %link.url(), %error, "events can't be heard now");
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        sleep(pause).await;
    }
}

/// Listens until the connection is lost.
async fn hear(link: &Link, events: &broadcast::Sender<Event>) -> Outcome<()> {
    let mut listener = link.connector.listen().await?;
    listener.subscribe(link.channel()).await?;
    let _ = events.send(Event::Changed);
    let mut messages = listener.into_on_message();
    while let Some(message) = messages.next().await {
        let payload = message.get_payload_bytes();
        let Ok(text) = std::str::from_utf8(payload) else {
            continue;
        };
        // This handle's own listeners heard it already.
        if let Some((who, said)) = text.split_once('\n')
            && who != link.me()
        {
            tell(events, said);
        }
    }
    Ok(())
}
