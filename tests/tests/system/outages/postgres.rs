//! PostgreSQL.

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};

use super::{Expected, PASSWORD, Scene};
use crate::faults::SmallDisk;

/// A server whose role `fluid` owns the database of this name.
fn start() -> Postgres {
    let server = Postgres::start(&Server::new().password(PASSWORD)).unwrap();
    for sql in [
        &format!("CREATE ROLE fluid LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE DATABASE fluid OWNER fluid",
    ] {
        server.psql("postgres", sql).unwrap();
    }
    server
}

async fn begin(server: &Postgres) -> Scene {
    let port = server.port();
    let url = format!("postgres://fluid:{PASSWORD}@127.0.0.1:{port}/fluid");
    let options = PostgresOptions::from_url(&url).unwrap();
    Scene::begin(&url, PostgresBroker::open(options).await.unwrap()).await
}

fn expected<'a>(hints: &'a [&'a str]) -> Expected<'a> {
    Expected {
        hints,
        output_alone: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_postgres_was_gone() {
    let server = start();
    let scene = begin(&server).await;
    let expected = expected(&["can't be reached"]);
    server.stop().unwrap();
    scene.suffer(&expected).await;
    server.start_again().unwrap();
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_postgres_had_refused_its_password() {
    let server = start();
    let scene = begin(&server).await;
    let expected = expected(&["password authentication failed"]);
    let sql = |sql: &str| server.psql("postgres", sql).unwrap();
    sql("ALTER ROLE fluid PASSWORD 'another'");
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fluid'");
    scene.suffer(&expected).await;
    sql(&format!("ALTER ROLE fluid PASSWORD '{PASSWORD}'"));
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_postgres_could_only_be_read() {
    let server = start();
    let scene = begin(&server).await;
    let expected = expected(&["read-only", "default_transaction_read_only"]);
    let set = |to: &str| {
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {to}");
        server.psql("postgres", &sql).unwrap();
        server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    };
    set("on");
    scene.suffer(&expected).await;
    set("off");
    scene.recovers(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_the_disk_of_postgres_was_full() {
    let folder = tempfile::tempdir().unwrap();
    let server = start();
    let disk = folder.path().join("disk");
    // Whoever runs the server gets there.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).unwrap();
    let disk = SmallDisk::mount(&disk, "size=64m,uid=65534,gid=65534,mode=700");
    let sql = |sql: &str| server.psql("postgres", sql).unwrap();
    sql(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        folder.path().join("disk").display()
    ));
    sql("ALTER DATABASE fluid SET TABLESPACE small");
    let scene = begin(&server).await;
    let expected = Expected {
        hints: &["disk is full"],
        output_alone: true,
    };
    disk.fill();
    scene.suffer(&expected).await;
    disk.make_room();
    scene.recovers(&expected).await;
    drop((server, disk));
}
