//! The output of runs: in order, capped, and gone with its run.

use fluid_core::{LogBatch, LogLine, LogStream, RunFilter, RunId, StoredLine};

use super::stage::{Stage, success};

fn line(stage: &Stage<'_>, text: impl Into<String>) -> LogLine {
    LogLine {
        at: stage.now(),
        stream: LogStream::Stdout,
        text: text.into(),
    }
}

async fn append(stage: &Stage<'_>, run: RunId, attempt: u32, lines: Vec<LogLine>) {
    let batch = LogBatch {
        run,
        attempt,
        lines,
    };
    stage.broker.append_logs(vec![batch]).await.unwrap();
}

async fn read(stage: &Stage<'_>, run: RunId, after: u64, limit: usize) -> Vec<StoredLine> {
    stage.broker.read_logs(run, after, limit).await.unwrap()
}

async fn texts(stage: &Stage<'_>, run: RunId) -> Vec<String> {
    let lines = read(stage, run, 0, usize::MAX >> 1).await;
    lines.into_iter().map(|stored| stored.line.text).collect()
}

pub(super) async fn lines_come_back_as_they_were_written(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let mut written = Vec::new();
    for (n, stream) in [LogStream::Stdout, LogStream::Stderr, LogStream::System]
        .into_iter()
        .enumerate()
    {
        for text in [
            "",
            "plain",
            "Grüße, 世界 🎉",
            "\ttab \"quote\" \\ 'single' \u{fffd}\u{0}",
        ] {
            let at = stage.in_seconds(i64::try_from(n).unwrap());
            written.push(LogLine {
                at,
                stream,
                text: text.to_owned(),
            });
        }
    }
    append(&stage, run, 1, written[..5].to_vec()).await;
    append(&stage, run, 2, written[5..].to_vec()).await;
    let stored = read(&stage, run, 0, 1000).await;
    let lines: Vec<LogLine> = stored.iter().map(|stored| stored.line.clone()).collect();
    assert_eq!(lines, written);
    let attempts: Vec<u32> = stored.iter().map(|stored| stored.attempt).collect();
    assert_eq!(attempts, [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(stored[0].position, 1);
    assert!(
        stored.is_sorted_by(|a, b| a.position < b.position),
        "{stored:?}"
    );
}

pub(super) async fn a_log_is_read_piece_by_piece(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let lines = (0..25).map(|n| line(&stage, format!("line {n}"))).collect();
    append(&stage, run, 1, lines).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let piece = read(&stage, run, after, 10).await;
        assert!(piece.len() <= 10);
        let Some(last) = piece.last() else {
            break;
        };
        after = last.position;
        seen.extend(piece.into_iter().map(|stored| stored.line.text));
    }
    let expected: Vec<String> = (0..25).map(|n| format!("line {n}")).collect();
    assert_eq!(seen, expected);
    append(&stage, run, 1, vec![line(&stage, "one more")]).await;
    let more = read(&stage, run, after, 10).await;
    assert_eq!(more.len(), 1);
    assert_eq!(more[0].line.text, "one more");
    assert_eq!(read(&stage, run, u64::MAX >> 1, 10).await, []);
    assert_eq!(read(&stage, run, 0, 0).await, []);
}

pub(super) async fn one_call_writes_to_many_logs(stage: Stage<'_>) {
    let a = stage.enqueue_one("a").await;
    let b = stage.enqueue_one("b").await;
    let batch = |run, text: &str| LogBatch {
        run,
        attempt: 1,
        lines: vec![line(&stage, text)],
    };
    let batches = vec![
        batch(a, "1"),
        batch(b, "2"),
        batch(RunId::new(), "3"),
        batch(a, "4"),
    ];
    stage.broker.append_logs(batches).await.unwrap();
    assert_eq!(texts(&stage, a).await, ["1", "4"]);
    assert_eq!(texts(&stage, b).await, ["2"]);
}

pub(super) async fn an_unknown_run_has_no_log(stage: Stage<'_>) {
    let unknown = RunId::new();
    append(&stage, unknown, 1, vec![line(&stage, "nobody's")]).await;
    assert_eq!(read(&stage, unknown, 0, 10).await, []);
}

pub(super) async fn a_log_may_grow_after_the_end(stage: Stage<'_>) {
    let run = stage.succeed_one("a").await;
    append(&stage, run, 1, vec![line(&stage, "late")]).await;
    assert_eq!(texts(&stage, run).await, ["late"]);
}

/// The log ends with exactly one notice of the system, and nothing can be added to it.
async fn check_cut(stage: &Stage<'_>, run: RunId, kept: usize) {
    append(stage, run, 2, vec![line(stage, "x")]).await;
    let stored = read(stage, run, 0, usize::MAX >> 1).await;
    assert_eq!(stored.len(), kept + 1);
    let notice = stored.last().unwrap();
    assert_eq!(notice.line.stream, LogStream::System);
    assert_eq!(notice.line.text, stage.harness.log_cap().notice());
    let streams = stored[..kept].iter().map(|stored| stored.line.stream);
    assert_eq!(streams.filter(|s| *s == LogStream::System).count(), 0);
}

pub(super) async fn a_log_is_cut_at_its_number_of_lines(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let cap = usize::try_from(stage.harness.log_cap().lines).unwrap();
    let full = |count: usize| (0..count).map(|n| line(&stage, format!("{n}"))).collect();
    append(&stage, run, 1, full(cap)).await;
    let expected: Vec<String> = (0..cap).map(|n| format!("{n}")).collect();
    assert_eq!(texts(&stage, run).await, expected, "a full log is not cut");
    append(&stage, run, 1, full(3)).await;
    assert_eq!(texts(&stage, run).await[..cap], expected);
    check_cut(&stage, run, cap).await;
}

pub(super) async fn one_batch_is_cut_in_the_middle(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let cap = usize::try_from(stage.harness.log_cap().lines).unwrap();
    let lines = (0..cap * 3).map(|n| line(&stage, format!("{n}"))).collect();
    append(&stage, run, 1, lines).await;
    let kept = texts(&stage, run).await;
    assert_eq!(kept[cap - 1], format!("{}", cap - 1));
    check_cut(&stage, run, cap).await;
}

pub(super) async fn a_log_is_cut_at_its_number_of_bytes(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let cap = usize::try_from(stage.harness.log_cap().bytes).unwrap();
    let (half, rest) = (cap / 2, cap - cap / 2);
    let lines = vec![
        line(&stage, "x".repeat(half)),
        line(&stage, "y".repeat(rest)),
    ];
    append(&stage, run, 1, lines).await;
    let kept = texts(&stage, run).await;
    assert_eq!(
        (kept.len(), kept[1].len()),
        (2, rest),
        "a full log is not cut"
    );
    append(&stage, run, 1, vec![line(&stage, "z")]).await;
    check_cut(&stage, run, 2).await;
}

pub(super) async fn a_line_that_does_not_fit_cuts_the_log(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let cap = usize::try_from(stage.harness.log_cap().bytes).unwrap();
    let lines = vec![
        line(&stage, "before"),
        // Two bytes each: it is bytes that are counted.
        line(&stage, "ü".repeat(cap / 2 + 1)),
        line(&stage, "after"),
    ];
    append(&stage, run, 1, lines).await;
    assert_eq!(texts(&stage, run).await[0], "before");
    check_cut(&stage, run, 1).await;
}

pub(super) async fn each_run_has_its_own_cap(stage: Stage<'_>) {
    let a = stage.enqueue_one("a").await;
    let b = stage.enqueue_one("b").await;
    let cap = usize::try_from(stage.harness.log_cap().lines).unwrap();
    let lines = (0..=cap).map(|n| line(&stage, format!("{n}"))).collect();
    append(&stage, a, 1, lines).await;
    append(&stage, b, 1, vec![line(&stage, "whole")]).await;
    check_cut(&stage, a, cap).await;
    assert_eq!(texts(&stage, b).await, ["whole"]);
}

pub(super) async fn a_purged_run_takes_its_log_with_it(stage: Stage<'_>) {
    let run = stage.enqueue_one("a").await;
    let taken = stage.claim_one("a").await;
    append(&stage, run, 1, vec![line(&stage, "last words")]).await;
    stage.finish(&taken, success()).await;
    assert_eq!(
        stage.broker.purge(RunFilter::default(), 10).await.unwrap(),
        1
    );
    assert_eq!(read(&stage, run, 0, 10).await, []);
    assert_eq!(stage.attempts(run).await, []);
    assert_eq!(stage.broker.get(run).await.unwrap(), None);
}
