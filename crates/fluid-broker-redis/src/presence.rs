//! Which consumers live, and what was switched at run time.

use std::time::Duration;

use fluid_core::{BrokerResult, ConsumerId, ConsumerInfo, QueueName, Settings, TaskName};

use crate::answer;
use crate::broker::RedisBroker;
use crate::fault::{Fault, Outcome};
use crate::link::Lasts;
use crate::record::{corrupt, instant};
use crate::request::micros;
use crate::script;

impl RedisBroker {
    pub(crate) async fn beat(&self, consumer: &ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        let json = self.read(|| {
            serde_json::to_string(consumer)
                .map_err(|cause| Fault::Options(format!("a consumer has no JSON form ({cause})")))
        })?;
        let beat = self.link.run(&script::HEARTBEAT, Lasts::No, |command| {
            command
                .arg(consumer.id.as_str())
                .arg(&json)
                .arg(micros(ttl));
        });
        beat.await.map(drop)
    }

    pub(crate) async fn forget(&self, consumer: &ConsumerId) -> BrokerResult<()> {
        let farewell = self.link.run(&script::FAREWELL, Lasts::No, |command| {
            command.arg(consumer.as_str());
        });
        farewell.await.map(drop)
    }

    pub(crate) async fn alive(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        let answer = self.link.run(&script::CONSUMERS, Lasts::No, |_| {}).await?;
        let mut consumers = self.read(|| {
            let told = answer::list(answer)?
                .into_iter()
                .map(answer::optional_bytes);
            told.filter_map(Result::transpose)
                .map(|told| consumer(&told?))
                .collect::<Outcome<Vec<_>>>()
        })?;
        consumers.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(consumers)
    }

    /// Adds a name to what is disabled or paused, or takes it out.
    pub(crate) async fn switch(&self, what: &str, name: &str, on: bool) -> BrokerResult<()> {
        let answer = self
            .link
            .run(&script::SWITCH, Lasts::Yes, |command| {
                command.arg(what).arg(name).arg(u8::from(on));
            })
            .await?;
        let said = self.read(|| answer::text(answer))?;
        self.tell(&said);
        Ok(())
    }

    pub(crate) async fn switched(&self) -> BrokerResult<Settings> {
        let answer = self.link.run(&script::SETTINGS, Lasts::No, |_| {}).await?;
        self.read(|| {
            let [disabled, paused] = answer::parts(answer)?;
            let mut settings = Settings::default();
            for name in answer::texts(disabled)? {
                settings
                    .disabled_tasks
                    .push(TaskName::parse(&name).map_err(|_| corrupt("a task", name.as_bytes()))?);
            }
            for name in answer::texts(paused)? {
                settings.paused_queues.push(
                    QueueName::parse(&name).map_err(|_| corrupt("a queue", name.as_bytes()))?,
                );
            }
            settings.disabled_tasks.sort_unstable();
            settings.paused_queues.sort_unstable();
            Ok(settings)
        })
    }
}

fn consumer(bytes: &[u8]) -> Outcome<ConsumerInfo> {
    let text = crate::record::utf8(bytes)?;
    let (seen, json) = text
        .split_once('\n')
        .ok_or_else(|| corrupt("a consumer", bytes))?;
    let mut consumer: ConsumerInfo =
        serde_json::from_str(json).map_err(|_| corrupt("a consumer", bytes))?;
    consumer.seen_at = instant(seen)?;
    Ok(consumer)
}
