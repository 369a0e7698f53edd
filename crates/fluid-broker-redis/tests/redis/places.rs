//! Each kind of server that a URL can name does all that a broker needs.

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_core::{Broker, BrokerError};
use fluid_test_servers::redis::RedisOptions as ServerOptions;

use crate::stage::{impatient, server, shared, whole_life};

/// What docs/redis.md tells to give a user.
const RULES: &str = "on >hunter2 resetchannels ~{fluid}:* &{fluid}:* +@all -@dangerous -@admin";

async fn opened(url: &str) -> RedisBroker {
    RedisBroker::open(RedisOptions::from_url(url).unwrap())
        .await
        .unwrap()
}

async fn refused(url: &str) -> BrokerError {
    let error = RedisBroker::open(RedisOptions::from_url(url).unwrap())
        .await
        .unwrap_err();
    assert!(
        !error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"),
        "{error:?}"
    );
    error
}

#[tokio::test]
async fn a_user_with_the_documented_rules_may_do_all_that_is_needed() {
    let server = server(&ServerOptions::new().password("root").user("fluid", RULES));
    let broker = opened(&format!(
        "redis://fluid:hunter2@127.0.0.1:{}",
        server.port()
    ))
    .await;
    assert!(!format!("{broker:?} {}", broker.describe()).contains("hunter2"));
    whole_life(&broker).await;
}

#[tokio::test]
async fn a_server_that_speaks_tls_is_believed_by_its_authority() {
    let server = server(&ServerOptions::new().tls());
    let url = format!("{}?ca={}", server.url(), server.ca().display());
    whole_life(&opened(&url).await).await;

    let error = refused(&server.url()).await.to_string();
    assert!(
        error.contains("TLS does not work out") && error.contains("ca="),
        "{error}"
    );
    let error = refused(&server.url().replace("rediss", "redis"))
        .await
        .to_string();
    assert!(error.contains("a URL that begins with rediss"), "{error}");
    let plain = format!(
        "{}?ca={}",
        shared().url().replace("redis://", "rediss://"),
        server.ca().display()
    );
    let error = RedisBroker::open(impatient(&plain))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("see whether its port speaks TLS"), "{error}");
    let error = refused("rediss://127.0.0.1:1?ca=/nowhere/ca.pem")
        .await
        .to_string();
    assert!(
        error.contains("\"/nowhere/ca.pem\" can't be read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_takes_everything_in_one_slot() {
    let server = server(&ServerOptions::new().cluster());
    server.own_all_slots().unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let broker = opened(&url).await;
    assert_eq!(broker.describe(), url);
    whole_life(&broker).await;
}

#[tokio::test]
async fn a_socket_and_another_database_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let server = server(&ServerOptions::new().line(&format!("unixsocket {}", socket.display())));
    whole_life(&opened(&format!("redis+unix://{}?db=3", socket.display())).await).await;
    assert_eq!(server.cli(&["-n", "0", "DBSIZE"]).unwrap(), "0");
    whole_life(&opened(&format!("{}/5", server.url())).await).await;
    assert_ne!(server.cli(&["-n", "5", "DBSIZE"]).unwrap(), "0");
}

#[tokio::test]
async fn a_migration_says_which_version_was_there() {
    let server = server(&ServerOptions::new());
    let options = RedisOptions::from_url(&server.url()).unwrap();
    assert_eq!(RedisBroker::migrate(&options).await.unwrap(), (0, 1));
    assert_eq!(RedisBroker::migrate(&options).await.unwrap(), (1, 1));
    opened(&server.url()).await;
}
