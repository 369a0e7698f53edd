//! A place for a process, which is filled anew when its process is gone.

use std::sync::Arc;

use fluid_core::{BrokerResult, ConsumerId};
use fluid_proof::{Dice, Gate, Ledger, Process, Sabotage, Sink, Tokens, Wrapped};
use fluid_scheduler::MemoryBroker;
use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::VirtualClock;
use crate::weather::{Sky, Weather};

/// What all processes share.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) broker: MemoryBroker,
    pub(crate) clock: VirtualClock,
    pub(crate) sky: Arc<Sky>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) tokens: Tokens,
    pub(crate) dice: Dice,
}

impl World {
    /// A process with this name, a clock that is ahead by so much, and a weather of its own.
    pub(crate) fn process(
        &self,
        name: &str,
        ahead: SignedDuration,
        gate: Gate,
    ) -> anyhow::Result<Process> {
        let ledger = Ledger::new(name, self.sink.clone());
        let clock = Arc::new(self.clock.ahead(ahead));
        let broker = Arc::new(self.broker.handle_with_clock(clock));
        let broker = match self.sabotage {
            Some(sabotage) => sabotage.of(broker, self.tokens.clone()),
            None => broker,
        };
        let weather = Weather::new(
            self.sky.clone(),
            self.dice.fork(name),
            gate.clone(),
            ledger.clone(),
        );
        Ok(Process::new(Wrapped::of(broker, weather), ledger, gate)?)
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Carries out runs.
    Consumer,
    /// Fires ticks.
    Scheduler,
}

struct Living {
    work: JoinHandle<BrokerResult<()>>,
    stop: CancellationToken,
    gate: Gate,
}

/// A place for a process.
pub(crate) struct Slot {
    role: Role,
    name: String,
    ahead: SignedDuration,
    generation: u32,
    living: Option<Living>,
}

impl Slot {
    pub(crate) fn new(role: Role, number: usize, ahead: SignedDuration) -> Self {
        let word = match role {
            Role::Consumer => "consumer",
            Role::Scheduler => "scheduler",
        };
        Self {
            role,
            name: format!("{word}-{number}"),
            ahead,
            generation: 0,
            living: None,
        }
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.role == role
    }

    pub(crate) fn ahead(&self) -> SignedDuration {
        self.ahead
    }

    /// The name of the process that is here now.
    pub(crate) fn process(&self) -> String {
        format!("{}.{}", self.name, self.generation)
    }

    /// Starts the next process here.
    pub(crate) fn start(&mut self, world: &World) -> anyhow::Result<()> {
        self.generation += 1;
        let name = self.process();
        let gate = Gate::default();
        let process = world.process(&name, self.ahead, gate.clone())?;
        let stop = CancellationToken::new();
        let (role, ahead, stopped) = (self.role, self.ahead, stop.clone());
        let id = ConsumerId::parse(&name)?;
        let work = tokio::spawn(async move {
            match role {
                Role::Consumer => process.consume(id, ahead, stopped).await,
                Role::Scheduler => process.schedule(stopped).await,
            }
        });
        self.living = Some(Living { work, stop, gate });
        Ok(())
    }

    /// Ends the process where it stands.
    pub(crate) async fn kill(&mut self) {
        if let Some(living) = self.living.take() {
            living.work.abort();
            let _ = living.work.await;
        }
    }

    /// Tells the process to stop, lets it, and says what was wrong.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        let Some(living) = self.living.take() else {
            return Ok(());
        };
        living.stop.cancel();
        match living.work.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{} gave up: {error}", self.name)),
            Err(error) => Err(format!("{} fell over: {error}", self.name)),
        }
    }

    /// Holds the process up, or lets it go on; what holds it.
    pub(crate) fn hold(&self, held: bool) -> Option<Gate> {
        let gate = &self.living.as_ref()?.gate;
        gate.close(held);
        Some(gate.clone())
    }
}
