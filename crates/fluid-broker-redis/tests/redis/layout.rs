//! Where keys lie, and how often the server is asked.

use fluid_core::{
    Broker, DEFAULT_LEASE, LogBatch, LogLine, LogStream, Progress, Report, RunFilter, Tick,
};
use fluid_test_servers::redis::{RedisOptions as ServerOptions, RedisServer};

use crate::stage::{lease, new_runs, open, server, successes, task, whole_life, wish_for};

/// How many scripts were run since the last time.
fn scripts(server: &RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]).unwrap();
    let of = |name: &str| -> u64 {
        let line = stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        let calls =
            line.and_then(|line| line.split_once("calls=")?.1.split(',').next()?.parse().ok());
        calls.unwrap_or(0)
    };
    let scripts = of("eval") + of("evalsha");
    server.cli(&["CONFIG", "RESETSTAT"]).unwrap();
    scripts
}

#[tokio::test]
async fn a_batch_is_one_round_trip() {
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    let of_all = |broker| whole_life_of_many(broker, &server);
    // The server learns the scripts.
    of_all(&broker).await;
    for (what, asked) in of_all(&broker).await {
        assert_eq!(asked, 1, "{what}");
    }
}

async fn whole_life_of_many(broker: &dyn Broker, server: &RedisServer) -> Vec<(&'static str, u64)> {
    let mut asked = Vec::new();
    scripts(server);
    let mut runs = new_runs("a", 500);
    for (n, run) in runs.iter_mut().enumerate().take(250) {
        run.concurrency_key = format!("{n}").into();
    }
    broker.enqueue(runs).await.unwrap();
    asked.push(("enqueue", scripts(server)));
    let claimed = broker.claim(wish_for("a", 500)).await.unwrap().runs;
    assert_eq!(claimed.len(), 500);
    asked.push(("claim", scripts(server)));
    let leases = claimed.iter().map(lease);
    broker
        .extend(leases.clone().collect(), DEFAULT_LEASE)
        .await
        .unwrap();
    asked.push(("extend", scripts(server)));
    let report = |lease| {
        let mut report = Report::new(lease);
        report.progress = Some(Progress::new(0.5, ""));
        report
    };
    broker
        .report(leases.clone().map(report).collect())
        .await
        .unwrap();
    asked.push(("report", scripts(server)));
    let line = LogLine {
        at: jiff::Timestamp::UNIX_EPOCH,
        stream: LogStream::Stdout,
        text: "hello".to_owned(),
    };
    let logs = claimed.iter().map(|(run, _)| LogBatch {
        run: run.id,
        attempt: 1,
        lines: vec![line.clone(); 3],
    });
    broker.append_logs(logs.collect()).await.unwrap();
    asked.push(("append_logs", scripts(server)));
    let (reported, ended) = claimed.split_at(100);
    let reports = reported.iter().map(|one| report(lease(one))).collect();
    broker
        .report_and_finish(reports, successes(ended))
        .await
        .unwrap();
    asked.push(("report_and_finish", scripts(server)));
    broker.finish(successes(reported)).await.unwrap();
    asked.push(("finish", scripts(server)));
    let now = broker.now().await.unwrap();
    scripts(server);
    let ticks = (0..100).map(|n| Tick {
        task: task("b"),
        instant: now + jiff::SignedDuration::from_secs(n),
        run: new_runs("b", 1).remove(0),
    });
    broker.tick(ticks.collect()).await.unwrap();
    asked.push(("tick", scripts(server)));
    let one = new_runs("c", 1);
    let id = one[0].id;
    broker.enqueue(one).await.unwrap();
    scripts(server);
    broker.cancel(id).await.unwrap();
    asked.push(("cancel", scripts(server)));
    broker.list(RunFilter::default(), None, 50).await.unwrap();
    asked.push(("list", scripts(server)));
    broker.stats().await.unwrap();
    asked.push(("stats", scripts(server)));
    asked
}

#[tokio::test]
async fn every_key_has_the_hash_tag_of_the_prefix() {
    let server = server(&ServerOptions::new());
    let broker = open(&format!("{}?prefix=a/b", server.url())).await;
    whole_life(&broker).await;
    whole_life_of_many(&broker, &server).await;
    let keys = server.cli(&["--scan"]).unwrap();
    assert!(keys.lines().count() > 10, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("{a/b}:"), "{key}");
    }
    let channels = server.cli(&["PUBSUB", "CHANNELS"]).unwrap();
    assert_eq!(channels, "{a/b}:events");
}

/// Claims look at the heads of lanes, whatever waits behind them and whatever has ended.
#[tokio::test]
async fn a_claim_costs_the_same_however_many_wait() {
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    let mut costs = Vec::new();
    for waiting in [200, 20_000] {
        let mut runs = new_runs("a", waiting);
        for (n, run) in runs.iter_mut().enumerate() {
            // Every other run in a lane of its own.
            if n % 2 == 0 {
                run.concurrency_key = format!("{n}").into();
            }
        }
        broker.enqueue(runs).await.unwrap();
        broker.claim(wish_for("a", 1)).await.unwrap();
        server.cli(&["CONFIG", "RESETSTAT"]).unwrap();
        for _ in 0..20 {
            assert_eq!(broker.claim(wish_for("a", 1)).await.unwrap().runs.len(), 1);
        }
        let stats = server.cli(&["INFO", "commandstats"]).unwrap();
        let calls: u64 = stats
            .lines()
            .filter_map(|line| {
                line.split_once("calls=")?
                    .1
                    .split(',')
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
            .sum();
        costs.push(calls);
    }
    assert!(
        costs[1] <= costs[0] + costs[0] / 5,
        "commands for 20 claims: {costs:?}"
    );
}
