//! What goes wrong is told in words that say what, where, and what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fluid_broker_postgres::{PostgresBroker, PostgresOptions};
use fluid_core::{Broker, BrokerError, JsonText, NewRun, Params, RunState};
use fluid_test_servers::postgres::{Postgres, PostgresOptions as Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::migrations::schema;
use crate::stage::{fresh_schema, new_run, new_runs, options, server, task, wish_for};

/// The error of opening a URL, which names the place and no password.
async fn refused(url: &str, words: &[&str]) -> BrokerError {
    let options = PostgresOptions::from_url(url)
        .unwrap()
        .call_deadline(Duration::from_secs(10));
    let place = options.describe();
    let error = PostgresBroker::open(options).await.unwrap_err();
    let told = error.to_string();
    for word in words.iter().copied().chain([place.as_str()]) {
        assert!(told.contains(word), "{word:?} is missing: {told}");
    }
    for shown in [told, format!("{error:?}")] {
        assert!(!shown.contains("hush"), "the password shows: {shown}");
    }
    error
}

fn is_invalid(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Invalid { .. })
}

fn is_unreachable(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Unreachable { .. }) && error.is_transient()
}

#[tokio::test]
async fn a_wrong_password_or_user_is_told() {
    let server = Postgres::start(&Server::new().password("right")).unwrap();
    let port = server.port();
    for user in ["postgres", "nobody"] {
        let url = format!("postgres://{user}:hush@127.0.0.1:{port}/postgres");
        let error = refused(
            &url,
            &["password authentication failed", user, "check the user"],
        )
        .await;
        assert!(is_invalid(&error), "{error:?}");
    }
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let error = refused(&url, &["password"]).await;
    assert!(is_invalid(&error), "{error:?}");
    PostgresBroker::open(PostgresOptions::from_url(&server.url("postgres")).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_database_that_is_missing_is_told() {
    let error = refused(
        &server().url("nowhere"),
        &["\"nowhere\"", "create the database"],
    )
    .await;
    assert!(is_invalid(&error), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = refused(
        &format!("postgres://me:hush@127.0.0.1:{port}/app"),
        &["nobody listens"],
    )
    .await;
    assert!(is_unreachable(&error), "{error:?}");
    let error = refused(
        "postgres://me:hush@no-such-host.invalid/app",
        &["check the host"],
    )
    .await;
    assert!(is_unreachable(&error), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "postgres:///app?host={}&user=me&password=hush",
        folder.path().display()
    );
    let error = refused(&url, &["there is no such socket"]).await;
    assert!(is_unreachable(&error), "{error:?}");
}

#[tokio::test]
async fn a_unix_socket_is_a_way_to_a_server() {
    let options = PostgresOptions::from_url(&server().socket_url("postgres")).unwrap();
    let options = options.schema(&fresh_schema()).unwrap();
    let broker = PostgresBroker::open(options).await.unwrap();
    assert!(
        broker.describe().contains("host=/"),
        "{}",
        broker.describe()
    );
    broker.enqueue(vec![new_run("a")]).await.unwrap();
}

/// A CA and a certificate of `localhost` signed by it, as files.
fn certificates(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    (
        write("ca.pem", ca_certificate.pem()),
        write("server.pem", certificate.pem()),
        write("server.key", key.serialize_pem()),
    )
}

#[tokio::test]
async fn tls_is_used_and_refused_as_the_url_says() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, certificate, key) = certificates(folder.path());
    let other = tempfile::tempdir().unwrap();
    let (stranger, _, _) = certificates(other.path());
    let server = Postgres::start(&Server::new().certificate(&certificate, &key)).unwrap();
    let url = |host: &str, more: String| {
        format!(
            "postgres://postgres@{host}:{}/postgres?{more}",
            server.port()
        )
    };
    let (ca, stranger) = (ca.display(), stranger.display());
    for (host, more) in [
        ("127.0.0.1", "sslmode=disable".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={ca}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}")),
    ] {
        let options = PostgresOptions::from_url(&url(host, more.clone())).unwrap();
        let broker = PostgresBroker::open(options).await.unwrap();
        broker.enqueue(vec![new_run("a")]).await.unwrap();
        let used = server.psql(
            "postgres",
            "SELECT bool_or(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE application_name = 'fluid'",
        );
        let expected = if more.contains("disable") { "f" } else { "t" };
        assert_eq!(used.unwrap(), expected, "{more}");
        drop(broker);
        wait_until_nobody_is_connected(&server).await;
    }
    for (host, more, words) in [
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={ca}"),
            "another host",
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={stranger}"),
            "sslrootcert",
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={stranger}"),
            "sslrootcert",
        ),
        ("localhost", "sslmode=verify-full".to_owned(), "sslrootcert"),
        (
            "localhost",
            "sslmode=verify-ca&sslrootcert=/no/such/file".to_owned(),
            "/no/such/file",
        ),
    ] {
        let error = refused(&url(host, more), &[words]).await;
        assert!(is_invalid(&error), "{error:?}");
    }
}

async fn wait_until_nobody_is_connected(server: &Postgres) {
    let since = Instant::now();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fluid'";
    while server.psql("postgres", sql).unwrap() != "0" {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "connections stay"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_where_it_is_wanted() {
    let url = format!("{}?sslmode=require", server().url("postgres"));
    let error = refused(&url, &["does not speak TLS", "sslmode=disable"]).await;
    assert!(is_invalid(&error), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told() {
    // No Debian has one any more: this one answers what it is asked as PostgreSQL 13 would.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let old = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        // The start-up message, which is taken without a password.
        assert!(client.read(&mut asked).await.unwrap() > 0);
        client
            .write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
            .await
            .unwrap();
        assert!(client.read(&mut asked).await.unwrap() > 0);
        let columns: [(i32, &[u8]); 6] = [
            (23, &130_011_i32.to_be_bytes()),
            (25, b"13.11"),
            (25, b"UTF8"),
            (16, &[0]),
            (16, &[0]),
            (16, &[0]),
        ];
        let mut answer = b"1\0\0\0\x042\0\0\0\x04".to_vec();
        let mut description = vec![0, 6];
        let mut row = vec![0, 6];
        for (of, value) in columns {
            description.extend(b"c\0\0\0\0\0\0\0");
            description.extend(of.to_be_bytes());
            description.extend([0, 4, 0, 0, 0, 0, 0, 1]);
            row.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
            row.extend(value);
        }
        for (kind, body) in [
            (b'T', description),
            (b'D', row),
            (b'C', b"SELECT 1\0".to_vec()),
            (b'Z', b"I".to_vec()),
        ] {
            answer.push(kind);
            answer.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
            answer.extend(body);
        }
        client.write_all(&answer).await.unwrap();
        let _ = client.read(&mut asked).await;
    });
    let url = format!("postgres://me:hush@127.0.0.1:{port}/app?sslmode=disable");
    let error = refused(&url, &["PostgreSQL 13.11", "14 or later", "upgrade"]).await;
    assert!(is_invalid(&error), "{error:?}");
    old.await.unwrap();
}

#[tokio::test]
async fn a_database_that_can_not_keep_every_text_is_told() {
    let sql = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server().psql("postgres", sql).unwrap();
    let error = refused(&server().url("latin"), &["encoding LATIN1", "UTF8"]).await;
    assert!(is_invalid(&error), "{error:?}");
}

#[tokio::test]
async fn a_standby_may_be_read_and_says_why_it_can_not_be_written() {
    let primary = Postgres::start(&Server::new()).unwrap();
    let options = PostgresOptions::from_url(&primary.url("postgres")).unwrap();
    let written = PostgresBroker::open(options).await.unwrap();
    let run = new_run("a");
    let id = run.id;
    written.enqueue(vec![run]).await.unwrap();
    let standby = primary.standby().unwrap();
    let broker = PostgresBroker::open(PostgresOptions::from_url(&standby.url("postgres")).unwrap())
        .await
        .unwrap();
    assert!(broker.get(id).await.unwrap().is_some());
    assert_eq!(broker.stats().await.unwrap().count(RunState::Queued), 1);
    for error in [
        broker.enqueue(vec![new_run("a")]).await.unwrap_err(),
        broker.claim(wish_for("a", 1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
        assert!(
            error.is_transient() && error.to_string().contains("standby"),
            "{error}"
        );
    }
    let missing = format!("{}?schema=missing", standby.url("postgres"));
    let error = refused(&missing, &["standby", "name the primary"]).await;
    assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_made_read_only_recovers() {
    let server = Postgres::start(&Server::new()).unwrap();
    let options = PostgresOptions::from_url(&server.url("postgres")).unwrap();
    let broker = PostgresBroker::open(options.max_connections(1))
        .await
        .unwrap();
    let switch = |to: &str| {
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {to}");
        server.psql("postgres", &sql).unwrap();
        server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    };
    broker.enqueue(vec![new_run("a")]).await.unwrap();
    switch("on");
    // A setting reaches a session when it gets around to it.
    let error = until(async || broker.enqueue(vec![new_run("a")]).await.err()).await;
    assert!(matches!(error, BrokerError::ReadOnly { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("default_transaction_read_only"), "{told}");
    switch("off");
    until(async || broker.enqueue(vec![new_run("a")]).await.ok()).await;
}

/// Asks until there is an answer.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nothing changes");
    }
}

#[tokio::test]
async fn a_role_without_privileges_says_which_it_lacks() {
    let options = options();
    let schema = schema(&options.describe());
    let sql = format!("CREATE ROLE role_{schema} LOGIN");
    server().psql("postgres", &sql).unwrap();
    let url = format!(
        "postgres://role_{schema}:hush@127.0.0.1:{}/postgres?schema={schema}",
        server().port()
    );
    let error = refused(
        &url,
        &[
            "permission denied for database",
            "fluid-cli migrate",
            "docs/postgres.md",
        ],
    )
    .await;
    assert!(is_invalid(&error), "{error:?}");

    PostgresBroker::migrate(&options).await.unwrap();
    let error = refused(&url, &["permission denied for schema"]).await;
    assert!(is_invalid(&error), "{error:?}");
    // The privileges that the documentation names are enough.
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO role_{schema}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO role_{schema}; \
         GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO role_{schema}"
    );
    server().psql("postgres", &grants).unwrap();
    let broker = PostgresBroker::open(PostgresOptions::from_url(&url).unwrap())
        .await
        .unwrap();
    for _ in 0..100 {
        // Among them are those that tidy up.
        broker.enqueue(vec![new_run("a")]).await.unwrap();
    }
    assert_eq!(broker.claim(wish_for("a", 9)).await.unwrap().runs.len(), 9);
}

#[tokio::test]
async fn too_many_connections_are_told() {
    let settings = Server::new()
        .setting("max_connections", "4")
        .setting("superuser_reserved_connections", "0")
        .setting("max_wal_senders", "0");
    let server = Postgres::start(&settings).unwrap();
    let url = server.url("postgres");
    let mut held = Vec::new();
    let error = loop {
        match tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            Ok((client, connection)) => held.push((client, tokio::spawn(connection))),
            Err(error) => break error,
        }
        assert!(held.len() < 10);
    };
    assert_eq!(
        error.code().map(tokio_postgres::error::SqlState::code),
        Some("53300")
    );
    let error = refused(&url, &["too many clients", "max_connections"]).await;
    assert!(is_unreachable(&error), "{error:?}");
}

#[tokio::test]
async fn sessions_that_can_not_keep_limits_are_told_how_to() {
    let options = options();
    let schema = schema(&options.describe());
    PostgresBroker::migrate(&options).await.unwrap();
    let sql = format!(
        "CREATE ROLE strict_{schema} LOGIN SUPERUSER; \
         ALTER ROLE strict_{schema} SET default_transaction_isolation = 'serializable'"
    );
    server().psql("postgres", &sql).unwrap();
    let url = format!(
        "postgres://strict_{schema}@127.0.0.1:{}/postgres?schema={schema}",
        server().port()
    );
    let broker = PostgresBroker::open(PostgresOptions::from_url(&url).unwrap())
        .await
        .unwrap();
    let error = broker
        .claim(wish_for("a", 1))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("read committed") && error.contains("ALTER ROLE"),
        "{error}"
    );
}

/// A small file system of its own, unmounted in the end; `None` where this process may not mount.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                "size=24m,uid=65534,gid=65534",
                "fluid-test",
            ],
            &at,
        )
        .then_some(Self(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    Command::new(program)
        .args(arguments)
        .arg(at)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_over_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(folder.path().join("small")) else {
        eprintln!("this process may not mount: the disk can't be filled for real");
        return;
    };
    open_to_all(folder.path());
    let server = Postgres::start(&Server::new()).unwrap();
    let sql = |sql: &str| server.psql("postgres", sql).unwrap();
    sql(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        mount.0.display()
    ));
    sql("CREATE DATABASE small TABLESPACE small");
    let options = PostgresOptions::from_url(&server.url("small")).unwrap();
    let broker = PostgresBroker::open(options).await.unwrap();
    // Random text, or it would be compressed.
    let large = || -> Vec<NewRun> {
        let text: String = (0..4000)
            .map(|_| uuid::Uuid::new_v4().to_string())
            .collect();
        let params = Params::stored(JsonText::trusted(format!("\"{text}\"")), []);
        vec![NewRun::new(task("a"), params)]
    };
    let mut inside = 0;
    let error = loop {
        match broker.enqueue(large()).await {
            Ok(_) => inside += 1,
            Err(error) => break error,
        }
        assert!(inside < 1000, "the disk never became full");
    };
    assert!(matches!(error, BrokerError::Full { .. }), "{error:?}");
    assert!(
        error.is_transient() && error.to_string().contains("disk is full"),
        "{error}"
    );
    let queued = broker.stats().await.unwrap().count(RunState::Queued);
    assert_eq!(queued, inside);
    assert!(run("mount", &["-o", "remount,size=64m"], &mount.0));
    broker.enqueue(large()).await.unwrap();
    let claimed = broker.claim(wish_for("a", 3)).await.unwrap().runs;
    assert_eq!(claimed.len(), 3);
    drop(broker);
    drop(server);
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_value_that_is_too_large_is_the_callers_fault() {
    let broker = crate::stage::open().await;
    let mut runs = new_runs("a", 1);
    // An index holds a third of a page at most.
    runs[0].concurrency_key = (0..400)
        .map(|_| uuid::Uuid::new_v4().to_string())
        .collect::<String>()
        .into();
    let error = broker.enqueue(runs).await.unwrap_err();
    assert!(is_invalid(&error) && !error.is_transient(), "{error:?}");
}
