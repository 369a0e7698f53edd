//! The tasks that the suite carries out: functions, and programs in the language of the shell.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use fluid_core::{Command, NameError, ParamsSchema, Task, TaskContext, TaskError};
use serde_json::{Value, json};

/// How long the error of the task `error` asks to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(7);

/// The task of this name.
pub fn find(name: &str) -> Option<Task> {
    all().into_iter().find(|task| task.name.as_str() == name)
}

/// Every task of the suite.
///
/// # Panics
/// Never, as all names are good ones.
pub fn all() -> Vec<Task> {
    let programs = PROGRAMS.iter().map(|(name, script)| program(name, script));
    let secret_programs = SECRET_PROGRAMS
        .iter()
        .map(|(name, script)| Ok(program(name, script)?.params(secret_params())));
    let plain = functions().into_iter().chain(secret_functions());
    let all: Result<Vec<_>, _> = plain
        .chain(programs)
        .chain(secret_programs)
        .chain(placed_programs())
        .collect();
    all.unwrap()
}

type Made = Result<Task, NameError>;

fn functions() -> Vec<Made> {
    vec![
        Task::function("result", |_: TaskContext<()>| async {
            Ok::<_, TaskError>(json!({"answer": 42}))
        }),
        Task::function("error", |_: TaskContext<()>| async {
            Err::<(), _>(TaskError::new("no luck").retry_after(RETRY_AFTER))
        }),
        Task::function("fatal", |_: TaskContext<()>| async {
            Err::<(), _>(TaskError::fatal("no such thing"))
        }),
        Task::function("abort", |_: TaskContext<()>| async {
            Err::<(), _>(TaskError::abort("no need"))
        }),
        Task::function("panic", |_: TaskContext<()>| async {
            give_up("out of cheese");
            Ok::<_, TaskError>(())
        }),
        Task::function("echo", |ctx: TaskContext<Value>| async {
            Ok::<_, TaskError>(ctx.params)
        }),
        Task::function("count_letters", |ctx: TaskContext<Value>| async move {
            let text = ctx.params.get("text").and_then(Value::as_str);
            Ok::<_, TaskError>(text.map(str::len))
        }),
        Task::function("know_run", |ctx: TaskContext<()>| async move {
            let run = ctx.run();
            let known = json!({"id": run.id, "task": run.task, "attempt": run.attempt});
            Ok::<_, TaskError>(known)
        }),
        Task::function("large", |ctx: TaskContext<Value>| async move {
            let size = ctx.params.get("size").and_then(Value::as_u64);
            let size = usize::try_from(size.unwrap_or(0)).unwrap_or(0);
            Ok::<_, TaskError>("x".repeat(size))
        }),
        Task::function("progress", |ctx: TaskContext<()>| async move {
            ctx.progress(0.5, "halfway");
            Ok::<_, TaskError>(())
        }),
        Task::function("sleep", |ctx: TaskContext<()>| async move {
            ctx.progress(0.0, "asleep");
            pending::<()>().await;
            Ok::<_, TaskError>(())
        }),
        Task::function("stop", |ctx: TaskContext<()>| async move {
            ctx.progress(0.0, "listening");
            ctx.cancelled().cancelled().await;
            Err::<(), _>(TaskError::new("told to stop"))
        }),
        Task::function("succeed_when_stopped", |ctx: TaskContext<()>| async move {
            ctx.progress(0.0, "listening");
            ctx.cancelled().cancelled().await;
            Ok::<_, TaskError>("just in time")
        }),
    ]
}

fn give_up(why: &str) {
    panic!("{why}");
}

/// All take a parameter `token`, which is secret, and may take others.
fn secret_functions() -> Vec<Made> {
    type Secrets = TaskContext<BTreeMap<String, String>>;
    fn told(ctx: &Secrets) -> String {
        format!("the token is {:?}", ctx.params.get("token"))
    }
    let all = vec![
        Task::function("secret_length", |ctx: Secrets| async move {
            Ok::<_, TaskError>(ctx.params.get("token").map(String::len))
        }),
        Task::function("secret_result", |ctx: Secrets| async move {
            Ok::<_, TaskError>(json!({"said": told(&ctx), "params": ctx.params}))
        }),
        Task::function("secret_error", |ctx: Secrets| async move {
            Err::<(), _>(TaskError::new(told(&ctx)))
        }),
        Task::function("secret_panic", |ctx: Secrets| async move {
            give_up(&told(&ctx));
            Ok::<_, TaskError>(())
        }),
        Task::function("secret_progress", |ctx: Secrets| async move {
            ctx.progress(0.5, told(&ctx));
            Ok::<_, TaskError>(())
        }),
        Task::function("secret_sleep", |ctx: Secrets| async move {
            ctx.progress(0.0, "asleep");
            pending::<()>().await;
            Ok::<_, TaskError>(())
        }),
    ];
    let with_schema = |made: Made| Ok(made?.params(secret_params()));
    all.into_iter().map(with_schema).collect()
}

fn secret_params() -> ParamsSchema {
    ParamsSchema::from_value(json!({
        "type": "object",
        "properties": {"token": {"type": "string", "writeOnly": true}},
    }))
    .unwrap()
}

/// A child that is to be stopped holds no output: a signal that comes between its fork and its exec is lost.
const PROGRAMS: &[(&str, &str)] = &[
    ("end", "exit 0"),
    (
        "write_result",
        r#"printf ' {"answer": 42}\n' >"$FLUID_RESULT_PATH""#,
    ),
    (
        "write_nonsense",
        r#"echo '{"answer": }' >"$FLUID_RESULT_PATH""#,
    ),
    ("write_and_fail", r#"echo 1 >"$FLUID_RESULT_PATH"; exit 3"#),
    (
        "exit_3",
        "echo said; echo first >&2; echo 'no space left' >&2; exit 3",
    ),
    ("kill_self", "kill -KILL $$"),
    ("copy_params", r#"cat >"$FLUID_RESULT_PATH""#),
    ("close_stdin", "exec <&-; echo ready"),
    (
        "program_knows_run",
        r#"printf '["%s", "%s", "%s"]' "$FLUID_RUN_ID" "$FLUID_TASK" "$FLUID_ATTEMPT" \
            >"$FLUID_RESULT_PATH""#,
    ),
    ("variables", "env | grep -a '^FLUID_PARAM_' | sort"),
    ("where", "pwd; echo \"$COLOUR\""),
    (
        "two_streams",
        "echo one; echo two >&2; echo; echo three; printf last",
    ),
    (
        "count",
        r#"i=0; while [ $i -lt "$FLUID_PARAM_COUNT" ]; do i=$((i + 1)); echo "line $i"; done"#,
    ),
    (
        "huge_line",
        r#"head -c "$FLUID_PARAM_SIZE" /dev/zero | tr '\0' x; echo; echo after"#,
    ),
    ("no_utf8", r"printf 'a\377b\303\n\300'"),
    (
        "say_progress",
        "echo '::progress 0.25 a quarter'; echo '::progress none'; echo said",
    ),
    ("sleep_program", "echo ready; exec sleep 1000"),
    (
        "stop_program",
        "trap 'echo stopping; exit 0' TERM; echo ready; sleep 1000 >/dev/null 2>&1 & wait",
    ),
    (
        "ignore_stop",
        "trap '' TERM; echo ready; while :; do sleep 1000; done",
    ),
    (
        "grandchild_stops",
        "(trap 'echo grandchild stops; exit' TERM; echo ready; sleep 1000 >/dev/null 2>&1 & wait) & \
         trap : TERM; wait; wait",
    ),
    ("grandchild_holds", "sleep 1000 & echo left"),
    ("eat_memory", "exec tail /dev/zero"),
    (
        "take_time",
        r#"echo begin; sleep 3; echo end; cat /proc/sys/kernel/random/uuid | sed 's/.*/"&"/' >"$FLUID_RESULT_PATH""#,
    ),
];

/// As [`PROGRAMS`], with a parameter `token` that is secret.
const SECRET_PROGRAMS: &[(&str, &str)] = &[
    (
        "secret_everywhere",
        r#"read -r line; printf '%s\n' "$line" "::progress 0.5 $line"; printf '%s\n' "$line" >&2
            env | grep -a hunter >&2; exit 1"#,
    ),
    (
        "secret_written",
        r#"cat >"$FLUID_RESULT_PATH"; env | grep -ac '^FLUID_PARAM_'"#,
    ),
    // Not as its last command: a process that is about to be another program shows no command line.
    ("secret_waits", "echo ready; sleep 1000; :"),
];

/// Programs that start elsewhere than others, and some that can't be started.
fn placed_programs() -> Vec<Made> {
    let shell = ["/bin/sh", "-c", "pwd"];
    vec![
        Task::command("where_at_root", Command::new(shell).directory("/")),
        Task::command(
            "no_directory",
            Command::new(shell).directory("/no/such/directory"),
        ),
        Task::command("no_file", Command::new(["/no/such/program"])),
        Task::command("not_in_path", Command::new(["no-such-program"])),
    ]
}

fn program(name: &str, script: &str) -> Made {
    Task::command(name, Command::new(["/bin/sh", "-c", script]))
}
