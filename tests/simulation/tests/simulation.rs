//! What holds in virtual time, for every seed.
#![allow(clippy::unwrap_used, reason = "tests")]

use fluid_proof::{Promise, Sabotage};
use fluid_simulation::{run_all, simulate};

const SEEDS: u64 = 200;
/// How many seeds are run on each broken broker. Some have no moment at which it matters that it is broken.
const SABOTAGED: u64 = 20;

#[test]
fn two_hundred_seeds_break_no_promise() {
    let summary = run_all(1, SEEDS, |_| {});
    println!("{summary:?}");
    let failures = &summary.failures;
    assert!(
        failures.is_empty(),
        "{failures:#?}\nagain: cargo xtask chaos --simulation --seed {}",
        failures[0].seed
    );
    assert_eq!(summary.seeds, SEEDS);
    // Otherwise there was nothing to prove.
    assert!(summary.refused_after_pause > 100, "{summary:?}");
    assert!(summary.failed_calls > 1000, "{summary:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 1000..1005 {
        let traces = [(); 2].map(|()| simulate(seed, None).unwrap().trace());
        let differ = traces[0]
            .lines()
            .zip(traces[1].lines())
            .find(|(first, second)| first != second);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(traces[0].len(), traces[1].len(), "seed {seed}");
        assert!(traces[0].lines().count() > 500, "seed {seed} has a history");
    }
    assert_ne!(
        simulate(1, None).unwrap().trace(),
        simulate(2, None).unwrap().trace()
    );
}

/// How many of some seeds break this promise when the broker is broken so.
fn caught(sabotage: Sabotage, promise: Promise) -> usize {
    (1..=SABOTAGED)
        .filter(|seed| {
            simulate(*seed, Some(sabotage))
                .unwrap()
                .verdict
                .breaks(promise)
        })
        .count()
}

#[test]
fn a_broker_without_fencing_is_caught() {
    assert!(caught(Sabotage::Fencing, Promise::EndsStand) >= 10);
}

#[test]
fn a_broker_that_fires_ticks_again_is_caught() {
    assert!(caught(Sabotage::Ticks, Promise::TicksOnce) >= 10);
}

#[test]
fn a_broker_that_ignores_what_is_switched_off_is_caught() {
    assert!(caught(Sabotage::Switches, Promise::OffIsOff) >= 10);
}

#[test]
fn a_broker_that_forgets_runs_is_caught() {
    assert_eq!(caught(Sabotage::Loss, Promise::NothingLost), 20);
}
