//! One seed, from the first process to the verdict.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fluid_core::{Broker, RunState};
use fluid_proof::{
    Clocks, Dice, History, LedgerList, Promise, Sabotage, Tokens, Verdict, check, tasks,
};
use fluid_scheduler::MemoryBroker;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use crate::client;
use crate::clock::VirtualClock;
use crate::disturbance::{disturb, skews};
use crate::outcome::Outcome;
use crate::slot::{Role, Slot, World};

/// How long, in virtual time, all that is left may take once nothing disturbs any more: longer than two clocks differ.
const DRAINED_IN: Duration = Duration::from_secs(600);

/// Lets processes work under the disturbances of a seed, and checks what became of it.
///
/// # Errors
/// Only when the simulation itself has a fault: what is wrong with fluid is in the verdict.
pub fn simulate(seed: u64, sabotage: Option<Sabotage>) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(run(seed, sabotage))
}

async fn run(seed: u64, sabotage: Option<Sabotage>) -> anyhow::Result<Outcome> {
    let mut dice = Dice::new(seed);
    let clock = VirtualClock::new();
    let sink = Arc::new(LedgerList::new());
    let world = World {
        broker: MemoryBroker::with_clock(Arc::new(clock)),
        clock,
        sky: Arc::default(),
        sink: sink.clone(),
        sabotage,
        tokens: Tokens::Memory(Arc::default()),
        dice: dice.fork("weather"),
    };
    let mut slots = slots(&mut dice);
    begin(&world, &mut slots).await?;
    let client = tokio::spawn(client::ask(world.clone(), dice.fork("client")));
    let wrong = disturb(&world, &mut slots, &mut dice.fork("disturbances")).await?;

    world.sky.clear();
    for slot in &slots {
        slot.hold(false);
    }
    client.await.context("the client")??;
    let mut verdict = Verdict::default();
    for how in wrong {
        verdict.add(Promise::GoesOn, how);
    }
    stop(&mut slots, Role::Scheduler, &mut verdict).await;
    if let Err(left) = drained(&world).await {
        verdict.add(Promise::GoesOn, left);
    }
    stop(&mut slots, Role::Consumer, &mut verdict).await;

    let tasks = tasks()?;
    let entries = sink.entries();
    let history = History::read(&world.broker, entries, Clocks::Processes, &tasks).await?;
    let checked = check(&history);
    verdict.counts = checked.counts;
    verdict.violations.extend(checked.violations);
    Ok(Outcome {
        seed,
        verdict,
        history,
    })
}

/// The processes, and how far their clocks are ahead; among the schedulers the slowest clock comes first.
fn slots(dice: &mut Dice) -> Vec<Slot> {
    let count = |number: u64| usize::try_from(number).unwrap_or(1);
    let (consumers, schedulers) = (count(dice.number(2..=4)), count(dice.number(1..=3)));
    let mut ahead = skews(dice, consumers + schedulers);
    ahead[consumers..].sort_unstable();
    let places = ahead.into_iter().enumerate();
    places
        .map(|(place, ahead)| {
            let role = if place < consumers {
                Role::Consumer
            } else {
                Role::Scheduler
            };
            Slot::new(role, place + 1, SignedDuration::from_millis(ahead))
        })
        .collect()
}

/// Starts the processes. Where clocks differ the slowest scheduler is alone until it has fired every schedule once: so
/// what lies between the first ticks by a slow clock and those by a fast one is due to somebody.
async fn begin(world: &World, slots: &mut [Slot]) -> anyhow::Result<()> {
    let differ = slots
        .windows(2)
        .any(|pair| pair[0].ahead() != pair[1].ahead());
    let schedules = tasks()?
        .iter()
        .filter(|task| task.schedule.is_some())
        .count();
    let mut alone = differ;
    for slot in slots {
        slot.start(world)?;
        if slot.is(Role::Scheduler) && std::mem::take(&mut alone) {
            while world.broker.last_ticks().await?.len() < schedules {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(())
}

async fn stop(slots: &mut [Slot], role: Role, verdict: &mut Verdict) {
    for slot in slots.iter_mut().filter(|slot| slot.is(role)) {
        if let Err(how) = slot.stop().await {
            verdict.add(Promise::GoesOn, how);
        }
    }
}

/// Waits until every run has ended.
async fn drained(world: &World) -> Result<(), String> {
    let deadline = Instant::now() + DRAINED_IN;
    loop {
        let stats = world
            .broker
            .stats()
            .await
            .map_err(|error| error.to_string())?;
        let mut left = RunState::ALL
            .into_iter()
            .filter(|state| !state.is_terminal())
            .filter(|state| stats.count(*state) > 0);
        if left.next().is_none() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("not all runs ended in time: {:?}", stats.tasks));
        }
        sleep(Duration::from_millis(500)).await;
    }
}
