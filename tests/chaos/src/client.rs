//! Who asks for runs.

use std::time::Duration;

use fluid_core::{BrokerError, NewRun};
use fluid_proof::{Dice, Load, Process};
use tokio::time::{Instant, sleep, sleep_until};

/// How many requests go in one call at most.
const BATCH: u64 = 20;
/// How many of a hundred batches have a run that is cancelled soon.
const CANCELLED: u64 = 10;

/// Asks for `runs` runs over so much time, and for each until it was acknowledged.
pub(crate) async fn ask(
    client: &Process,
    mut dice: Dice,
    runs: usize,
    lasting: Duration,
) -> anyhow::Result<()> {
    let broker = client.manager().broker();
    let begin = Instant::now();
    let mut load = Load::new(dice.fork("load"));
    let mut asked = 0;
    while asked < runs {
        let share = lasting.mul_f64(share(asked, runs));
        sleep_until(begin + share).await;
        let size = usize::try_from(dice.number(1..=BATCH)).unwrap_or(1);
        let size = size.min(runs - asked);
        asked += size;
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
            let run = dice.one_of(&answers).run();
            while let Err(error) = broker.cancel(run).await {
                again_after(error, &mut dice).await?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "it is only a share")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

async fn again_after(error: BrokerError, dice: &mut Dice) -> anyhow::Result<()> {
    if !error.is_transient() {
        return Err(error.into());
    }
    sleep(dice.millis(10..=300)).await;
    Ok(())
}
