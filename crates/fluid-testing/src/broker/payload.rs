//! What runs carry: it comes back byte for byte, whatever its size and script.

use std::time::Duration;

use fluid_core::{
    Due, ErrorKind, Finish, JsonText, NewRun, Params, Priority, RetryHint, RunError, RunId,
    Trigger, Unique,
};

use super::stage::{Stage, from, new_run, queue, success, task, wish};

pub(super) async fn a_run_keeps_everything_it_was_enqueued_with(stage: Stage<'_>) {
    let json = JsonText::parse("{\"b\": 1,  \"a\": [null, 1.50, \"x\"]}").unwrap();
    let secrets = ["/a/2".to_owned()];
    let mut new = NewRun::new(task("a"), Params::stored(json.clone(), secrets));
    new.queue = queue("fast");
    new.priority = Priority::Low;
    new.due = Due::At(stage.in_seconds(90));
    new.trigger = Trigger::Parent;
    (new.parent, new.root, new.retry_of) =
        (Some(RunId::new()), Some(RunId::new()), Some(RunId::new()));
    new.concurrency_key = "customer 7".into();
    new.max_interruptions = 17;
    stage.enqueue(new.clone()).await;

    let stored = stage.get(new.id).await;
    assert_eq!(stored.params, new.params);
    assert_eq!(stored.params.expose().as_str(), json.as_str());
    assert_eq!(stored.params.secret_paths(), ["/a/2"]);
    let expected = fluid_core::TaskRun::enqueued(&new, stage.now(), stage.in_seconds(90));
    assert_eq!(stored, expected);

    stage.advance(Duration::from_secs(90));
    let taken = stage.claim_exactly_one(from(&["fast"], wish(&["a"]))).await;
    assert_eq!(taken.run.params, new.params);
    assert_eq!(taken.run.concurrency_key, new.concurrency_key);
}

pub(super) async fn a_megabyte_of_parameters_and_result_comes_back_whole(stage: Stage<'_>) {
    let text = format!("\"{}\"", "größer ".repeat(131_072));
    assert!(text.len() > 1024 * 1024);
    let json = JsonText::parse(text).unwrap();
    let new = NewRun::new(task("a"), Params::stored(json.clone(), []));
    let run = stage.enqueue(new).await;
    let taken = stage.claim_one("a").await;
    assert!(*taken.run.params.expose() == json, "the parameters changed");
    stage.finish(&taken, Finish::Success(json.clone())).await;
    let ended = stage.get(run).await;
    assert!(ended.result == Some(json), "the result changed");
}

pub(super) async fn parameters_may_be_any_json(stage: Stage<'_>) {
    for text in [
        "{}",
        "null",
        "[]",
        "\"\"",
        "-0.0",
        "1e999",
        "\"\\u0000'\\\"--;\"",
    ] {
        let json = JsonText::parse(text).unwrap();
        let run = stage
            .enqueue(NewRun::new(task("a"), Params::stored(json, [])))
            .await;
        assert_eq!(stage.get(run).await.params.expose().as_str(), text);
        let taken = stage.claim_one("a").await;
        assert_eq!(taken.run.params.expose().as_str(), text);
        let result = JsonText::parse(text).unwrap();
        stage.finish(&taken, Finish::Success(result.clone())).await;
        assert_eq!(stage.get(run).await.result, Some(result));
    }
}

pub(super) async fn names_may_be_of_any_script_and_length(stage: Stage<'_>) {
    let long = "数".repeat(fluid_core::MAX_NAME);
    for name in ["übung", "数据-1", "a.b:c_d", "Ünï", &long] {
        let mut new = new_run(name);
        new.queue = queue(name);
        new.concurrency_key = "ключ 'x' \"y\" %_".into();
        new.unique = Some(Unique {
            key: "🔑'\"%_".into(),
            window: None,
        });
        let run = stage.enqueue(new).await;
        let request = from(&[name], wish(&[name]));
        let taken = stage.claim_exactly_one(request).await;
        assert_eq!((taken.run.id, taken.run.task.as_str()), (run, name));
        assert_eq!(&*taken.run.concurrency_key, "ключ 'x' \"y\" %_");
        stage.finish(&taken, success()).await;
    }
}

pub(super) async fn names_that_differ_in_case_or_form_differ(stage: Stage<'_>) {
    // The second and third look alike: one letter, and a letter with a combining dot.
    let names = ["A", "a", "ä"];
    let mut ids = Vec::new();
    for name in names {
        ids.push(stage.enqueue_one(name).await);
    }
    for (name, run) in names.iter().zip(ids) {
        assert_eq!(stage.claim_ids(wish(&[name])).await, [run], "{name}");
    }
}

pub(super) async fn an_error_keeps_all_it_says(stage: Stage<'_>) {
    let errors = [
        RunError::exit(-7, "exit\nwith a second line"),
        RunError::signal(9, "killed"),
        RunError::new(ErrorKind::Panic, ""),
        RunError::new(ErrorKind::Timeout, "größer").with_retry(RetryHint::Never),
        RunError::new(ErrorKind::Start, "x".repeat(10_000))
            .with_retry(RetryHint::After(Duration::from_millis(1500))),
        RunError::new(ErrorKind::Parameters, "no"),
        RunError::new(ErrorKind::Aborted, "no").with_retry(RetryHint::Abort),
    ];
    for error in errors {
        let run = stage.enqueue_one("a").await;
        let taken = stage.claim_one("a").await;
        stage.finish(&taken, Finish::Failure(error.clone())).await;
        assert_eq!(stage.get(run).await.error, Some(error.clone()));
        assert_eq!(stage.attempts(run).await[0].error, Some(error));
    }
}
