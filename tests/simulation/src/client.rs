//! Who asks for runs.

use fluid_core::{BrokerError, NewRun};
use fluid_proof::{Dice, Gate, Load};
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::slot::World;

/// How many runs are asked for.
const RUNS: std::ops::RangeInclusive<u64> = 30..=80;
/// How many of a hundred batches have a run that is cancelled soon.
const CANCELLED: u64 = 20;

/// Asks for runs until each request was acknowledged.
pub(crate) async fn ask(world: World, mut dice: Dice) -> anyhow::Result<()> {
    let client = world.process("client", SignedDuration::ZERO, Gate::default())?;
    let broker = client.manager().broker();
    let mut load = Load::new(dice.fork("load"));
    let mut left = dice.number(RUNS);
    while left > 0 {
        sleep(dice.millis(0..=800)).await;
        let size = dice.number(1..=4).min(left);
        left -= size;
        let batch = (0..size)
            .map(|_| Ok(client.manager().new_run(load.next_request()?)?))
            .collect::<anyhow::Result<Vec<NewRun>>>()?;
        let answers = loop {
            match broker.enqueue(batch.clone()).await {
                Ok(answers) => break answers,
                Err(error) => again_after(error, &mut dice).await?,
            }
        };
        if dice.percent(CANCELLED) {
            sleep(dice.millis(0..=600)).await;
            let run = dice.one_of(&answers).run();
            while let Err(error) = broker.cancel(run).await {
                again_after(error, &mut dice).await?;
            }
        }
    }
    Ok(())
}

async fn again_after(error: BrokerError, dice: &mut Dice) -> anyhow::Result<()> {
    if !error.is_transient() {
        return Err(error.into());
    }
    sleep(dice.millis(10..=300)).await;
    Ok(())
}
