//! A log is read as JSON, as text, or as it grows; nothing is told twice and nothing is left out.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{LogBatch, LogLine, LogStream, RunId, Task, TaskContext, TaskError};
use jiff::Timestamp;
use reqwest::{Method, Response};
use serde_json::json;
use tokio::sync::Semaphore;

use super::asked::{answer, get, request};
use crate::served::{Served, served, serving};

const DEADLINE: Duration = Duration::from_secs(20);

async fn enqueue(served: &Served, task: &str) -> RunId {
    let made = served.manager.queue_named(task, &json!({})).await;
    made.unwrap().run()
}

async fn print(served: &Served, run: RunId, attempt: u32, texts: impl Iterator<Item = String>) {
    let line = |text| LogLine {
        at: Timestamp::now(),
        stream: LogStream::Stdout,
        text,
    };
    let lines = texts.map(line).collect();
    let batch = LogBatch {
        run,
        attempt,
        lines,
    };
    served
        .manager
        .broker()
        .append_logs(vec![batch])
        .await
        .unwrap();
}

fn numbered(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| format!("line {number}"))
}

/// Reads a stream until something is in it.
struct Stream(Response, String);

impl Stream {
    async fn open(served: &Served, run: RunId, after: Option<u64>) -> Self {
        let mut asked = request(served, Method::GET, &format!("/runs/{run}/logs"));
        asked = asked.header("accept", "text/event-stream");
        if let Some(after) = after {
            asked = asked.header("last-event-id", after);
        }
        let response = asked.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response, String::new())
    }

    async fn until(&mut self, wanted: &str) {
        while !self.1.contains(wanted) {
            let piece = tokio::time::timeout(DEADLINE, self.0.chunk()).await;
            let piece = piece.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.1));
            let piece = piece.unwrap().expect("the stream goes on");
            self.1.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn end(&mut self) {
        let rest = tokio::time::timeout(DEADLINE, self.0.chunk()).await;
        assert!(rest.expect("it ends").unwrap().is_none());
    }
}

#[tokio::test]
async fn pages_of_lines_go_on_where_the_last_one_ended() {
    let served = served().await;
    let run = enqueue(&served, "hello").await;
    print(&served, run, 1, numbered(0..3)).await;
    print(&served, run, 2, numbered(3..5)).await;
    let first = get(&served, &format!("/runs/{run}/logs?limit=2"))
        .await
        .json;
    assert_eq!(first["lines"][1]["text"], "line 1");
    assert_eq!(
        (&first["next"], &first["complete"]),
        (&json!(2), &json!(false))
    );
    let rest = get(&served, &format!("/runs/{run}/logs?after=2"))
        .await
        .json;
    assert_eq!(rest["lines"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&rest["next"], &rest["complete"]),
        (&json!(5), &json!(true))
    );
    let second = get(&served, &format!("/runs/{run}/logs?attempt=2"))
        .await
        .json;
    assert_eq!(second["lines"][0]["text"], "line 3");
}

#[tokio::test]
async fn the_whole_log_comes_as_text_and_as_a_file() {
    let served = served().await;
    let run = enqueue(&served, "hello").await;
    print(&served, run, 1, numbered(0..2500)).await;
    let whole: String = numbered(0..2500).map(|line| line + "\n").collect();
    let asked = request(&served, Method::GET, &format!("/runs/{run}/logs"));
    let text = asked.header("accept", "text/plain").send().await.unwrap();
    assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(text.text().await.unwrap(), whole);
    let file = request(&served, Method::GET, &format!("/runs/{run}/logs?download"));
    let file = file.send().await.unwrap();
    let disposition = format!("attachment; filename=\"{run}.log\"");
    assert_eq!(file.headers()["content-disposition"], disposition.as_str());
    assert_eq!(file.text().await.unwrap(), whole);
}

#[tokio::test]
async fn a_stream_tells_lines_as_they_come_and_ends_with_the_run() {
    let open = Arc::new(Semaphore::new(0));
    let gate = open.clone();
    let held = Task::function("held", move |_: TaskContext| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(TaskError::from)?.forget();
            Ok::<_, TaskError>(())
        }
    });
    let served = serving([held.unwrap()]).await;
    let run = enqueue(&served, "held").await;
    print(&served, run, 1, numbered(0..2)).await;
    let mut stream = Stream::open(&served, run, None).await;
    stream.until("line 1").await;
    print(&served, run, 1, numbered(2..3)).await;
    stream.until("line 2").await;
    // Who comes back goes on where it was.
    let mut back = Stream::open(&served, run, Some(2)).await;
    back.until("line 2").await;

    let _consumer = served.consume();
    open.add_permits(1);
    for stream in [&mut stream, &mut back] {
        stream.until("event: end").await;
        stream.until("\n\n").await;
        stream.end().await;
        assert!(
            stream.1.contains(r#"data: {"state":"success"}"#),
            "{}",
            stream.1
        );
    }
    assert_eq!(stream.1.matches("event: line").count(), 3, "{}", stream.1);
    assert!(stream.1.contains("id: 3"), "{}", stream.1);
    assert!(!back.1.contains("line 1"), "{}", back.1);
    // Nothing is left to tell: a browser stops asking at 204.
    let asked = request(&served, Method::GET, &format!("/runs/{run}/logs"));
    let asked = asked
        .header("accept", "text/event-stream")
        .header("last-event-id", 3);
    assert_eq!(answer(asked).await.status, 204);
}

#[tokio::test]
async fn events_tell_of_many_changes_in_one_message() {
    let served = served().await;
    let asked = request(&served, Method::GET, "/events")
        .send()
        .await
        .unwrap();
    let mut stream = Stream(asked, String::new());
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(enqueue(&served, "hello").await);
    }
    let last = runs.last().unwrap().to_string();
    stream.until(&last).await;
    stream.until("\n\n").await;
    assert!(
        stream.1.matches("event: changed").count() <= 2,
        "{}",
        stream.1
    );
    for run in runs {
        assert!(stream.1.contains(&run.to_string()), "{run}");
    }
}
