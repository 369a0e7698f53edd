//! What goes wrong with the broker's file is said, nothing is lost, and the consumer goes on when it is mended.

use std::path::Path;
use std::process::Command;

use fluid_core::RunState;
use fluid_system_tests::{Process, Workplace};

use crate::seen::{open, runs, until_finished};

const FLUID_TOML: &str = r#"
[fluid]
broker = "sqlite://disk/work.db"

[tasks.note]
command = ["sh", "-c", "echo $FLUID_RUN_ID >> done"]
"#;

/// A small disk of its own, gone when dropped.
pub(crate) struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    pub(crate) fn mount(folder: &Path, size: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(folder)
            .status();
        assert!(
            mounted.unwrap().success(),
            "this test mounts a small disk and needs root"
        );
        Self(folder.to_owned())
    }

    pub(crate) fn fill(&self) {
        let filler = vec![0_u8; 4096];
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write_all(&mut file, &filler).is_ok() {}
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn complaint(place: &Workplace, arguments: &[&str], code: i32) -> String {
    let output = place.fluid(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_the_consumer_goes_on_when_there_is_room() {
    let place = Workplace::new(FLUID_TOML);
    let disk = SmallDisk::mount(&place.path().join("disk"), "size=1m");
    let consumer = Process::start(&mut place.fluid(&["serve"]));
    place.run(&["enqueue", "note", "--wait"]);
    disk.fill();
    let params = place.path().join("batch.jsonl");
    std::fs::write(params, "{}\n".repeat(2000)).unwrap();
    let said = complaint(&place, &["enqueue", "note", "--many", "batch.jsonl"], 3);
    assert!(
        said.contains("no room left") && said.contains("disk/work.db"),
        "{said}"
    );
    let broker = open(&place.path().join("disk/work.db")).await;
    assert_eq!(
        runs(&broker, &[]).await.len(),
        1,
        "the batch is in the file wholly or not at all"
    );

    disk.make_room();
    place.run(&["enqueue", "note", "--wait"]);
    until_finished(&broker, 2).await;
    let all = runs(&broker, &[]).await;
    assert!(
        all.iter().all(|run| run.state == RunState::Success),
        "{all:?}"
    );
    let (status, said) = consumer.stop();
    assert!(status.success(), "{said}");
    drop((broker, disk));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_waited_for() {
    let place = Workplace::new(FLUID_TOML);
    std::fs::create_dir(place.path().join("disk")).unwrap();
    let consumer = Process::start(&mut place.fluid(&["serve"]));
    place.run(&["enqueue", "note", "--wait"]);
    let other = rusqlite::Connection::open(place.path().join("disk/work.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = complaint(&place, &["enqueue", "note"], 3);
    assert!(
        said.contains("locked") && said.contains("disk/work.db"),
        "{said}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    place.run(&["enqueue", "note", "--wait"]);
    let (status, said) = consumer.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_file_that_can_not_be_used_is_named_with_what_to_do() {
    let place = Workplace::new(FLUID_TOML);
    let file = place.path().join("disk/work.db");
    let said = complaint(&place, &["status"], 3);
    assert!(said.contains("disk"), "{said}");

    std::fs::create_dir(place.path().join("disk")).unwrap();
    std::fs::write(
        &file,
        "this is a diary and no database, and it is long enough to be read as one".repeat(100),
    )
    .unwrap();
    let said = complaint(&place, &["enqueue", "note"], 3);
    assert!(
        said.contains("damaged") || said.contains("not a database"),
        "{said}"
    );
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("this is a diary"),
        "it was left alone"
    );

    std::fs::remove_file(&file).unwrap();
    place.run(&["enqueue", "note"]);
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 9999).unwrap();
    drop(newer);
    let said = complaint(&place, &["enqueue", "note"], 3);
    assert!(
        said.contains("9999") && said.contains("newer fluid"),
        "{said}"
    );
}
