//! What happens to the processes while they work.

use fluid_proof::{Dice, LEASE, Ledger, What};
use tokio::time::sleep;

use crate::slot::{Slot, World};

/// How many disturbances there are.
const DISTURBANCES: std::ops::RangeInclusive<u64> = 15..=35;
/// How long a process is held up: from next to nothing to more than three leases.
const HELD_MILLIS: std::ops::RangeInclusive<u64> = 100..=7000;

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
            0..35 => {
                slot.kill().await;
                if dice.percent(30) {
                    sleep(dice.millis(0..=3000)).await;
                }
                slot.start(world)?;
            }
            35..75 => {
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
            75..90 => {
                // One that is held up would not hear of it.
                slot.hold(false);
                wrong.extend(slot.stop().await.err());
                slot.start(world)?;
            }
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
