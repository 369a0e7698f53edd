//! Programs: what they are given, and what becomes of how they end.

use fluid_core::{ErrorKind, LogStream, Outcome};
use serde_json::{Value, json};

use super::stage::Stage;

pub(super) async fn a_program_that_ends_well_succeeds_without_a_result(stage: Stage<'_>) {
    assert_eq!(stage.result_of("end", json!({})).await, Value::Null);
}

pub(super) async fn a_program_writes_its_result_to_a_file(stage: Stage<'_>) {
    let result = stage.result_of("write_result", json!({})).await;
    assert_eq!(result, json!({"answer": 42}));
}

pub(super) async fn a_result_that_is_no_json_is_an_error(stage: Stage<'_>) {
    let error = stage.error_of("write_nonsense", json!({})).await;
    assert_eq!(error.kind, ErrorKind::Error);
    assert!(error.message.contains("not JSON"), "{error}");
}

pub(super) async fn a_result_does_not_outweigh_an_exit_code(stage: Stage<'_>) {
    let error = stage.error_of("write_and_fail", json!({})).await;
    assert_eq!((error.kind, error.exit_code), (ErrorKind::Exit, Some(3)));
}

pub(super) async fn an_exit_code_is_told_with_the_last_lines_of_stderr(stage: Stage<'_>) {
    let error = stage.error_of("exit_3", json!({})).await;
    assert_eq!((error.kind, error.exit_code), (ErrorKind::Exit, Some(3)));
    let message = &error.message;
    assert!(
        message.contains('3') && message.contains("first\nno space left"),
        "{message}"
    );
    assert!(!message.contains("said"), "{message}");
}

pub(super) async fn the_signal_that_ended_a_program_is_told(stage: Stage<'_>) {
    let error = stage.error_of("kill_self", json!({})).await;
    assert_eq!((error.kind, error.signal), (ErrorKind::Signal, Some(9)));
    assert!(error.message.contains("SIGKILL"), "{error}");
}

pub(super) async fn a_program_reads_its_parameters_from_standard_input(stage: Stage<'_>) {
    let words = "größer '$(HOME)' \n 😀";
    let size = stage.params_size(stage.result_size(2 * 1024 * 1024)) - 100;
    let params = json!({"text": words.repeat(size / (words.len() + 1)), "number": 1.5});
    let result = stage.result_of("copy_params", params.clone()).await;
    assert!(result == params, "the parameters changed on their way");
}

pub(super) async fn a_program_need_not_read_its_parameters(stage: Stage<'_>) {
    let params = json!({"text": "x".repeat(stage.params_size(1024 * 1024) - 100)});
    for name in ["end", "close_stdin"] {
        let result = stage.result_of(name, params.clone()).await;
        assert_eq!(result, Value::Null, "{name}");
    }
}

pub(super) async fn a_program_knows_its_run(stage: Stage<'_>) {
    let mut attempt = stage.start("program_knows_run", json!({})).await;
    let run = attempt.run.clone();
    let attempt_number = run.attempt.to_string();
    assert_eq!(
        attempt.result().await,
        json!([run.id, "program_knows_run", attempt_number])
    );
}

pub(super) async fn simple_parameters_are_variables_of_a_program(stage: Stage<'_>) {
    let params = json!({
        "path": "a 'b' $c", "max-width": 7, "deep": {"a": 1}, "list": [1], "yes": true,
        "long": "x".repeat(5000), "none": null,
    });
    let mut attempt = stage.start("variables", params).await;
    attempt.result().await;
    assert_eq!(
        attempt.news.lines_of(LogStream::Stdout),
        [
            "FLUID_PARAM_MAX_WIDTH=7",
            "FLUID_PARAM_PATH=a 'b' $c",
            "FLUID_PARAM_YES=true"
        ]
    );
}

async fn start_error(stage: &Stage<'_>, name: &str) -> String {
    let outcome = match stage.try_start(Stage::task(name), json!({})).await {
        Ok(mut attempt) => attempt.outcome().await,
        Err(error) => Outcome::Failure(error),
    };
    match outcome {
        Outcome::Failure(error) => {
            assert_eq!(error.kind, ErrorKind::Start, "{error:?}");
            error.message
        }
        other => panic!("expected a failure to start, seen {other:?}"),
    }
}

pub(super) async fn a_program_that_does_not_exist_can_not_be_started(stage: Stage<'_>) {
    for (name, program) in [
        ("no_file", "/no/such/program"),
        ("not_in_path", "no-such-program"),
    ] {
        let message = start_error(&stage, name).await;
        assert!(message.contains(program), "{message}");
    }
    // What was started before and after is not harmed.
    assert_eq!(stage.result_of("end", json!({})).await, Value::Null);
}

pub(super) async fn a_directory_that_does_not_exist_is_named(stage: Stage<'_>) {
    let message = start_error(&stage, "no_directory").await;
    assert!(message.contains("/no/such/directory"), "{message}");
}

pub(super) async fn a_program_starts_in_its_directory(stage: Stage<'_>) {
    let mut attempt = stage.start("where_at_root", json!({})).await;
    attempt.result().await;
    assert_eq!(attempt.news.lines_of(LogStream::Stdout)[0], "/");
}

pub(super) async fn a_program_has_the_variables_of_its_task(stage: Stage<'_>) {
    let task = Stage::task("where").env("COLOUR", "dark  green");
    let mut attempt = stage.start_task(task, json!({})).await;
    attempt.result().await;
    assert_eq!(attempt.news.lines_of(LogStream::Stdout)[1], "dark  green");
}
