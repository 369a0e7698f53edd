//! The processes, each in its place, which is filled again when its process is gone.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use fluid_proof::{Ledger, Sabotage, What};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::arguments::Role;
use crate::child;

/// How long a process that is told to stop may take: its runs, and what it has to write.
const STOPS_IN: Duration = Duration::from_secs(60);
/// How much of its last words is shown of a process that ended by itself.
const LAST_WORDS: usize = 600;
/// How a process ends that does not listen.
const TOLD: Option<i32> = Some(Signal::TERM.as_raw());

/// What one place is for.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) role: Role,
    /// How far the clock of its processes is ahead, in milliseconds.
    pub(crate) ahead: i64,
    /// The broker's URL for its processes.
    pub(crate) url: String,
}

struct Place {
    post: Post,
    word: String,
    generation: u32,
    process: Option<(Child, String)>,
    /// Since when its process is stopped where it is.
    held_since: Option<u64>,
}

/// All places.
pub(crate) struct Crew {
    folder: PathBuf,
    sabotage: Option<Sabotage>,
    ledger: Ledger,
    places: Vec<Place>,
    /// Those that were told to stop.
    leaving: JoinSet<Result<(), String>>,
    /// What went wrong without anybody's doing.
    pub(crate) wrong: Vec<String>,
}

impl Crew {
    pub(crate) fn new(
        folder: &Path,
        sabotage: Option<Sabotage>,
        posts: Vec<Post>,
    ) -> std::io::Result<Self> {
        let places = posts.into_iter().enumerate().map(|(place, post)| Place {
            word: format!("{}-{}", post.role.as_str(), place + 1),
            post,
            generation: 0,
            process: None,
            held_since: None,
        });
        Ok(Self {
            folder: folder.to_owned(),
            sabotage,
            ledger: child::ledger(folder, "storm")?,
            places: places.collect(),
            leaving: JoinSet::new(),
            wrong: Vec::new(),
        })
    }

    /// Starts the next process of a place.
    pub(crate) fn start(&mut self, place: usize) -> anyhow::Result<()> {
        let sabotage = self.sabotage;
        let folder = self.folder.clone();
        let place = &mut self.places[place];
        place.generation += 1;
        let name = format!("{}.{}", place.word, place.generation);
        let words = File::create(words(&folder, &name))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("child")
            .args(["--name", &name, "--url", &place.post.url])
            .args(["--ahead", &place.post.ahead.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .args(["--role", place.post.role.as_str()])
            .arg("--folder")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .kill_on_drop(true);
        if let Some(sabotage) = sabotage {
            command.args(["--sabotage", sabotage.as_str()]);
        }
        let process = command.spawn().context("starting a process")?;
        place.process = Some((process, name));
        Ok(())
    }

    fn signal(&self, place: usize, signal: Signal) {
        let id = self.places[place]
            .process
            .as_ref()
            .and_then(|(process, _)| process.id());
        if let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            // It may have ended by itself, which is noticed elsewhere.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the process in a place.
    pub(crate) async fn kill(&mut self, place: usize) {
        if let Some((mut process, name)) = self.places[place].process.take() {
            if let Ok(Some(status)) = process.try_wait() {
                self.ended(&name, status);
            }
            let _ = process.kill().await;
        }
    }

    /// Stops the process in a place where it is.
    pub(crate) fn hold(&mut self, place: usize) {
        self.signal(place, Signal::STOP);
        self.places[place].held_since = Some(self.ledger.now());
    }

    /// Lets the process in a place go on, if it is held.
    pub(crate) fn release(&mut self, place: usize) {
        let held = self.places[place].held_since.take();
        if let (Some(from), Some((_, name))) = (held, &self.places[place].process) {
            let process = name.as_str().into();
            self.ledger.note(What::Paused { process, from });
        }
        self.signal(place, Signal::CONT);
    }

    /// Tells the process in a place to stop. While it does so, which may take what is still to be disturbed, another may
    /// take its place.
    pub(crate) fn stop(&mut self, place: usize) {
        self.signal(place, Signal::TERM);
        if let Some((process, name)) = self.places[place].process.take() {
            let words = words(&self.folder, &name);
            self.leaving.spawn(until_stopped(process, name, words));
        }
    }

    /// Waits until all that were told to stop have done so.
    pub(crate) async fn until_stopped(&mut self) {
        while let Some(stopped) = self.leaving.join_next().await {
            match stopped {
                Ok(Ok(())) => {}
                Ok(Err(how)) => self.wrong.push(how),
                Err(error) => self.wrong.push(error.to_string()),
            }
        }
    }

    /// Starts anew what ended by itself, and notes that it did.
    pub(crate) fn look(&mut self) -> anyhow::Result<()> {
        for place in 0..self.places.len() {
            let Some((process, name)) = &mut self.places[place].process else {
                continue;
            };
            if let Some(status) = process.try_wait()? {
                let name = name.clone();
                self.ended(&name, status);
                self.start(place)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, name: &str, status: ExitStatus) {
        let words = words(&self.folder, name);
        self.wrong.push(ended(name, status, &words));
    }

    /// The places of this role.
    pub(crate) fn places(&self, role: Role) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| place.post.role == role)
            .map(|(number, _)| number)
            .collect()
    }

    /// The name of the consumer in a place; `None` if it is for something else.
    pub(crate) fn consumer(&self, place: usize) -> Option<String> {
        let Place { post, process, .. } = &self.places[place];
        let (_, name) = process.as_ref()?;
        (post.role == Role::Consumer).then(|| name.clone())
    }

    /// All places.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many processes there have been.
    pub(crate) fn processes(&self) -> u32 {
        self.places.iter().map(|place| place.generation).sum()
    }
}

async fn until_stopped(mut process: Child, name: String, words: PathBuf) -> Result<(), String> {
    match timeout(STOPS_IN, process.wait()).await {
        // One that was told before it could listen.
        Ok(Ok(status)) if status.success() || status.signal() == TOLD => Ok(()),
        Ok(Ok(status)) => Err(ended(&name, status, &words)),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!(
            "{name} does not stop; it said: {}",
            last_words(&words)
        )),
    }
}

fn ended(name: &str, status: ExitStatus, words: &Path) -> String {
    let last = last_words(words);
    format!("{name} ended by itself with {status}; it said: {last}")
}

fn last_words(words: &Path) -> String {
    let said = std::fs::read_to_string(words).unwrap_or_default();
    let from = said.len().saturating_sub(LAST_WORDS);
    said.get(from..).unwrap_or(&said).trim().to_owned()
}

fn words(folder: &Path, name: &str) -> PathBuf {
    folder.join("words").join(format!("{name}.log"))
}
