//! What goes wrong below the broker is told in its own words, loses nothing, and is over when its cause is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};

use fluid_broker_redis::{RedisBroker, RedisOptions};
use fluid_core::{Broker, BrokerError, JsonText, NewRun, Params, RunFilter, RunState};
use fluid_test_servers::redis::RedisOptions as ServerOptions;

use crate::stage::{insist, new_runs, open, server, shared, successes, task, wish_for};

async fn refused(url: &str) -> BrokerError {
    let error = RedisBroker::open(RedisOptions::from_url(url).unwrap())
        .await
        .unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(!told.contains("hunter2"), "{told}");
    error
}

fn check(error: &BrokerError, transient: bool, hints: &[&str]) {
    let said = error.to_string();
    for hint in hints {
        assert!(said.contains(hint), "{said:?} does not say {hint:?}");
    }
    assert_eq!(error.is_transient(), transient, "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let since = std::time::Instant::now();
    let error = refused("redis://127.0.0.1:1").await;
    assert!(
        matches!(error, BrokerError::Unreachable { .. }),
        "{error:?}"
    );
    check(&error, true, &["redis://127.0.0.1:1", "refused"]);
    assert!(since.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn wrong_logins_are_told_from_missing_ones() {
    let server = server(
        &ServerOptions::new()
            .password("secret")
            .user("anna", "on >secret ~* &* +@all"),
    );
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port());
    check(
        &refused(&at("")).await,
        false,
        &["asks for a password", "user:password@"],
    );
    for login in [":hunter2@", "anna:hunter2@", "nobody:hunter2@"] {
        check(
            &refused(&at(login)).await,
            false,
            &["refused the user or password"],
        );
    }
    open(&at("anna:secret@")).await;
    let none = shared().url().replace("redis://", "redis://anna:hunter2@");
    check(
        &refused(&none).await,
        false,
        &["refused the user or password"],
    );
}

#[tokio::test]
async fn a_user_who_may_too_little_hears_what() {
    let server = server(&ServerOptions::new().user("anna", "on >secret ~other:* &* +@all"));
    let url = format!("redis://anna:secret@127.0.0.1:{}", server.port());
    check(&refused(&url).await, false, &["ACL", "docs/redis.md"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() {
    check(
        &refused(&format!("{}/99", shared().url())).await,
        false,
        &["no such database", "databases"],
    );
}

#[tokio::test]
async fn a_replica_is_told_with_the_way_to_its_primary() {
    let primary = server(&ServerOptions::new());
    let replica = server(&ServerOptions::new().replica_of(primary.port()));
    let error = refused(&replica.url()).await;
    assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
    check(&error, true, &["is a replica", "redis+sentinel://"]);
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_and_back_is_waited_for() {
    let other = server(&ServerOptions::new());
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    broker.enqueue(new_runs("a", 3)).await.unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let error = broker.enqueue(new_runs("a", 1)).await.unwrap_err();
    assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
    check(&error, true, &["is a replica"]);
    server.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    insist(|| broker.enqueue(new_runs("a", 1))).await;
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 4);
    drop(other);
}

/// A server that greets as this version.
fn impostor(version: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut answers = stream.unwrap();
            let asked = BufReader::new(answers.try_clone().unwrap());
            for line in asked.lines().map_while(Result::ok) {
                let answer = match line.as_str() {
                    "HELLO" => format!(
                        "*4\r\n$7\r\nversion\r\n${}\r\n{version}\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
                        version.len()
                    ),
                    "CLIENT" => "+OK\r\n".to_owned(),
                    _ => continue,
                };
                if answers.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_with_its_version() {
    let error = refused(&format!("redis://127.0.0.1:{}", impostor("6.0.16"))).await;
    check(&error, false, &["version 6.0.16", "6.2 or later", "Valkey"]);
}

#[tokio::test]
async fn keys_of_a_newer_fluid_are_left_alone() {
    let server = server(&ServerOptions::new());
    open(&server.url()).await;
    server
        .cli(&["HSET", "{fluid}:meta", "schema", "99"])
        .unwrap();
    let error = refused(&server.url()).await;
    assert!(
        matches!(
            error,
            BrokerError::SchemaTooNew {
                found: 99,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_key_of_another_type_is_damage() {
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    server.cli(&["SET", "{fluid}:count", "mine"]).unwrap();
    let error = broker.stats().await.unwrap_err();
    assert!(matches!(error, BrokerError::Corrupt { .. }), "{error:?}");
}

fn large_runs(count: usize) -> Vec<NewRun> {
    let params = Params::stored(JsonText::trusted(format!("{:?}", "x".repeat(40_000))), []);
    (0..count)
        .map(|_| NewRun::new(task("a"), params.clone()))
        .collect()
}

#[tokio::test]
async fn when_memory_is_used_up_nothing_comes_in_and_what_is_there_can_end() {
    let server = server(&ServerOptions::new().memory(8 << 20, "noeviction"));
    let broker = open(&server.url()).await;
    let mut inside = 0;
    let error = loop {
        // Each carries something else, so that it takes room.
        let mut runs = large_runs(3);
        runs[1].params = Params::default();
        match broker.enqueue(runs).await {
            Ok(_) => inside += 3,
            Err(error) => break error,
        }
        assert!(inside < 10_000, "memory was never used up");
    };
    assert!(matches!(error, BrokerError::Full { .. }), "{error:?}");
    check(&error, true, &["maxmemory", "purge"]);
    assert_eq!(
        broker.stats().await.unwrap().count(RunState::Queued),
        inside
    );

    let claimed = broker.claim(wish_for("a", 50)).await.unwrap().runs;
    assert_eq!(claimed.len(), 50);
    broker.finish(successes(&claimed)).await.unwrap();
    assert_eq!(broker.purge(RunFilter::default(), 100).await.unwrap(), 50);
    insist(|| broker.enqueue(large_runs(3))).await;
    assert_eq!(
        broker.stats().await.unwrap().count(RunState::Queued),
        inside - 50 + 3
    );
}

#[tokio::test]
async fn a_server_that_can_not_write_to_its_disk_is_told_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let directory = format!("dir {}", disk.display());
    let options = ServerOptions::new().line("save 900 1").line(&directory);
    let server = server(&options);
    let broker = open(&server.url()).await;
    // A snapshot can't take the place of a folder.
    std::fs::create_dir(disk.join("dump.rdb")).unwrap();
    server.cli(&["BGSAVE"]).unwrap();
    server
        .wait_for(&["INFO", "persistence"], "rdb_last_bgsave_status:err")
        .unwrap();
    let error = broker.enqueue(new_runs("a", 1)).await.unwrap_err();
    assert!(matches!(error, BrokerError::Full { .. }), "{error:?}");
    check(&error, true, &["can't write to its own disk"]);
    std::fs::remove_dir(disk.join("dump.rdb")).unwrap();
    server.cli(&["BGSAVE"]).unwrap();
    server
        .wait_for(&["INFO", "persistence"], "rdb_last_bgsave_status:ok")
        .unwrap();
    broker.enqueue(new_runs("a", 1)).await.unwrap();
}

#[tokio::test]
async fn a_password_that_changes_is_waited_for() {
    let server = server(&ServerOptions::new());
    let broker = open(&server.url()).await;
    server
        .cli(&["CONFIG", "SET", "requirepass", "secret"])
        .unwrap();
    server
        .cli(&["-a", "secret", "CLIENT", "KILL", "TYPE", "normal"])
        .unwrap();
    let error = broker.enqueue(new_runs("a", 1)).await.unwrap_err();
    check(&error, true, &["asks for a password"]);
    server
        .cli(&["-a", "secret", "CONFIG", "SET", "requirepass", ""])
        .unwrap();
    insist(|| broker.enqueue(new_runs("a", 1))).await;
}

/// What the log of this program says.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is said of one server while a broker is opened on it.
async fn said_on_opening(options: &ServerOptions) -> String {
    static SAID: LazyLock<Said> = LazyLock::new(|| {
        let said = Said::default();
        let writer = said.clone();
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .init();
        said
    });
    LazyLock::force(&SAID);
    let server = server(options);
    open(&server.url()).await;
    let all = String::from_utf8(SAID.0.lock().unwrap().clone()).unwrap();
    let of_this = all.lines().filter(|line| line.contains(&server.url()));
    of_this.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn a_server_that_may_lose_runs_is_warned_of() {
    let said = said_on_opening(&ServerOptions::new().memory(100 << 20, "allkeys-lru")).await;
    assert!(
        said.contains("WARN") && said.contains("set maxmemory-policy to noeviction"),
        "{said}"
    );
    assert!(
        said.contains("allkeys-lru") && said.contains("append-only file is off"),
        "{said}"
    );
    let said = said_on_opening(&ServerOptions::new().append_only()).await;
    assert!(
        !said.contains("WARN") && !said.contains("append-only"),
        "{said}"
    );
}
