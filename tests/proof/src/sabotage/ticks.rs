//! A broker that does not know which ticks it has seen.

use fluid_core::{Broker, BrokerResult, Tick, Ticked};

use crate::around::Around;

/// Fires what was fired before.
#[derive(Debug)]
pub(super) struct TicksAgain;

impl Around for TicksAgain {
    async fn tick(&self, broker: &dyn Broker, ticks: Vec<Tick>) -> BrokerResult<Vec<Ticked>> {
        let mut answers = broker.tick(ticks.clone()).await?;
        for (tick, answer) in ticks.into_iter().zip(&mut answers) {
            if *answer == Ticked::AlreadyFired {
                let run = tick.run.id;
                broker.enqueue(vec![tick.run]).await?;
                *answer = Ticked::Fired(run);
            }
        }
        Ok(answers)
    }
}
