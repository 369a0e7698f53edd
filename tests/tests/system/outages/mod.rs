//! What goes wrong with a server while a consumer works on it: the consumer says what it is, waits, and goes on by
//! itself. It loses no run and does none twice.

mod postgres;
mod redis;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fluid_core::{Broker, LogStream, RunId, RunState, TaskRun};
use fluid_system_tests::{Process, Workplace};

use crate::seen::{runs, until, until_finished};

/// The password of every server, which nobody may say.
const PASSWORD: &str = "hunter2";

/// Runs that print until they are let go, and runs that wait meanwhile.
const CHATTERS: usize = 2;
const NOTES: usize = 60;

const TASKS: &str = r"
[tasks.chatter]
shell = 'n=0; while [ ! -e go ]; do n=$((n+1)); echo $n; sleep 0.02; done; echo $FLUID_RUN_ID >> done'

[tasks.note]
shell = 'echo begun; echo $FLUID_RUN_ID >> done; sleep 0.1; echo ended'
";

/// Longer than the interval at which a consumer asks for runs, so that it asks more than once.
const SOME_POLLS: Duration = Duration::from_secs(7);
/// How soon after the server is well again all is done.
const SOON: Duration = Duration::from_secs(30);

/// What must be said of an outage, and what it costs.
struct Expected<'a> {
    /// The reason in the log has these words.
    hints: &'a [&'a str],
    /// Whether the server still takes ends and claims: then attempts end, and what they print may be left out.
    output_alone: bool,
}

/// A consumer at work, and the broker that it works on.
struct Scene {
    place: Workplace,
    consumer: Process,
    broker: Box<dyn Broker>,
}

impl Scene {
    /// A consumer in the midst of its work: some runs print, some have ended, some wait.
    async fn begin(url: &str, broker: impl Broker) -> Self {
        let place = Workplace::new(TASKS);
        let fluid = |arguments: &[&str]| {
            let mut command = place.fluid(arguments);
            command.env("FLUID_BROKER_URL", url);
            command
        };
        let enqueue = |arguments: &[&str]| {
            let output = fluid(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        for (task, count) in [("chatter", CHATTERS), ("note", NOTES)] {
            std::fs::write(place.path().join("many.jsonl"), "{}\n".repeat(count)).unwrap();
            enqueue(&["enqueue", task, "--many", "many.jsonl"]);
        }
        let consumer = Process::start(&mut fluid(&[
            "serve",
            "--concurrency",
            "4",
            "--drain-timeout",
            "5s",
        ]));
        until_finished(&broker, 5).await;
        let broker = Box::new(broker);
        Self {
            place,
            consumer,
            broker,
        }
    }

    fn done(&self) -> Vec<String> {
        let done = std::fs::read_to_string(self.place.path().join("done")).unwrap();
        done.lines().map(str::to_owned).collect()
    }

    /// Has the outage told; afterwards the consumer has asked more than once and was refused.
    async fn suffer(&self, expected: &Expected<'_>) {
        let said = |line: &str| {
            line.contains("waiting for the broker")
                && expected.hints.iter().all(|hint| line.contains(hint))
        };
        self.consumer
            .until_line(&format!("{:?}", expected.hints), said);
        if expected.output_alone {
            self.consumer.until_line("output that is left out", |line| {
                line.contains("output is left out")
            });
            // Runs that print end all the same.
            let count = self.done().len() + 4;
            until(&*self.broker, "runs end", async || {
                (self.done().len() >= count).then_some(())
            })
            .await;
        } else {
            tokio::time::sleep(SOME_POLLS).await;
        }
    }

    /// All ends well once the server is well again.
    async fn recovers(self, expected: &Expected<'_>) {
        let since = Instant::now();
        std::fs::write(self.place.path().join("go"), "").unwrap();
        until_finished(&*self.broker, CHATTERS + NOTES).await;
        assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());

        let all = runs(&*self.broker, &[]).await;
        assert_eq!(all.len(), CHATTERS + NOTES);
        for run in &all {
            assert_eq!(
                (run.state, run.attempt, run.interruptions),
                (RunState::Success, 1, 0),
                "{run:?}"
            );
        }
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for id in self.done() {
            *times.entry(id).or_default() += 1;
        }
        let once: BTreeMap<_, _> = all.iter().map(|run| (run.id.to_string(), 1)).collect();
        assert_eq!(times, once, "each run was carried out once");
        self.consumer.until_line("the end of the outage", |line| {
            line.contains("the broker works again")
        });
        let (status, said) = self.consumer.stop();
        assert!(status.success(), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
        let count = |part: &str| said.lines().filter(|line| line.contains(part)).count();
        // A reason is told once, and an outage may show more than one: the connection is lost, then nobody is there.
        assert!((1..=3).contains(&count("waiting for the broker")), "{said}");
        assert_eq!(count("ERROR"), 0, "{said}");

        let missing = check_output(&*self.broker, &all).await;
        assert!(expected.output_alone || missing == 0, "{missing} lines");
        if expected.output_alone {
            assert!(missing > 0, "no line says that output is missing");
        }
    }
}

/// What was printed is there once, in order; how many lines are said to be missing instead.
async fn check_output(broker: &dyn Broker, all: &[TaskRun]) -> u64 {
    let mut missing = 0;
    for run in all {
        let (lines, left_out) = output(broker, run.id).await;
        missing += left_out;
        if run.task.as_str() == "chatter" {
            let mut last = 0;
            for line in &lines {
                let number: u64 = line.parse().unwrap();
                assert!(number > last, "{line} comes after {last}");
                last = number;
            }
            let whole = u64::try_from(lines.len()).unwrap() + left_out;
            assert!(
                whole >= last,
                "{} lines of {last}, {left_out} are said to be missing",
                lines.len()
            );
        } else {
            assert_eq!(lines.len() as u64 + left_out, 2, "{lines:?}");
        }
    }
    missing
}

async fn output(broker: &dyn Broker, run: RunId) -> (Vec<String>, u64) {
    let (mut lines, mut missing) = (Vec::new(), 0);
    for stored in broker.read_logs(run, 0, 100_000).await.unwrap() {
        let text = stored.line.text;
        if stored.line.stream != LogStream::System {
            lines.push(text);
        } else if text.contains("missing here: the broker was full") {
            let first = text.split(' ').next().unwrap();
            missing += first.parse().unwrap_or(1);
        }
    }
    (lines, missing)
}
