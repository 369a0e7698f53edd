//! Filters that name runs.

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{Broker, Enqueued, NewRun, Params, RunFilter, RunId, TaskName};

async fn broker_with_cancelled_runs(folder: &tempfile::TempDir) -> (SqliteBroker, Vec<RunId>) {
    let options = SqliteOptions::new(folder.path().join("fluid.db"));
    let broker = SqliteBroker::open(options).await.unwrap();
    let task = TaskName::parse("resize").unwrap();
    let new = || NewRun::new(task.clone(), Params::default());
    let enqueued = broker.enqueue(vec![new(), new(), new()]).await.unwrap();
    let ids: Vec<RunId> = enqueued.into_iter().map(Enqueued::run).collect();
    for id in &ids {
        broker.cancel(*id).await.unwrap();
    }
    (broker, ids)
}

fn named(ids: &[RunId]) -> RunFilter {
    RunFilter {
        ids: ids.to_vec(),
        ..RunFilter::default()
    }
}

async fn listed(broker: &SqliteBroker, filter: RunFilter) -> Vec<RunId> {
    let page = broker.list(filter, None, 10).await.unwrap();
    page.runs.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn a_named_run_alone_is_listed_retried_and_purged() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, ids) = broker_with_cancelled_runs(&folder).await;

    let twice = [ids[0], ids[2], ids[0]];
    assert_eq!(listed(&broker, named(&twice)).await, [ids[2], ids[0]]);

    let again = broker.retry(named(&ids[1..2]), 10).await.unwrap();
    assert_eq!(again.len(), 1);
    let retried = broker.get(again[0]).await.unwrap().unwrap();
    assert_eq!(retried.retry_of, Some(ids[1]));

    assert_eq!(broker.purge(named(&ids[1..2]), 10).await.unwrap(), 1);
    let left = listed(&broker, RunFilter::default()).await;
    assert_eq!(left, [again[0], ids[2], ids[0]]);
}

#[tokio::test]
async fn a_named_run_must_pass_the_rest_of_the_filter_too() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, ids) = broker_with_cancelled_runs(&folder).await;
    let mut filter = named(&ids[..1]);
    filter.parent = Some(ids[2]);
    assert_eq!(listed(&broker, filter).await, []);
    assert_eq!(listed(&broker, named(&[RunId::new()])).await, []);
}
