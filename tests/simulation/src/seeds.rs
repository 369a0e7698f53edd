//! Many seeds, on as many threads as the machine has cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fluid_proof::Counts;

use crate::simulation::simulate;

/// A seed that went wrong, and what is wrong with it.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What the checker found, or what was wrong with the simulation.
    pub violations: Vec<String>,
}

/// What many seeds gave.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many runs they had.
    pub runs: usize,
    /// How many attempts.
    pub attempts: usize,
    /// How many ends were refused because their lease was lost.
    pub refused: usize,
    /// How many of these by processes that were held up after they had claimed the run.
    pub refused_after_pause: usize,
    /// How many calls of the broker failed.
    pub failed_calls: usize,
    /// The seeds that went wrong.
    pub failures: Vec<Failure>,
}

impl Summary {
    fn add(&mut self, counts: &Counts) {
        self.runs += counts.total();
        self.attempts += counts.attempts.values().sum::<usize>();
        self.refused += counts.refused;
        self.refused_after_pause += counts.refused_after_pause;
        self.failed_calls += counts.failed.values().sum::<usize>();
    }
}

/// Runs the seeds from `first` on; `told` hears how many are done now and then.
pub fn run_all(first: u64, count: u64, told: impl Fn(u64) + Sync) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let seed = first.wrapping_add(place);
                    let outcome = simulate(seed, None);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.seeds += 1;
                    let violations = match outcome {
                        Ok(outcome) => {
                            summary.add(&outcome.verdict.counts);
                            let all = outcome.verdict.violations.iter();
                            all.map(ToString::to_string).collect()
                        }
                        Err(error) => vec![format!("the simulation failed: {error:#}")],
                    };
                    if !violations.is_empty() {
                        summary.failures.push(Failure { seed, violations });
                    }
                    told(summary.seeds);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}
