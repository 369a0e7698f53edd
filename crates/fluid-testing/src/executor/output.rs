//! What programs print.

use fluid_core::{LogStream, Outcome, REDACTED};
use serde_json::json;

use super::secrets::SECRET;
use super::stage::Stage;

pub(super) async fn lines_of_both_streams_arrive_before_the_outcome(stage: Stage<'_>) {
    let mut attempt = stage.start("two_streams", json!({})).await;
    attempt.result().await;
    let news = &attempt.news;
    assert_eq!(
        news.lines_of(LogStream::Stdout),
        ["one", "", "three", "last"]
    );
    assert_eq!(news.lines_of(LogStream::Stderr), ["two"]);
}

async fn counts_to(stage: &Stage<'_>, count: usize) {
    let mut attempt = stage.start("count", json!({"count": count})).await;
    attempt.result().await;
    let lines = attempt.news.lines_of(LogStream::Stdout);
    let wrong = (0..count).find(|at| lines.get(*at) != Some(&format!("line {}", at + 1).as_str()));
    assert_eq!(wrong, None, "{:?}", attempt.news);
    assert_eq!(lines.len(), count);
}

pub(super) async fn a_hundred_thousand_lines_arrive_whole_and_in_order(stage: Stage<'_>) {
    counts_to(&stage, 100_000).await;
}

pub(super) async fn a_reader_that_is_behind_loses_nothing(stage: Stage<'_>) {
    let mut attempt = stage.start("count", json!({"count": 20_000})).await;
    // Nobody reads: the execution can't end, however often it is asked.
    for _ in 0..100 {
        let outcome =
            tokio::time::timeout(std::time::Duration::ZERO, attempt.execution.outcome()).await;
        assert!(outcome.is_err(), "ended though nobody reads: {outcome:?}");
    }
    attempt.result().await;
    let lines = attempt.news.lines_of(LogStream::Stdout);
    assert_eq!(
        (lines.len(), lines.last().copied()),
        (20_000, Some("line 20000")),
        "{:?}",
        attempt.news.lines_of(LogStream::System)
    );
}

pub(super) async fn a_huge_line_arrives_whole(stage: Stage<'_>) {
    let size = 3 * 1024 * 1024 + 17;
    let mut attempt = stage.start("huge_line", json!({"size": size})).await;
    attempt.result().await;
    let mut lines = attempt.news.lines_of(LogStream::Stdout);
    assert_eq!(lines.pop(), Some("after"));
    let text = lines.concat();
    assert!(text.len() == size && text.bytes().all(|byte| byte == b'x'));
    let longest = lines.iter().map(|piece| piece.len()).max();
    assert!(
        longest <= Some(1024 * 1024),
        "one line of {longest:?} bytes"
    );
}

pub(super) async fn what_is_no_utf8_is_replaced(stage: Stage<'_>) {
    let mut attempt = stage.start("no_utf8", json!({})).await;
    attempt.result().await;
    assert_eq!(
        attempt.news.lines_of(LogStream::Stdout),
        ["a\u{fffd}b\u{fffd}", "\u{fffd}"]
    );
}

pub(super) async fn a_progress_line_is_no_output(stage: Stage<'_>) {
    let mut attempt = stage.start("say_progress", json!({})).await;
    attempt.result().await;
    let news = &attempt.news;
    assert_eq!(
        news.lines_of(LogStream::Stdout),
        ["::progress none", "said"]
    );
    assert_eq!(news.progress.len(), 1);
    assert!((news.progress[0].fraction - 0.25).abs() < 1e-9);
    assert_eq!(news.progress[0].message, "a quarter");
}

pub(super) async fn a_secret_is_in_no_output_of_a_program(stage: Stage<'_>) {
    let params = json!({"token": SECRET, "user": "ada"});
    let mut attempt = stage.start("secret_everywhere", params.clone()).await;
    let error = attempt.error().await;
    let news = &attempt.news;
    for stream in [LogStream::Stdout, LogStream::Stderr] {
        let lines = news.lines_of(stream);
        assert!(lines.len() == 1 && lines[0].contains(REDACTED), "{news:?}");
    }
    assert_eq!(news.progress.len(), 1);
    let seen = format!("{error:?} {:?} {:?}", news.lines, news.progress);
    assert!(!seen.contains("hunter"), "{seen}");

    let mut attempt = stage.start("secret_written", params).await;
    let outcome = attempt.outcome().await;
    assert_eq!(
        outcome,
        Outcome::Success(json!({"token": REDACTED, "user": "ada"}).into())
    );
    // The one variable is that of the parameter which is no secret.
    assert_eq!(attempt.news.lines_of(LogStream::Stdout), ["1"]);
}
