//! What happens to the processes while they work.

use fluid_core::{Broker, BrokerResult, QueueName, TaskName};
use fluid_proof::{Dice, LEASE, Ledger, What};
use fluid_scheduler::MemoryBroker;
use tokio::time::sleep;

use crate::slot::{Slot, World};

/// How many disturbances there are.
const DISTURBANCES: std::ops::RangeInclusive<u64> = 15..=35;
/// How long a process is held up: from next to nothing to more than three leases.
const HELD_MILLIS: std::ops::RangeInclusive<u64> = 100..=7000;
/// How long a queue is paused or a task disabled.
const OFF_MILLIS: std::ops::RangeInclusive<u64> = 100..=5000;
/// Tasks that may be disabled. A tick of a disabled task is seen without a run, and would have to be told apart.
const SWITCHED: [&str; 4] = ["instant", "work", "narrow", "parent"];

/// Disturbs the processes for a while; what was wrong with those that were told to stop.
pub(crate) async fn disturb(
    world: &World,
    slots: &mut [Slot],
    dice: &mut Dice,
) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for _ in 0..dice.number(DISTURBANCES) {
        sleep(dice.millis(0..=1500)).await;
        let place = dice.index(slots.len());
        let slot = &mut slots[place];
        match dice.number(0..=99) {
            0..33 => {
                slot.kill().await;
                if dice.percent(30) {
                    sleep(dice.millis(0..=3000)).await;
                }
                slot.start(world)?;
            }
            33..68 => {
                if let Some(gate) = slot.hold(true) {
                    let lasting = dice.millis(HELD_MILLIS);
                    let ledger = Ledger::new("disturbance", world.sink.clone());
                    let (process, from) = (slot.process().into(), ledger.now());
                    tokio::spawn(async move {
                        sleep(lasting).await;
                        ledger.note(What::Paused { process, from });
                        gate.close(false);
                    });
                }
            }
            68..80 => {
                // One that is held up would not hear of it.
                slot.hold(false);
                wrong.extend(slot.stop().await.err());
                slot.start(world)?;
            }
            80..92 => switch_off(world, dice).await?,
            _ => {
                world.sky.set_outage(true);
                let lease = u64::try_from(LEASE.as_millis()).unwrap_or(0);
                sleep(dice.millis(100..=2 * lease)).await;
                world.sky.set_outage(false);
            }
        }
    }
    Ok(wrong)
}

/// Pauses the queue, or disables a task without a schedule, and lets it go on a while later.
async fn switch_off(world: &World, dice: &mut Dice) -> anyhow::Result<()> {
    let broker = world.broker.clone();
    let (queue, task) = if dice.percent(50) {
        (Some(QueueName::default()), None)
    } else {
        (None, Some(TaskName::parse(dice.one_of(&SWITCHED))?))
    };
    let off = broker.settings().await?;
    let is_off = queue
        .as_ref()
        .is_some_and(|it| off.paused_queues.contains(it))
        || task
            .as_ref()
            .is_some_and(|it| off.disabled_tasks.contains(it));
    if is_off {
        return Ok(());
    }
    switch(&broker, queue.as_ref(), task.as_ref(), true).await?;
    let ledger = Ledger::new("disturbance", world.sink.clone());
    let (lasting, from) = (dice.millis(OFF_MILLIS), ledger.now());
    tokio::spawn(async move {
        sleep(lasting).await;
        ledger.note(What::Off {
            queue: queue.clone(),
            task: task.clone(),
            from,
        });
        switch(&broker, queue.as_ref(), task.as_ref(), false).await
    });
    Ok(())
}

async fn switch(
    broker: &MemoryBroker,
    queue: Option<&QueueName>,
    task: Option<&TaskName>,
    off: bool,
) -> BrokerResult<()> {
    if let Some(queue) = queue {
        broker.set_queue_paused(queue.clone(), off).await?;
    }
    if let Some(task) = task {
        broker.set_task_enabled(task.clone(), !off).await?;
    }
    Ok(())
}

/// How far the clock of the process in each place is ahead, in milliseconds: not at all, or up to two leases, or up
/// to two minutes.
pub(crate) fn skews(dice: &mut Dice, places: usize) -> Vec<i64> {
    let most = match dice.number(0..=9) {
        0..5 => 0,
        5..9 => 4_000,
        _ => 120_000,
    };
    let mut offset = || {
        let offset = dice.number(0..=2 * most);
        i64::try_from(offset).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
    };
    (0..places).map(|_| offset()).collect()
}
