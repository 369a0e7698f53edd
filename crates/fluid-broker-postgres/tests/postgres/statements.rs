//! Each call is one statement.

use std::time::Duration;

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{
    Broker, DEFAULT_LEASE, LogBatch, LogLine, LogStream, Progress, Report, RunFilter, Tick,
};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};

use crate::stage::{lease, new_run, new_runs, success, task, wish_for};

#[tokio::test]
async fn a_batch_of_anything_is_one_statement() {
    let settings = Server::new().setting("log_statement", "all");
    let server = Postgres::start(&settings).unwrap();
    let options = PostgresOptions::from_url(&server.url("postgres")).unwrap();
    let broker = PostgresBroker::open(options).await.unwrap();
    let statements = || {
        let log = server.log().unwrap();
        let all = log.lines().filter(|line| {
            (line.contains("execute <unnamed>:") || line.contains("statement:"))
                && !line.contains("pg_notify")
        });
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let seen = std::cell::Cell::new(statements().len());
    let one = |what: &str| {
        let all = statements();
        let new = &all[seen.get()..];
        assert_eq!(new.len(), 1, "{what}: {new:#?}");
        seen.set(all.len());
    };

    broker.enqueue(new_runs("a", 300)).await.unwrap();
    one("enqueue");
    let claimed = broker.claim(wish_for("a", 200)).await.unwrap().runs;
    one("claim");
    let leases: Vec<_> = claimed.iter().map(lease).collect();
    broker.extend(leases.clone(), DEFAULT_LEASE).await.unwrap();
    one("extend");
    let report = |lease: &fluid_core::LeaseRef| {
        let mut report = Report::new(*lease);
        report.progress = Some(Progress::new(0.5, "half"));
        report
    };
    broker
        .report(leases.iter().map(report).collect())
        .await
        .unwrap();
    one("report");
    let line = LogLine {
        at: broker.now().await.unwrap(),
        stream: LogStream::Stdout,
        text: "x".to_owned(),
    };
    one("now");
    let batch = |lease: &fluid_core::LeaseRef| LogBatch {
        run: lease.run,
        attempt: 1,
        lines: vec![line.clone(); 3],
    };
    broker
        .append_logs(leases.iter().map(batch).collect())
        .await
        .unwrap();
    one("append_logs");
    let ends = leases.iter().map(|lease| (*lease, success())).collect();
    broker
        .report_and_finish(leases.iter().map(report).collect(), ends)
        .await
        .unwrap();
    one("report_and_finish");
    let ticks = (0..20).map(|second| Tick {
        task: task("a"),
        instant: line.at + Duration::from_secs(second),
        run: new_run("a"),
    });
    broker.tick(ticks.collect()).await.unwrap();
    one("tick");
    broker.retry(RunFilter::default(), 50).await.unwrap();
    one("retry");
    broker.purge(RunFilter::default(), 50).await.unwrap();
    one("purge");
    broker.list(RunFilter::default(), None, 50).await.unwrap();
    one("list");
    broker.stats().await.unwrap();
    one("stats");
    broker.get(leases[0].run).await.unwrap();
    one("get");
    broker.attempts(leases[0].run).await.unwrap();
    one("attempts");
    broker.cancel(leases[0].run).await.unwrap();
    one("cancel");
    broker.last_ticks().await.unwrap();
    one("last_ticks");
    broker.set_task_enabled(task("a"), false).await.unwrap();
    one("set_task_enabled");
    broker.settings().await.unwrap();
    one("settings");
}
