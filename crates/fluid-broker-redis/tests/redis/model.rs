//! Whatever is asked of it, and in whatever order, the broker answers like the one in memory.
//!
//! `FLUID_SEED=4711` repeats one sequence, `FLUID_SEEDS=1000` tries so many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluid_broker_redis::RedisBroker;
use fluid_core::{
    Broker, ClaimRequest, ConsumerId, DEFAULT_LEASE, Due, ErrorKind, Finish, JsonText, LeaseRef,
    NewRun, Params, Priority, Progress, QueueName, RateExceeded, RateLimit, Report, RunError,
    RunFilter, RunId, RunState, TaskLimits, Unique,
};
use fluid_scheduler::MemoryBroker;
use fluid_testing::ManualClock;

use crate::stage::{fresh_prefix, options, shared, task};

const STEPS: usize = 80;

/// Numbers that follow from a seed (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// The two brokers, and what is known of both.
struct Pair {
    seed: u64,
    dice: Dice,
    clock: ManualClock,
    memory: MemoryBroker,
    redis: RedisBroker,
    ids: Vec<RunId>,
    /// Leases that were given, of the one and of the other.
    leases: Vec<(LeaseRef, LeaseRef)>,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let clock = ManualClock::new();
        let options = options(&shared().url(), &fresh_prefix()).clock(Arc::new(clock.clone()));
        Self {
            seed,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            memory: MemoryBroker::with_clock(Arc::new(clock.clone())),
            clock,
            redis: RedisBroker::open(options).await.unwrap(),
            ids: Vec::new(),
            leases: Vec::new(),
        }
    }

    fn new_runs(&mut self) -> Vec<NewRun> {
        let sizes = [1, 3, 8, 9, 25];
        let size = sizes[self.dice.roll(sizes.len())];
        let name = ["a", "b", "c"][self.dice.roll(3)];
        let alike = !self.dice.one_in(4);
        let own_params = self.dice.one_in(3);
        let mut runs: Vec<NewRun> = (0..size)
            .map(|n| {
                let params = if own_params {
                    format!("{{\"n\": {n}, \"ü\":\"%\\t\"}}")
                } else {
                    "{}".to_owned()
                };
                let mut run =
                    NewRun::new(task(name), Params::stored(JsonText::trusted(params), []));
                if !alike {
                    self.vary(&mut run);
                }
                run
            })
            .collect();
        if self.dice.one_in(6) {
            runs.reverse();
        }
        if let Some(known) = self.ids.last()
            && self.dice.one_in(8)
        {
            // A request that was sent before.
            runs[0].id = *known;
        }
        self.ids.extend(runs.iter().map(|run| run.id));
        runs
    }

    fn vary(&mut self, run: &mut NewRun) {
        run.priority = Priority::ALL[self.dice.roll(3)];
        run.concurrency_key = ["", "x", "y/z"][self.dice.roll(3)].into();
        run.max_interruptions = u32::try_from(self.dice.roll(3)).unwrap();
        run.due = match self.dice.roll(4) {
            0 => Due::After(Duration::from_secs(
                u64::try_from(self.dice.roll(60)).unwrap(),
            )),
            _ => Due::Now,
        };
        if self.dice.one_in(3) {
            run.unique = Some(Unique {
                key: ["k", "l\n%"][self.dice.roll(2)].into(),
                window: [None, Some(Duration::from_secs(40))][self.dice.roll(2)],
            });
        }
        if self.dice.one_in(4) {
            run.queue = QueueName::parse("fast").unwrap();
        }
        if let Some(parent) = self.ids.last() {
            (run.parent, run.root) = (Some(*parent), Some(*parent));
        }
    }

    fn request(&mut self) -> ClaimRequest {
        let mut tasks = Vec::new();
        for name in ["a", "b", "c"] {
            if self.dice.one_in(4) {
                continue;
            }
            let mut limits = TaskLimits::none(task(name));
            if name == "b" {
                limits.max_concurrency = 7;
                limits.survives_consumer = self.dice.one_in(2);
            }
            if name == "c" && self.dice.one_in(2) {
                let mut rate = RateLimit::new(5, Duration::from_secs(30));
                rate.exceeded = [RateExceeded::Wait, RateExceeded::Reject][self.dice.roll(2)];
                limits.rate_limit = Some(rate);
            }
            tasks.push(limits);
        }
        let queues = ["default", "fast"].map(|name| QueueName::parse(name).unwrap());
        ClaimRequest {
            consumer: ConsumerId::parse(["one", "two"][self.dice.roll(2)]).unwrap(),
            queues: queues[..=self.dice.roll(2)].into(),
            tasks: tasks.into(),
            limit: [1, 4, 10, 40][self.dice.roll(4)],
            lease: DEFAULT_LEASE,
        }
    }

    fn finish(&mut self) -> Finish {
        let error = |text: &str| RunError::new(ErrorKind::Error, text);
        match self.dice.roll(6) {
            0 => Finish::Failure(error("no")),
            1 => Finish::Aborted(error("gone\n\"away\"")),
            2 => Finish::Retry {
                after: Duration::from_secs(u64::try_from(self.dice.roll(3)).unwrap()),
                error: error("wobbled"),
            },
            3 => Finish::Released,
            4 => Finish::Success(JsonText::trusted("{\"n\":\n 1}")),
            _ => Finish::Success(JsonText::null()),
        }
    }

    /// Some leases, mostly the latest ones.
    fn some_leases(&mut self) -> Vec<(LeaseRef, LeaseRef)> {
        let n = self.leases.len();
        let from = n.saturating_sub([5, 12, 40][self.dice.roll(3)]);
        let all = self.dice.one_in(2);
        let mut some = self.leases[from..].to_vec();
        some.retain(|_| all || self.dice.one_in(2));
        some
    }

    fn filter(&mut self) -> RunFilter {
        let mut filter = RunFilter::default();
        if self.dice.one_in(2) {
            filter.tasks = vec![task("a"), task("c")];
        }
        if self.dice.one_in(2) {
            filter.states = vec![RunState::ALL[self.dice.roll(8)], RunState::Success];
        }
        if self.dice.one_in(4) {
            filter.ended_before = Some(fluid_core::Clock::now(&self.clock));
        }
        if self.dice.one_in(6) {
            filter.parent = self.ids.first().copied();
        }
        if self.dice.one_in(6) && !self.ids.is_empty() {
            filter.ids = (0..3)
                .map(|_| self.ids[self.dice.roll(self.ids.len())])
                .collect();
        }
        filter
    }

    async fn step(&mut self) {
        match self.dice.roll(16) {
            0..3 => {
                let runs = self.new_runs();
                let expected = self.memory.enqueue(runs.clone()).await.unwrap();
                assert_eq!(self.redis.enqueue(runs).await.unwrap(), expected);
            }
            3..6 => self.claim().await,
            6..9 => {
                let some = self.some_leases();
                let alike = !self.dice.one_in(3);
                let first = Finish::Success(JsonText::null());
                let ends: Vec<Finish> = some
                    .iter()
                    .map(|_| if alike { first.clone() } else { self.finish() })
                    .collect();
                let batch = |of: fn(&(LeaseRef, LeaseRef)) -> LeaseRef| {
                    some.iter()
                        .map(of)
                        .zip(ends.iter().cloned())
                        .collect::<Vec<_>>()
                };
                let expected = self.memory.finish(batch(|pair| pair.0)).await.unwrap();
                assert_eq!(
                    self.redis.finish(batch(|pair| pair.1)).await.unwrap(),
                    expected
                );
            }
            9 => {
                let some = self.some_leases();
                let (memory, redis) = some.iter().copied().unzip();
                let expected = self.memory.extend(memory, DEFAULT_LEASE).await.unwrap();
                assert_eq!(
                    self.redis.extend(redis, DEFAULT_LEASE).await.unwrap(),
                    expected
                );
            }
            10 => {
                for (memory, redis) in self.some_leases() {
                    let report = |lease| {
                        let mut report = Report::new(lease);
                        report.execution = Some("pid 1\n2".to_owned());
                        report.progress = Some(Progress::new(0.5, "half\tway"));
                        report
                    };
                    self.memory.report(vec![report(memory)]).await.unwrap();
                    self.redis.report(vec![report(redis)]).await.unwrap();
                }
            }
            11 if !self.ids.is_empty() => {
                for _ in 0..3 {
                    let run = self.ids[self.dice.roll(self.ids.len())];
                    let expected = self.memory.cancel(run).await.unwrap();
                    assert_eq!(self.redis.cancel(run).await.unwrap(), expected, "{run}");
                }
            }
            12 => {
                let filter = self.filter();
                let expected = self.memory.purge(filter.clone(), 1000).await.unwrap();
                assert_eq!(
                    self.redis.purge(filter.clone(), 1000).await.unwrap(),
                    expected,
                    "{filter:?}"
                );
            }
            13 => {
                let seconds = [1, 5, 31][self.dice.roll(3)];
                self.clock.advance(Duration::from_secs(seconds));
            }
            14 => {
                let off = self.dice.one_in(2);
                self.memory.set_task_enabled(task("a"), !off).await.unwrap();
                self.redis.set_task_enabled(task("a"), !off).await.unwrap();
            }
            _ => self.compare().await,
        }
    }

    async fn claim(&mut self) {
        let request = self.request();
        let expected = self.memory.claim(request.clone()).await.unwrap();
        let claimed = self.redis.claim(request).await.unwrap();
        let runs = |claimed: &fluid_core::Claimed| {
            claimed
                .runs
                .iter()
                .map(|(run, _)| run.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(runs(&claimed), runs(&expected));
        assert_eq!((claimed.next, claimed.now), (expected.next, expected.now));
        for ((run, memory), (_, redis)) in expected.runs.iter().zip(&claimed.runs) {
            let lease = |token| LeaseRef { run: run.id, token };
            self.leases.push((lease(*memory), lease(*redis)));
        }
    }

    /// All that can be read is the same.
    async fn compare(&mut self) {
        let filter = self.filter();
        let mut before = None;
        loop {
            let expected = self.memory.list(filter.clone(), before, 7).await.unwrap();
            let page = self.redis.list(filter.clone(), before, 7).await.unwrap();
            assert_eq!(page.runs, expected.runs, "{filter:?} before {before:?}");
            assert_eq!(page.next, expected.next);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(
            self.redis.stats().await.unwrap(),
            self.memory.stats().await.unwrap()
        );
        for run in self.ids.clone() {
            assert_eq!(
                self.redis.get(run).await.unwrap(),
                self.memory.get(run).await.unwrap()
            );
            assert_eq!(
                self.redis.attempts(run).await.unwrap(),
                self.memory.attempts(run).await.unwrap()
            );
        }
    }

    async fn run(mut self) {
        for step in 0..STEPS {
            tracing::trace!(self.seed, step);
            self.step().await;
        }
        self.compare().await;
        self.empty().await;
    }

    /// Ends everything and purges it: nothing is left but what is kept for good.
    async fn empty(mut self) {
        for run in self.ids.clone() {
            self.memory.cancel(run).await.unwrap();
            self.redis.cancel(run).await.unwrap();
        }
        self.redis.set_task_enabled(task("a"), true).await.unwrap();
        self.memory.set_task_enabled(task("a"), true).await.unwrap();
        for _ in 0..20 {
            self.clock.advance(DEFAULT_LEASE * 3);
            let before = self.leases.len();
            self.dice.0 |= 1;
            self.claim().await;
            let batch: Vec<_> = self.leases[before..].to_vec();
            for (memory, redis) in batch {
                let end = || Finish::Aborted(RunError::new(ErrorKind::Aborted, "over"));
                self.memory.finish(vec![(memory, end())]).await.unwrap();
                self.redis.finish(vec![(redis, end())]).await.unwrap();
            }
        }
        let unfinished: u64 = [RunState::Scheduled, RunState::Queued, RunState::Running]
            .iter()
            .map(|state| {
                futures_util::FutureExt::now_or_never(self.memory.stats())
                    .unwrap()
                    .unwrap()
                    .count(*state)
            })
            .sum();
        self.redis
            .purge(RunFilter::default(), 100_000)
            .await
            .unwrap();
        if unfinished > 0 {
            return;
        }
        let counts: BTreeMap<_, _> = self.redis.stats().await.unwrap().tasks;
        assert_eq!(counts, BTreeMap::new());
        let prefix = self.redis.describe();
        let prefix = prefix.split_once("prefix=").unwrap().1;
        let keys = shared()
            .cli(&["--scan", "--pattern", &format!("{{{prefix}}}:*")])
            .unwrap();
        let mut left: Vec<_> = keys
            .lines()
            .map(|key| key.rsplit(':').next().unwrap().to_owned())
            .collect();
        left.retain(|key| {
            !matches!(key.as_str(), "meta" | "rates")
                && !key.starts_with("claim/")
                && !key.contains("open")
        });
        assert_eq!(left, Vec::<String>::new());
    }
}

#[test]
fn any_sequence_of_calls_is_answered_as_by_the_broker_in_memory() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let seeds = match number("FLUID_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("FLUID_SEEDS").unwrap_or(40),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for seed in seeds {
        let sequence = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { Pair::new(seed).await.run().await });
        }));
        assert!(sequence.is_ok(), "FLUID_SEED={seed} repeats it");
    }
}
