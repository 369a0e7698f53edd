//! A storm: who works, what is done to them, and what became of it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use fluid_core::Broker;
use fluid_proof::{
    ClockOff, Dice, Gate, History, LedgerFile, Process, Promise, Verdict, check, tasks,
};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep_until, timeout};

use crate::arguments::{Arguments, Role};
use crate::child;
use crate::client;
use crate::crew::{Crew, Post};
use crate::plan::{Act, Plan, Scene};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::rest::{until_all_ended, until_busy, until_ticked, until_ticks_go_on};
use crate::store::{self, Kind, Store};

/// How far clocks differ, each way.
const SKEW: i64 = 120_000;
/// How many runs are asked for each second.
const RATE: f64 = 40.0;
/// A storm is no shorter, however few runs there are.
const SHORTEST: Duration = Duration::from_secs(12);
/// How long a consumer that is to be paused may take to be in the midst of work.
const BUSY_IN: Duration = Duration::from_millis(1500);
/// A storm of so many runs must have refused writes of consumers that had been paused.
const PROVES_FROM: usize = 1000;
/// How long what was asked for may take to be acknowledged after the storm.
const CALMS_IN: Duration = Duration::from_secs(60);
/// How long all that is left may take.
const ENDS_IN: Duration = Duration::from_secs(180);

/// Storms on every broker that was asked for.
pub(crate) async fn all(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let seed = arguments.seed.unwrap_or_else(by_the_clock);
    println!(
        "seed {seed}: {} runs, 4 consumers, 3 schedulers, clocks up to {} s apart",
        arguments.runs(),
        2 * SKEW / 1000
    );
    let mut holds = true;
    for kind in arguments.brokers() {
        holds &= one(*kind, seed, arguments)
            .await
            .with_context(|| kind.as_str())?;
    }
    if !holds {
        println!(
            "promises were broken; the same plan again: --seed {seed} --runs {}",
            arguments.runs()
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("every promise holds");
    Ok(ExitCode::SUCCESS)
}

fn by_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos())
}

async fn one(kind: Kind, seed: u64, arguments: &Arguments) -> anyhow::Result<bool> {
    let mut folder = tempfile::Builder::new().prefix("fluid-chaos-").tempdir()?;
    folder.disable_cleanup(arguments.keep);
    let path = folder.path();
    for part in [
        child::ledgers(path),
        child::tokens(path),
        path.join("words"),
    ] {
        std::fs::create_dir(part)?;
    }
    let dice = Dice::new(seed).fork(kind.as_str());
    let mut storm = Storm::prepare(kind, path, dice, arguments).await?;
    let verdict = storm.run(arguments.runs()).await?;
    if arguments.keep {
        println!("kept in {}", path.display());
    }
    Ok(verdict.violations.is_empty())
}

struct Storm<'a> {
    kind: Kind,
    folder: &'a Path,
    dice: Dice,
    arguments: &'a Arguments,
    store: Box<dyn Store>,
    proxies: Vec<Proxy>,
    crew: Crew,
    /// Where the client reaches the broker.
    client_url: String,
}

impl<'a> Storm<'a> {
    async fn prepare(
        kind: Kind,
        folder: &'a Path,
        mut dice: Dice,
        arguments: &'a Arguments,
    ) -> anyhow::Result<Self> {
        let store = kind.start(folder)?;
        // The consumer with the fastest clock ends the leases of all others, and sees every tick come due.
        let somewhere = i64::try_from(dice.number(0..=240_000)).unwrap_or(0) - SKEW;
        let consumers = [0, SKEW, -SKEW, somewhere].map(|ahead| (Role::Consumer, ahead));
        // The slowest begins: what lies between its first ticks and those of the others is then due to somebody.
        let schedulers = [-SKEW, 0, SKEW].map(|ahead| (Role::Scheduler, ahead));
        let (mut proxies, mut posts) = (Vec::new(), Vec::new());
        let mut url = async || -> anyhow::Result<String> {
            let Some(server) = store.server() else {
                return Ok(store.url(None));
            };
            let proxy = Proxy::start(server).await?;
            let url = store.url(Some(proxy.address()));
            proxies.push(proxy);
            Ok(url)
        };
        for (role, ahead) in consumers.into_iter().chain(schedulers) {
            let url = url().await?;
            posts.push(Post { role, ahead, url });
        }
        let client_url = url().await?;
        Ok(Self {
            kind,
            folder,
            dice,
            arguments,
            crew: Crew::new(folder, arguments.sabotage, posts)?,
            store,
            proxies,
            client_url,
        })
    }

    async fn run(&mut self, runs: usize) -> anyhow::Result<Verdict> {
        #[expect(clippy::cast_precision_loss, reason = "a rough length will do")]
        let lasting = Duration::from_secs_f64(runs as f64 / RATE).max(SHORTEST);
        let scene = Scene {
            processes: self.crew.len(),
            proxies: self.proxies.len(),
            server: self.store.server().is_some(),
        };
        let plan = Plan::new(self.dice.fork("plan"), scene, lasting);
        let direct = store::open(&self.store.url(None), ClockOff(SignedDuration::ZERO)).await?;
        let mut verdict = Verdict::default();
        self.begin(&*direct, &mut verdict).await?;

        let begin = Instant::now();
        let client = self.client().await?;
        let dice = self.dice.fork("client");
        let mut asking =
            tokio::spawn(async move { client::ask(&client, dice, runs, lasting).await });
        for (at, act) in &plan.acts {
            sleep_until(begin + *at).await;
            self.crew.look()?;
            self.act(*act, &*direct).await?;
        }
        let storm = begin.elapsed();

        self.clear()?;
        if let Ok(asked) = timeout(CALMS_IN, &mut asking).await {
            asked??;
        } else {
            asking.abort();
            let how = "not every request was acknowledged in time";
            verdict.add(Promise::GoesOn, how);
        }
        self.end(&*direct, &mut verdict).await?;
        let history = self.history(&*direct).await?;
        let checked = check(&history);
        verdict.violations.extend(checked.violations);
        verdict.counts = checked.counts;
        for how in std::mem::take(&mut self.crew.wrong) {
            verdict.add(Promise::GoesOn, how);
        }
        let was_refused = verdict.counts.refused_after_pause > 0;
        if self.arguments.sabotage.is_none() && runs >= PROVES_FROM && !was_refused {
            let how = "no process that had been paused was refused a write: nothing is proven";
            verdict.add(Promise::RefusedIsRefused, how);
        }
        let report = Report {
            broker: self.kind.as_str(),
            acts: plan.acts.iter().map(|(_, act)| *act).collect(),
            processes: self.crew.processes(),
            storm,
            rest: begin.elapsed() - storm,
            verdict: &verdict,
        };
        report.print();
        Ok(verdict)
    }

    /// The scheduler whose clock is the slowest works alone until it has fired every schedule, then all do.
    async fn begin(&mut self, direct: &dyn Broker, verdict: &mut Verdict) -> anyhow::Result<()> {
        let schedulers = self.crew.places(Role::Scheduler);
        let consumers = self.crew.places(Role::Consumer);
        let schedules = tasks()?
            .iter()
            .filter(|task| task.schedule.is_some())
            .count();
        for (number, place) in schedulers.into_iter().chain(consumers).enumerate() {
            self.crew.start(place)?;
            if number == 0
                && let Err(how) = until_ticked(direct, schedules, CALMS_IN).await
            {
                verdict.add(Promise::GoesOn, how);
            }
        }
        Ok(())
    }

    async fn client(&self) -> anyhow::Result<Process> {
        let ledger = child::ledger(self.folder, "client")?;
        let broker = store::open(&self.client_url, ClockOff(SignedDuration::ZERO)).await?;
        let broker = match self.arguments.sabotage {
            Some(sabotage) => {
                let tokens = fluid_proof::Tokens::Folder(child::tokens(self.folder));
                sabotage.of(broker, tokens)
            }
            None => broker,
        };
        Ok(Process::new(broker, ledger, Gate::default())?)
    }

    async fn act(&mut self, act: Act, direct: &dyn Broker) -> anyhow::Result<()> {
        match act {
            Act::Kill(place) => {
                self.crew.kill(place).await;
                self.crew.start(place)?;
            }
            Act::Stop(place) => {
                self.crew.stop(place);
                self.crew.start(place)?;
            }
            Act::Hold(place) => {
                if let Some(consumer) = self.crew.consumer(place) {
                    until_busy(direct, &consumer, BUSY_IN).await;
                }
                self.crew.hold(place);
            }
            Act::Release(place) => self.crew.release(place),
            Act::Cut(place) => self.proxies[place].cut(),
            Act::CutAfter(place, bytes) => self.proxies[place].cut_after(bytes),
            Act::Connect(place, fault) => self.proxies[place].set(fault),
            Act::Restart => {
                self.store.kill()?;
                self.store.start_again()?;
            }
            Act::HoldServer(held) => self.store.pause(held)?,
        }
        Ok(())
    }

    /// Nothing is disturbed any more.
    fn clear(&mut self) -> anyhow::Result<()> {
        for place in 0..self.crew.len() {
            self.crew.release(place);
        }
        for proxy in &self.proxies {
            proxy.cut();
            proxy.set(None);
        }
        self.crew.look()
    }

    /// Lets everything come to its end.
    async fn end(&mut self, direct: &dyn Broker, verdict: &mut Verdict) -> anyhow::Result<()> {
        let mut wait = Vec::new();
        wait.extend(until_ticks_go_on(direct, CALMS_IN).await.err());
        for place in self.crew.places(Role::Scheduler) {
            self.crew.stop(place);
        }
        self.crew.until_stopped().await;
        wait.extend(until_all_ended(direct, ENDS_IN).await.err());
        self.crew.look()?;
        for place in self.crew.places(Role::Consumer) {
            self.crew.stop(place);
        }
        self.crew.until_stopped().await;
        for how in wait {
            verdict.add(Promise::GoesOn, how);
        }
        Ok(())
    }

    async fn history(&self, direct: &dyn Broker) -> anyhow::Result<History> {
        let mut ledger = Vec::new();
        for file in std::fs::read_dir(child::ledgers(self.folder))? {
            ledger.extend(LedgerFile::read(&file?.path())?);
        }
        let clocks = self.store.clocks();
        Ok(History::read(direct, ledger, clocks, &tasks()?).await?)
    }
}
