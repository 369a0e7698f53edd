//! The dashboard with lively data, to look at: `cargo run -p fluid-http --example demo`, then open what it prints.
//! It ends with Ctrl-C, or by itself after an hour.

mod life;

use std::sync::Arc;
use std::time::Duration;

use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::MemoryBroker;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = life::manager(Arc::new(MemoryBroker::new()))?;
    let stop = CancellationToken::new();
    let app = routes(manager.clone(), HttpOptions::default());
    let server = Server::bind(([127, 0, 0, 1], 7474).into(), app).await?;
    println!("http://{}/ui/", server.address()?);
    tokio::select! {
        served = server.run(stop.clone()) => served,
        lived = life::live(&manager, stop.clone()) => lived?,
        _ = tokio::signal::ctrl_c() => {}
        () = tokio::time::sleep(Duration::from_secs(3600)) => {}
    }
    Ok(())
}
