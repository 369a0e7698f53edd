//! The example: fluid below a path of somebody's own service.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Ends the example with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cargo puts examples beside the folder that this test is in.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/mount")
}

#[tokio::test]
async fn the_example_serves_the_api_below_its_own_path() {
    let mut example = Command::new(example());
    let started = example.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn();
    let told = "build it: cargo build -p fluid-http --examples";
    let mut running = Running(started.expect(told));
    let mut line = String::new();
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let base = reqwest::Url::parse(line.trim()).unwrap();
    let welcome = reqwest::Client::new().post(base.join("../welcome/ada").unwrap());
    let run = welcome.send().await.unwrap().text().await.unwrap();
    let place = format!("api/v1/runs/{}?wait=20s", run.trim());
    let shown = reqwest::get(base.join(&place).unwrap()).await.unwrap();
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown["result"], "welcome, ada", "{shown}");
}
