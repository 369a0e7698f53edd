//! The proxy before a server that answers with what it is told.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Fault, Proxy};

const DEADLINE: Duration = Duration::from_secs(20);
/// How long nothing must come for it to count as held up.
const NOTHING: Duration = Duration::from_millis(150);

async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::start(address).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await
}

async fn hear(stream: &mut TcpStream, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    let read = timeout(DEADLINE, stream.read_exact(&mut bytes)).await;
    read.expect("an answer or an error in time")?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn nothing_comes(stream: &mut TcpStream) -> bool {
    timeout(NOTHING, stream.read(&mut [0])).await.is_err()
}

async fn ask(stream: &mut TcpStream, text: &str) -> io::Result<String> {
    say(stream, text).await?;
    hear(stream, text.len()).await
}

#[tokio::test]
async fn what_is_sent_arrives_both_ways_and_so_does_the_end() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, "hello").await.unwrap(), "hello");
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert_eq!(read.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_cut_ends_connections_and_new_ones_work() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "hello").await.unwrap();
    proxy.cut();
    assert!(hear(&mut stream, 1).await.is_err());
    assert_eq!(
        ask(&mut connect(&proxy).await, "again").await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn refused_connections_end_at_once_until_they_are_taken_again() {
    let proxy = echo().await;
    let mut before = connect(&proxy).await;
    ask(&mut before, "hello").await.unwrap();
    proxy.set(Some(Fault::Refuse));
    assert!(hear(&mut before, 1).await.is_err());
    assert!(ask(&mut connect(&proxy).await, "hello").await.is_err());
    proxy.set(None);
    assert_eq!(
        ask(&mut connect(&proxy).await, "again").await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn silence_holds_up_and_what_was_said_arrives_later() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "hello").await.unwrap();
    for fault in [Fault::Silence, Fault::NoAnswers] {
        proxy.set(Some(fault));
        say(&mut stream, "late").await.unwrap();
        assert!(nothing_comes(&mut stream).await, "{fault:?}");
        proxy.set(None);
        assert_eq!(hear(&mut stream, 4).await.unwrap(), "late", "{fault:?}");
    }
}

#[tokio::test]
async fn without_answers_requests_arrive_and_a_cut_loses_the_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let mut client = connect(&proxy).await;
    let (mut server, _) = listener.accept().await.unwrap();
    proxy.set(Some(Fault::NoAnswers));
    say(&mut client, "do it").await.unwrap();
    assert_eq!(hear(&mut server, 5).await.unwrap(), "do it");
    say(&mut server, "done").await.unwrap();
    assert!(nothing_comes(&mut client).await);
    proxy.cut();
    proxy.set(None);
    assert!(hear(&mut client, 1).await.is_err());
}

#[tokio::test]
async fn a_connection_ends_in_the_middle_of_an_answer() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "hello").await.unwrap();
    // Five on the way there, and three on the way back.
    proxy.cut_after(8);
    say(&mut stream, "hello").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, b"hel");
    assert_eq!(
        ask(&mut connect(&proxy).await, "again").await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn a_delay_delays_each_way() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, "hello").await.unwrap();
    let delay = Duration::from_millis(60);
    proxy.set(Some(Fault::Delay(delay)));
    let since = Instant::now();
    ask(&mut stream, "hello").await.unwrap();
    assert!(since.elapsed() >= 2 * delay, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_server_that_is_away_is_a_connection_that_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start(address).await.unwrap();
    assert!(ask(&mut connect(&proxy).await, "hello").await.is_err());
}
