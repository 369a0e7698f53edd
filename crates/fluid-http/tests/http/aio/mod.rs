//! The routes of aio-fluid answer as aio-fluid does: the two side by side, asked the same.

mod differences;
mod requests;
mod shape;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluid_core::{JsonText, Priority, Schedule, Task, TaskContext, TaskError};
use fluid_proof::Dice;
use fluid_test_servers::postgres::{Postgres, PostgresOptions};
use fluid_test_servers::redis::{RedisOptions, RedisServer};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::python::PythonServer;
use crate::served::{Served, serving};
use differences::{Difference, documented};
use requests::Asked;
use shape::Shape;

/// How many requests both are asked.
const REQUESTS: usize = 400;
/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    #[expect(dead_code, reason = "only the schema is of interest")]
    a: i64,
    #[serde(default)]
    #[expect(dead_code, reason = "only the schema is of interest")]
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
    #[serde(default)]
    #[expect(dead_code, reason = "only the schema is of interest")]
    loud: bool,
}

/// The tasks of `tests/python/aio_app.py`.
async fn ours() -> Served {
    let ping = Task::function("ping", async |_: TaskContext| Ok::<_, TaskError>(()));
    let add = Task::function(
        "add",
        async |_: TaskContext<Numbers>| Ok::<_, TaskError>(()),
    );
    let shout = Task::function("shout", async |ctx: TaskContext<Text>| {
        if ctx.params.text.is_empty() {
            return Err(TaskError::new("nothing to say"));
        }
        Ok(())
    });
    let hourly = Schedule::every(Duration::from_secs(3600)).unwrap();
    let ping = ping
        .unwrap()
        .description("Answers.")
        .tag("net")
        .tag("quick");
    let add = add
        .unwrap()
        .description("Adds two numbers.")
        .tag("math")
        .tag("quick");
    let shout = shout
        .unwrap()
        .description("Says it loud.")
        .schedule(hourly)
        .schedule_params(JsonText::from(json!({"text": "tick"})));
    serving([ping, add.priority(Priority::High), shout]).await
}

/// What one of the two answered.
struct Answer {
    status: u16,
    shape: Shape,
    /// Where a redirect leads.
    leads_to: Option<String>,
    json: Value,
}

/// One of the two, and the runs that it made.
struct Side {
    client: Client,
    base: Url,
    runs: Vec<String>,
}

impl Side {
    fn new(port: u16) -> Self {
        let client = Client::builder().redirect(Policy::none());
        // A server may end a connection with an error that it did not expect.
        let client = client.pool_max_idle_per_host(0);
        Self {
            client: client.build().unwrap(),
            base: Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            runs: Vec::new(),
        }
    }

    async fn ask(&mut self, asked: &Asked) -> Answer {
        let url = self.base.join(&asked.address(&self.runs)).unwrap();
        let mut request = self.client.request(asked.method.clone(), url.clone());
        if let Some(kind) = asked.content_type {
            request = request.header("content-type", kind);
        }
        if let Some(body) = &asked.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let place = answer.headers().get("location");
        let place = place.map(|place| url.join(place.to_str().unwrap()).unwrap());
        let leads_to = place.map(|place| place.path().to_owned());
        let json: Value = answer.json().await.unwrap_or_default();
        if let Some(run) = json["id"].as_str().filter(|_| asked.makes_a_run()) {
            self.runs.push(run.to_owned());
            self.wait_for_the_history(run).await;
        }
        Answer {
            status,
            shape: Shape::of(&json),
            leads_to,
            json,
        }
    }

    /// aio-fluid writes its history a moment later.
    async fn wait_for_the_history(&self, run: &str) {
        let url = self.base.join(&format!("/tasks-history/{run}")).unwrap();
        let written = async {
            while self.client.get(url.clone()).send().await.unwrap().status() != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let written = tokio::time::timeout(DEADLINE, written).await;
        written.unwrap_or_else(|_| panic!("{url} was never written"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_answer_the_same_requests_with_the_same_statuses_and_keys_but_where_documented() {
    let seed = std::env::var("FLUID_AIO_SEED").map(|seed| seed.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = seed.unwrap_or(now.as_secs());
    println!("seed {seed}: set FLUID_AIO_SEED={seed} to ask the same again");
    let postgres = Postgres::start(&PostgresOptions::new()).unwrap();
    let redis = RedisServer::start(&RedisOptions::new()).unwrap();
    let database = postgres
        .url("postgres")
        .replace("postgres://", "postgresql+asyncpg://");
    let environment = [
        ("DATABASE", &*database),
        ("FLUID_BROKER_URL", &*redis.url()),
    ];
    let aio_fluid = PythonServer::start("aio_app.py", &environment);
    let served = ours().await;
    let _consumer = served.consume();
    let mut there = Side::new(aio_fluid.port);
    let mut here = Side::new(served.address.port());

    let mut dice = Dice::new(seed);
    let mut seen = std::collections::BTreeMap::<Difference, usize>::new();
    for number in 0..REQUESTS {
        let asked = requests::next(&mut dice, there.runs.len().min(here.runs.len()));
        let (theirs, ours) = (there.ask(&asked).await, here.ask(&asked).await);
        let alike = theirs.status == ours.status
            && theirs.shape.agrees(&ours.shape)
            && theirs.leads_to == ours.leads_to;
        let difference = documented(&asked);
        let as_told = match difference {
            Some(difference) => difference.statuses() == (theirs.status, ours.status),
            None => alike,
        };
        assert!(
            as_told,
            "request {number} of seed {seed}: {asked:?}\ndocumented: {difference:?}\nthere: {} {}\nhere:  {} {}",
            theirs.status, theirs.json, ours.status, ours.json
        );
        if let Some(difference) = difference {
            *seen.entry(difference).or_default() += 1;
        }
    }
    println!(
        "{REQUESTS} requests, {} runs, differences: {seen:?}",
        here.runs.len()
    );
    assert!(here.runs.len() > REQUESTS / 40);
}
