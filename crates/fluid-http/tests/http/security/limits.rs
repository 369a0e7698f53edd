//! What is too much.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::place::{Answer, FULL, Guarded};

#[tokio::test]
async fn ten_megabytes_are_refused_with_a_word_on_why() {
    let guarded = Guarded::by_tokens().await;
    let full = format!("Authorization: Bearer {FULL}");
    let body = "x".repeat(10 * 1024 * 1024);
    for path in ["POST /api/v1/runs", "POST /login", "POST /what"] {
        let answer = guarded.ask(path, &[&full], &body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (413, "too-large"),
            "{path}"
        );
    }
    // In chunks nobody says beforehand how much comes: it must not be read to the end.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(160);
    let kind = "application/x-www-form-urlencoded";
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        guarded.address
    );
    let answer = guarded
        .raw(format!("{head}token={chunk}0\r\n\r\n").as_bytes())
        .await;
    assert_ne!(answer.status, 303, "{}", answer.body);
    let headers = format!("X-Long: {}", "x".repeat(64 * 1024));
    assert_eq!(guarded.get("/healthz", &[&headers]).await.status, 431);
    let many = vec!["X-Many: 1"; 200];
    assert_eq!(guarded.get("/healthz", &many).await.status, 431);
}

#[tokio::test]
async fn slow_heads_are_cut_off_and_hold_up_nobody() {
    let bound = Duration::from_secs(2);
    let guarded = Guarded::with(|options| options.limits.head_time = bound).await;
    let start = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(guarded.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let asked = Instant::now();
    assert_eq!(guarded.get("/healthz", &[]).await.status, 200);
    let (answered, opened) = (asked.elapsed(), start.elapsed());
    assert!(
        answered < bound,
        "others are answered meanwhile, not after {answered:?}"
    );
    let (mut reading, mut writing) = slow.pop().unwrap().into_split();
    let dribble = async {
        // A byte now and then does not lengthen it.
        let write = async {
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let read = async {
            let mut part = [0; 1024];
            while let Ok(1..) = reading.read(&mut part).await {}
        };
        tokio::select! { () = write => {}, () = read => {} }
    };
    let all = async {
        dribble.await;
        for mut stream in slow {
            Answer::read(&mut stream).await;
        }
    };
    let within = bound * 5 + opened;
    tokio::time::timeout(within, all)
        .await
        .expect("all are closed");
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let guarded = Guarded::with(|options| options.limits.connections = 8).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(guarded.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut part = [0; 512];
        assert!(stream.read(&mut part).await.unwrap() > 0);
        held.push(stream);
    }
    let told = guarded.get("/healthz", &[]).await;
    assert_eq!((told.status, told.problem()), (503, "too-many-connections"));
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(30);
    while guarded.get("/healthz", &[]).await.status != 200 {
        assert!(Instant::now() < deadline, "there is room again");
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let guarded = Guarded::with(|options| options.limits.rate = 1).await;
    let far = ["X-Forwarded-For: 192.0.2.7"];
    let mut told = 0;
    for _ in 0..10 {
        let answer = guarded.get("/healthz", &far).await;
        if answer.status == 429 {
            assert_eq!(answer.problem(), "too-many-requests");
            assert!(answer.header("retry-after").is_some());
            told += 1;
        }
    }
    assert!(told > 0, "ten at once are more than two");
    let other = guarded
        .get("/healthz", &["X-Forwarded-For: 192.0.2.8"])
        .await;
    assert_eq!(other.status, 200, "others are not held up");
}
