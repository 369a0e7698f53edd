//! A secret parameter reaches the program and nothing else.

use fluid_system_tests::{Process, Workplace};

use crate::seen::{open, until_finished};

const SECRET: &str = "correct-horse-battery-staple";

const FLUID_TOML: &str = r#"
[fluid]
broker = "sqlite://work.db"

[tasks.login]
shell = '''
read -r params
echo "on output: $params"
echo "on error: $params" >&2
printf '%s' "$params" > got
printf '{"echo": %s}' "$params" > "$FLUID_RESULT_PATH"
while [ ! -e go ]; do sleep 0.05; done
test -e succeed || { echo "failed with $params" >&2; exit 3; }
'''
secrets = ["token"]
cpu_bound = true
params = { type = "object", required = ["user", "token"], properties = { user = { type = "string" }, token = { type = "string" } } }
"#;

fn arguments_of_all_processes() -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Processes come and go while we look.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        all.push_str(&String::from_utf8_lossy(&line));
        all.push('\n');
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_in_no_arguments_log_error_or_report() {
    let place = Workplace::new(FLUID_TOML);
    let params = format!(r#"{{"user": "ada", "token": "{SECRET}"}}"#);
    std::fs::write(place.path().join("params.json"), &params).unwrap();
    let consumer = Process::start(&mut place.fluid(&["serve"]));
    place.run(&["enqueue", "login", "--params-file", "params.json"]);
    consumer.until_line("the output", |line| line.contains("on output"));
    let arguments = arguments_of_all_processes();
    assert!(
        arguments.contains("serve"),
        "the consumer is among the processes that were looked at"
    );
    assert!(
        !arguments.contains(SECRET),
        "the secret is in the arguments of a process"
    );

    std::fs::write(place.path().join("go"), "").unwrap();
    let broker = open(&place.path().join("work.db")).await;
    until_finished(&broker, 1).await;
    std::fs::write(place.path().join("succeed"), "").unwrap();
    place.run(&["enqueue", "login", "--params-file", "params.json", "--wait"]);
    assert!(
        std::fs::read_to_string(place.path().join("got"))
            .unwrap()
            .contains(SECRET),
        "it was handed over"
    );

    let mut shown = String::new();
    for run in crate::seen::runs(&broker, &[]).await {
        let id = run.id.to_string();
        shown += &format!("{run:?}");
        for output in ["table", "json"] {
            shown += &place.run(&["--output", output, "runs", "show", &id]);
            shown += &place.run(&["--output", output, "runs", "logs", &id]);
            shown += &place.run(&["--output", output, "runs", "list"]);
        }
    }
    let (status, said) = consumer.stop();
    assert!(status.success(), "{said}");
    shown += &said;
    assert!(shown.contains("exit code 3"), "{shown}");
    assert!(
        shown.contains("on output") && shown.contains("on error") && shown.contains("ada"),
        "{shown}"
    );
    assert!(shown.contains("[redacted]"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
}
