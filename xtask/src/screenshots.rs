//! Pictures of every page of the dashboard.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::process::{cargo, root, run};
use crate::tools;

/// Where the demo serves.
const ADDRESS: &str = "127.0.0.1:7474";
/// How long the demo goes on before the pictures: long enough for a few minutes in the chart.
const LIVES: Duration = Duration::from_secs(150);
/// The pictures that the README shows, and what they are called there.
const IN_README: [(&str, &str); 3] = [
    ("overview-desktop-light", "overview"),
    ("run_running-desktop-dark", "run"),
    ("task-desktop-light", "task"),
];

/// Starts the demo, waits until there is something to see, and makes the pictures.
pub(crate) fn run_command() -> anyhow::Result<()> {
    tools::programs()?;
    let modules = tools::browser()?;
    let demo = ["--quiet", "-p", "fluid-http", "--example", "demo"];
    run(cargo().arg("build").args(demo))?;
    let mut demo = cargo()
        .arg("run")
        .args(demo)
        .stdout(Stdio::null())
        .spawn()?;
    let made = pictures(&modules);
    demo.kill()?;
    demo.wait()?;
    made
}

fn pictures(modules: &std::path::Path) -> anyhow::Result<()> {
    let begin = Instant::now();
    while std::net::TcpStream::connect(ADDRESS).is_err() {
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("the demo does not listen on {ADDRESS}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(LIVES);
    let scripts = root().join("crates/fluid-http/tests/browser");
    for script in ["browser.mjs", "screenshots.mjs"] {
        std::fs::copy(scripts.join(script), modules.join(script))?;
    }
    let folder = root().join("target/screenshots");
    std::fs::create_dir_all(&folder)?;
    run(Command::new("node")
        .arg(modules.join("screenshots.mjs"))
        .arg(format!("http://{ADDRESS}/"))
        .arg(&folder))?;
    let shown = root().join("docs/screenshots");
    std::fs::create_dir_all(&shown)?;
    for (picture, name) in IN_README {
        let picture = folder.join(format!("{picture}.png"));
        std::fs::copy(picture, shown.join(format!("{name}.png")))?;
    }
    println!("the pictures are in {}", folder.display());
    Ok(())
}
