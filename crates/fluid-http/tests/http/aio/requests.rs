//! Requests that mean something, nearly mean something, or mean nothing.

use fluid_proof::Dice;
use reqwest::Method;

/// A request to either side.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// The path; `{run}` stands for the id of the run of this number.
    path: String,
    run: Option<usize>,
    pub(super) query: Vec<(&'static str, &'static str)>,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Option<String>,
}

impl Asked {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            run: None,
            query: Vec::new(),
            content_type: None,
            body: None,
        }
    }

    fn json(mut self, body: &str) -> Self {
        self.content_type = Some("application/json");
        self.body = Some(body.to_owned());
        self
    }

    pub(super) fn address(&self, runs: &[String]) -> String {
        let run = self.run.map(|number| runs[number].as_str());
        let path = self.path.replace("{run}", run.unwrap_or_default());
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if query.is_empty() {
            path
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    pub(super) fn makes_a_run(&self) -> bool {
        self.method == Method::POST
    }

    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        // The last of several counts.
        let said = self.query.iter().rev().find(|(key, _)| *key == name);
        said.is_some_and(|(_, said)| *said == value)
    }
}

const TASKS: [&str; 3] = ["ping", "add", "shout"];
const BODIES: [(&str, &str); 22] = [
    ("ping", "{}"),
    ("ping", "{\"unknown\": 1}"),
    ("ping", "{broken"),
    ("add", "{\"a\": 1}"),
    ("add", "{\"a\": 1, \"b\": -7}"),
    ("add", "{\"a\": 1, \"unknown\": [1, 2]}"),
    ("add", "{\"a\": 2.0}"),
    ("add", "{}"),
    ("add", "{\"a\": null}"),
    ("add", "{\"a\": \"x\"}"),
    ("add", "{\"a\": 1.5}"),
    ("add", "{\"a\": \"5\"}"),
    ("add", "[1]"),
    ("add", "null"),
    ("add", "{\"a\": 1,"),
    ("add", "{\"a\": {\"b\": [true]}, \"b\": []}"),
    ("shout", "{\"text\": \"\"}"),
    ("shout", "{\"text\": \"h\u{e9}llo\", \"loud\": true}"),
    ("shout", "{\"text\": 5}"),
    ("shout", "{\"text\": \"x\", \"loud\": \"yes\"}"),
    ("shout", "{\"text\": \"x\", \"loud\": \"perhaps\"}"),
    ("shout", "{\"text\": \"x\", \"loud\": null}"),
];
const PATCHES: [&str; 14] = [
    "{\"enabled\": true}",
    "{\"enabled\": false}",
    "{\"enabled\": \"off\"}",
    "{\"enabled\": \"YES\"}",
    "{\"enabled\": 1}",
    "{\"enabled\": 0.0}",
    "{\"enabled\": 2}",
    "{\"enabled\": \"maybe\"}",
    "{\"enabled\": null}",
    "{\"enabled\": []}",
    "{\"unknown\": true}",
    "{}",
    "[]",
    "{\"enabled\"",
];
const HISTORY: [(&str, &str); 40] = [
    ("task", "ping"),
    ("task", "add"),
    ("task", "nope"),
    ("task", "a%20b"),
    ("task", ""),
    ("state", "init"),
    ("state", "queued"),
    ("state", "running"),
    ("state", "success"),
    ("state", "failure"),
    ("state", "aborted"),
    ("state", "rate_limited"),
    ("state", "interrupted"),
    ("state", "scheduled"),
    ("state", "SUCCESS"),
    ("limit", "1"),
    ("limit", "3"),
    ("limit", "500"),
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "x"),
    ("limit", ""),
    ("start", "2026-01-01"),
    ("start", "2020-01-01T00:00:00Z"),
    ("start", "2999-01-01T00:00:00%2B02:00"),
    ("start", "yesterday"),
    ("start", ""),
    ("end", "2999-01-01T00:00:00"),
    ("end", "1700000000"),
    ("end", "noon"),
    ("params", "%7B%7D"),
    ("params", "%7B%22a%22:1%7D"),
    ("params", "%7B%22text%22:%22%22%7D"),
    ("params", "%7B"),
    ("params", "5"),
    ("params", "%5B1%5D"),
    ("tags", "math"),
    ("tags", "nothing"),
    ("unknown", "1"),
    ("cursor", ""),
];

/// The next request, where `runs` runs are known by number.
pub(super) fn next(dice: &mut Dice, runs: usize) -> Asked {
    let task = if dice.percent(85) {
        *dice.one_of(&TASKS)
    } else {
        *dice.one_of(&["nope", "a%20b", "%C3%BCbung"])
    };
    match dice.number(0..=99) {
        0..=9 => listed(dice),
        10..=15 => Asked::new(Method::GET, format!("/tasks/{task}")),
        16..=27 => patched(dice, task),
        28..=52 => queued(dice),
        53..=56 => Asked::new(Method::GET, "/tasks-status"),
        57..=59 => Asked::new(Method::DELETE, "/tasks-queue"),
        60..=64 => {
            let priority = *dice.one_of(&["high", "medium", "low", "urgent", "HIGH"]);
            Asked::new(Method::DELETE, format!("/tasks-queue/{priority}"))
        }
        65..=84 => history(dice),
        85..=91 if runs > 0 => {
            let mut asked = Asked::new(Method::GET, "/tasks-history/{run}");
            asked.run = Some(dice.index(runs));
            asked
        }
        85..=93 => {
            let id = *dice.one_of(&[
                "nope",
                "00000000000000000000000000000000",
                "0192f0c1-7d9a-7c3e-8a51-2f6f0e1b9d42",
            ]);
            Asked::new(Method::GET, format!("/tasks-history/{id}"))
        }
        94 => Asked::new(Method::HEAD, "/tasks"),
        95..=96 => {
            let path = [
                "/tasks/",
                "/tasks/ping/",
                "/tasks-history/",
                "/tasks-history/x/",
            ];
            Asked::new(Method::GET, *dice.one_of(&path))
        }
        _ => {
            let method = dice
                .one_of(&[Method::PUT, Method::DELETE, Method::OPTIONS])
                .clone();
            let path = ["/tasks", "/tasks/ping", "/tasks-status", "/tasks-history"];
            Asked::new(method, *dice.one_of(&path))
        }
    }
}

fn listed(dice: &mut Dice) -> Asked {
    let mut asked = Asked::new(Method::GET, "/tasks");
    for _ in 0..dice.number(0..=2) {
        let tag = *dice.one_of(&["net", "math", "quick", "nothing", ""]);
        asked.query.push(("tags", tag));
    }
    if dice.percent(10) {
        asked.query.push(("unknown", "1"));
    }
    asked
}

fn patched(dice: &mut Dice, task: &str) -> Asked {
    let asked = Asked::new(Method::PATCH, format!("/tasks/{task}"));
    if dice.percent(10) {
        return asked;
    }
    let body: &&str = dice.one_of(&PATCHES);
    let asked = asked.json(body);
    as_something_else(dice, asked)
}

fn queued(dice: &mut Dice) -> Asked {
    let (task, body) = *dice.one_of(&BODIES);
    let task = if dice.percent(5) { "nope" } else { task };
    let asked = Asked::new(Method::POST, format!("/tasks/{task}"));
    if dice.percent(10) {
        return asked;
    }
    as_something_else(dice, asked.json(body))
}

/// Now and then the header says something else.
fn as_something_else(dice: &mut Dice, mut asked: Asked) -> Asked {
    if dice.percent(10) {
        asked.content_type = *dice.one_of(&[
            None,
            Some("text/plain"),
            Some("application/json; charset=utf-8"),
            Some("application/vnd.x+json"),
        ]);
    }
    asked
}

fn history(dice: &mut Dice) -> Asked {
    let mut asked = Asked::new(Method::GET, "/tasks-history");
    for _ in 0..dice.number(0..=3) {
        asked.query.push(*dice.one_of(&HISTORY));
    }
    if dice.percent(5) {
        asked.query = vec![*dice.one_of(&[("cursor", "abc"), ("params", "%22x%22")])];
    }
    asked
}
