//! Redis.

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_test_servers::redis::{RedisOptions as Server, RedisServer};

use super::{Expected, PASSWORD, Scene};

fn start() -> RedisServer {
    RedisServer::start(&Server::new().password(PASSWORD).append_only()).unwrap()
}

async fn begin(server: &RedisServer) -> Scene {
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port());
    let options = RedisOptions::from_url(&url).unwrap();
    Scene::begin(&url, RedisBroker::open(options).await.unwrap()).await
}

fn expected<'a>(hints: &'a [&'a str]) -> Expected<'a> {
    Expected {
        hints,
        output_alone: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_redis_was_gone() {
    let mut server = start();
    let scene = begin(&server).await;
    let expected = expected(&["can't be reached"]);
    server.kill().unwrap();
    scene.suffer(&expected).await;
    server.restart().unwrap();
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_told_to_stop_stops_although_redis_is_gone() {
    let mut server = start();
    let scene = begin(&server).await;
    server.kill().unwrap();
    scene.suffer(&expected(&["can't be reached"])).await;
    let (status, said) = scene.consumer.stop();
    assert!(status.success(), "{said}");
    assert!(said.contains("others take them"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_redis_had_refused_its_password() {
    let server = start();
    let scene = begin(&server).await;
    let expected = expected(&["refused the user or password"]);
    server
        .cli(&["CONFIG", "SET", "requirepass", "another"])
        .unwrap();
    for kind in ["normal", "pubsub"] {
        let kill = ["-a", "another", "CLIENT", "KILL", "TYPE", kind];
        server.cli(&kill).unwrap();
    }
    scene.suffer(&expected).await;
    let back = ["-a", "another", "CONFIG", "SET", "requirepass", PASSWORD];
    server.cli(&back).unwrap();
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_end_while_redis_has_no_memory_for_what_they_print() {
    let server = start();
    let scene = begin(&server).await;
    let expected = Expected {
        hints: &["maxmemory", "purge"],
        output_alone: true,
    };
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    scene.suffer(&expected).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_redis_had_become_a_replica() {
    let server = start();
    let scene = begin(&server).await;
    let expected = expected(&["is a replica"]);
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    scene.suffer(&expected).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    scene.recovers(&expected).await;
}
