//! An API server that is away for a while, played by a way to it that is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluid_core::Outcome;
use fluid_exec_k8s::K8sExecutor;
use fluid_exec_k8s::kube::{Client, Config};
use fluid_testing::executor::tasks;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::attempt::Attempt;
use crate::place::Place;

/// The way to the API server.
struct Way {
    open: watch::Sender<bool>,
    port: u16,
    refused: Arc<AtomicBool>,
    _serving: JoinSet<()>,
}

impl Way {
    async fn to(host: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, told) = watch::channel(true);
        let refused = Arc::new(AtomicBool::new(false));
        let seen = refused.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let mut told = told.clone();
                if !*told.borrow() {
                    seen.store(true, Ordering::Relaxed);
                    continue;
                }
                let host = host.clone();
                connections.spawn(async move {
                    let (mut near, mut far) = (near, TcpStream::connect(host).await.unwrap());
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = told.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self {
            open,
            port,
            refused,
            _serving: serving,
        }
    }

    /// Breaks every connection and lets no other through.
    fn cut(&self) {
        self.refused.store(false, Ordering::Relaxed);
        self.open.send_replace(false);
    }

    fn mend(&self) {
        self.open.send_replace(true);
    }

    /// Waits until somebody tried in vain.
    async fn tried(&self) {
        while !self.refused.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    }
}

/// An executor that goes by a way of its own.
async fn executor() -> (K8sExecutor, Way) {
    let mut config = Config::infer().await.unwrap();
    let host = config.cluster_url.host().unwrap().to_owned();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let way = Way::to(format!("{host}:{port}")).await;
    config.tls_server_name = Some(host);
    config.cluster_url = format!("https://127.0.0.1:{}", way.port).parse().unwrap();
    let client = Client::try_from(config).unwrap();
    (K8sExecutor::builder(client).build(), way)
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_job_is_made_once_when_the_api_comes_back() {
    let place = Place::new("away").await;
    let (executor, way) = executor().await;
    way.cut();
    let task = tasks::find("result").unwrap().k8s_config(place.config());
    let mut attempt = Attempt::start(&executor, task, &json!({})).await;
    attempt
        .until_waiting("the Kubernetes API can't answer")
        .await;
    way.mend();
    assert_eq!(attempt.result().await, json!({"answer": 42}));
    assert_eq!(place.jobs().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn an_api_that_goes_away_in_the_middle_fails_nothing_and_no_output_is_lost() {
    let place = Place::new("middle").await;
    let (executor, way) = executor().await;
    let task = tasks::find("take_time").unwrap().k8s_config(place.config());
    let mut attempt = Attempt::start(&executor, task, &json!({})).await;
    attempt.until_line("begin").await;
    way.cut();
    let pause = async {
        way.tried().await;
        // Long enough that the program ends meanwhile.
        tokio::time::sleep(Duration::from_secs(5)).await;
        way.mend();
    };
    let ((), outcome) = tokio::join!(pause, attempt.outcome());
    assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
    assert_eq!(attempt.lines, ["begin", "end"]);
    assert_eq!(place.jobs().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn logs_that_break_off_go_on_where_they_ended() {
    let place = Place::new("breaks").await;
    let (executor, way) = executor().await;
    let task = tasks::find("count").unwrap().k8s_config(place.config());
    let mut attempt = Attempt::start(&executor, task, &json!({"count": 50_000})).await;
    for at in [1, 5_000, 20_000] {
        attempt.until_line(&format!("line {at}")).await;
        way.cut();
        way.mend();
    }
    attempt.outcome().await;
    let wrong = (0..50_000).find(|at| attempt.lines.get(*at) != Some(&format!("line {}", at + 1)));
    assert_eq!(
        wrong,
        None,
        "{:?}",
        wrong.map(|at| attempt
            .lines
            .iter()
            .skip(at.saturating_sub(2))
            .take(5)
            .collect::<Vec<_>>())
    );
    assert_eq!(attempt.lines.len(), 50_000);
}

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_run_is_cancelled_when_the_api_comes_back() {
    let place = Place::new("cancel").await;
    let (executor, way) = executor().await;
    let task = tasks::find("sleep_program")
        .unwrap()
        .k8s_config(place.config());
    let mut attempt = Attempt::start(&executor, task, &json!({})).await;
    attempt.until_line("ready").await;
    way.cut();
    let mend = async {
        way.tried().await;
        way.mend();
    };
    tokio::join!(attempt.cancel(), mend);
    assert_eq!(attempt.outcome().await, Outcome::Cancelled);
    assert!(place.jobs().await.is_empty());
}
