//! The dashboard, driven by a real browser against real data: `drive.mjs` says what is done and seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../../examples/demo/life.rs"]
mod life;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{RunFilter, RunState};
use fluid_http::{HttpOptions, Server, routes};
use fluid_scheduler::TaskManager;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// How long everything may take.
const DEADLINE: Duration = Duration::from_secs(240);
/// How many runs there are before anybody looks.
const RUNS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_action_works_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("fluid.db"));
    let broker = Arc::new(SqliteBroker::open(options).await.unwrap());
    let manager = life::manager(broker).unwrap();
    let app = routes(manager.clone(), HttpOptions::default());
    // Below a path, as behind a proxy.
    let app = axum::Router::new().nest("/some/where", app);
    let server = Server::bind(([127, 0, 0, 1], 0).into(), app).await.unwrap();
    let base = format!("http://{}/some/where/", server.address().unwrap());
    let stop = CancellationToken::new();
    let driven = async {
        there_is_something_to_see(&manager).await;
        drive(&base).await
    };
    let good = tokio::select! {
        served = server.run(stop.clone()) => panic!("the server ended: {served:?}"),
        lived = life::live(&manager, stop.clone()) => panic!("the tasks ended: {lived:?}"),
        driven = tokio::time::timeout(DEADLINE, driven) => driven.expect("the browser took too long"),
    };
    assert!(good, "what the browser saw stands above");
}

/// Waits until the long run is done, something failed, and a list has a second page.
async fn there_is_something_to_see(manager: &TaskManager) {
    let mut events = manager.events();
    let enough = async |filter: RunFilter, number| {
        let page = manager.broker().list(filter, None, RUNS).await.unwrap();
        page.runs.len() >= number
    };
    let ended = |task: &str, state| RunFilter {
        tasks: vec![task.parse().unwrap()],
        states: vec![state],
        ..RunFilter::default()
    };
    while !(enough(ended("import-prices", RunState::Success), 1).await
        && enough(ended("resize", RunState::Failure), 1).await
        && enough(ended("resize", RunState::Success), RUNS).await)
    {
        // Any event, or a lagging of them: either way it is looked again.
        let _ = tokio::time::timeout(Duration::from_secs(1), events.recv()).await;
    }
}

/// Tells what it does while it does it.
async fn drive(base: &str) -> bool {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let modules = modules();
    for script in ["browser.mjs", "drive.mjs"] {
        std::fs::copy(scripts.join(script), modules.join(script)).unwrap();
    }
    let status = Command::new("node")
        .arg(modules.join("drive.mjs"))
        .arg(base)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .expect("node is installed by `cargo xtask test`");
    status.success()
}

/// Where `cargo xtask test` keeps what the scripts import, by the hash that it was locked at.
fn modules() -> std::path::PathBuf {
    let folder = std::env::var_os("FLUID_BROWSER").expect(
        "FLUID_BROWSER names the folder with playwright-core and axe: run `cargo xtask test`, which installs them",
    );
    folder.into()
}
