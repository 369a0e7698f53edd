//! `dashboard`: the pages and the API alone, for a machine that takes no runs.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exec::listen;
use crate::args::DashboardArgs;
use crate::exit::Exit;
use crate::failure::Done;
use crate::failure::Failure;
use crate::http::Http;
use crate::output::style;
use crate::session::Session;

pub(super) async fn dashboard(session: &Session, args: &DashboardArgs) -> Done {
    let broker = session.broker_choice()?;
    let manager = session.shared_manager().await?;
    let mut signals = listen()?;
    let stop = CancellationToken::new();
    let http = Http::open(session, &args.http, manager, &stop).await?;
    let Some(url) = &http.url else {
        return Err(Failure::usage("the dashboard is served nowhere")
            .because(http.why)
            .help("name an address with --http, such as 127.0.0.1:7374"));
    };
    tracing::info!(http = url, broker = %broker.url, "serving the dashboard");
    let output = session.output;
    if output.is_json() {
        output.json(&json!({
            "event": "serving", "version": session.version,
            "broker": { "url": broker.url.to_string(), "why": broker.why },
            "http": { "url": url, "why": http.why },
        }))?;
    } else {
        let name = style::paint(
            style::STRONG,
            format!("{} {}", session.name, session.version),
        );
        output.line(&format!("{name} serves the dashboard alone"))?;
        output.line(&format!("  http      {url} ({})", http.why))?;
        output.line(&format!("  broker    {} ({})", broker.url, broker.why))?;
    }
    let obey = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping");
        stop.cancel();
    };
    tokio::join!(http.run(stop.clone()), obey);
    Ok(Exit::Done)
}
