//! The folder-pipeline example at work on real files with programs that know nothing of fluid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use fluid_core::{Broker, RunState, Trigger};
use fluid_system_tests::{Process, Workplace};

use crate::seen::{open, runs, until};

fn checkout() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .parent()
        .unwrap()
        .to_owned()
}

fn most_frequent(text: &str) -> usize {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in text
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
    {
        *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
    }
    counts.into_values().max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_real_files_is_counted_packed_verified_and_catalogued() {
    let example = checkout().join("examples/folder-pipeline");
    let place = Workplace::new(&std::fs::read_to_string(example.join("fluid.toml")).unwrap());
    std::fs::copy(example.join("scan.py"), place.path().join("scan.py")).unwrap();
    let inbox = place.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let files = [
        "ARCHITECTURE.md",
        "Cargo.lock",
        "LICENSE-APACHE",
        "crates/fluid-core/src/broker.rs",
    ];
    let names: Vec<_> = files
        .iter()
        .map(|file| file.rsplit('/').next().unwrap())
        .collect();
    for (file, name) in files.iter().zip(&names) {
        std::fs::copy(checkout().join(file), inbox.join(name)).unwrap();
    }
    // Enqueued before its file is there: the first attempts fail, and the policy tries again.
    place.run(&["enqueue", "words", "--file", "late.txt"]);

    let consumer = Process::start(&mut place.fluid(&["serve"]));
    let broker = open(&place.path().join("pipeline.db")).await;
    until(&broker, "the first attempt fails", async || {
        let all = runs(&broker, &[]).await;
        all.iter()
            .any(|run| run.task.as_str() == "words" && run.failures > 0)
            .then_some(())
    })
    .await;
    std::fs::write(inbox.join("late.txt"), "late but not too late").unwrap();

    let all = until(&broker, "every file is counted and verified", async || {
        let all = runs(&broker, &[]).await;
        let done = |task: &str| {
            let succeeded = all.iter().filter(|run| run.state == RunState::Success);
            succeeded.filter(|run| run.task.as_str() == task).count() == names.len() + 1
        };
        (done("words") && done("verify")).then_some(all)
    })
    .await;
    let (status, said) = consumer.stop();
    assert!(status.success(), "{said}");

    for name in &names {
        let original = std::fs::read_to_string(inbox.join(name)).unwrap();
        let packed = place.path().join(format!("out/{name}.xz"));
        let unpacked = Command::new("xz")
            .args(["--decompress", "--stdout"])
            .arg(packed)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&unpacked.stdout),
            original,
            "{name}"
        );
        let words =
            std::fs::read_to_string(place.path().join(format!("out/{name}.words"))).unwrap();
        let first: usize = words.split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(first, most_frequent(&original), "{name}: {words}");
    }
    let catalogue = std::fs::read_to_string(place.path().join("out/catalogue")).unwrap();
    assert_eq!(catalogue.lines().count(), names.len() + 1, "{catalogue}");

    let by_task = |task: &str| {
        all.iter()
            .filter(|run| run.task.as_str() == task)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        by_task("pack").len(),
        names.len() + 1,
        "a file that is seen again is not packed again"
    );
    assert!(
        by_task("scan")
            .iter()
            .all(|run| run.trigger == Trigger::Schedule)
    );
    for verify in by_task("verify") {
        let parent = broker
            .get(verify.parent.expect("it was chained"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(parent.task.as_str(), "pack");
        let root = broker.get(verify.root.unwrap()).await.unwrap().unwrap();
        assert_eq!(root.task.as_str(), "scan", "the chain began with a tick");
    }
    let retried = all
        .iter()
        .filter(|run| run.failures > 0 && run.state == RunState::Success)
        .count();
    assert!(retried >= 1, "the late file's run was tried again");
    println!(
        "{} runs for {} files, {retried} tried again",
        all.len(),
        names.len() + 1
    );
}
