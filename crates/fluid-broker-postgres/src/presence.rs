//! Consumers that live.

use std::time::Duration;

use fluid_core::{BrokerResult, ConsumerId, ConsumerInfo};
use tokio_postgres::types::Type;

use crate::broker::PostgresBroker;
use crate::error::Fault;
use crate::instant::{micros, timestamp};
use crate::link::{Param, Repeat, Statement};

impl PostgresBroker {
    /// A consumer lives.
    pub(crate) async fn lives(&self, consumer: &ConsumerInfo, ttl: Duration) -> BrokerResult<()> {
        let info = serde_json::to_string(consumer)
            .map_err(|error| Fault::Unfit(format!("a consumer can't be written: {error}")));
        let (info, id) = (self.told(info)?, consumer.id.as_str());
        let (now, ttl) = (self.time(), micros(ttl));
        let params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&id, Type::TEXT),
            (&info, Type::TEXT),
            (&ttl, Type::INT8),
        ];
        self.function("heartbeat", params, Repeat::Harmless).await?;
        Ok(())
    }

    /// A consumer stopped.
    pub(crate) async fn forget(&self, consumer: &ConsumerId) -> BrokerResult<()> {
        let id = consumer.as_str();
        let mut statement = Statement::plain(format!(
            "DELETE FROM {}.consumers WHERE id = $1",
            self.link().schema
        ));
        statement.params.push((&id, Type::TEXT));
        self.link().ask(&statement).await?;
        Ok(())
    }

    /// The consumers that live.
    pub(crate) async fn living(&self) -> BrokerResult<Vec<ConsumerInfo>> {
        let schema = &self.link().schema;
        let now = self.time();
        let mut statement = Statement::plain(format!(
            "SELECT info, seen_at FROM {schema}.consumers WHERE until > coalesce($1, {schema}.clock_us()) ORDER BY id"
        ));
        statement.params.push((&now, Type::INT8));
        let answer = self.link().ask(&statement).await?;
        let mut consumers = Vec::with_capacity(answer.rows.len());
        for row in &answer.rows {
            let read = || Ok((row.try_get::<_, &str>(0)?, row.try_get(1)?));
            let (info, seen_at) = self.told(read())?;
            let mut info: ConsumerInfo =
                self.told(serde_json::from_str(info).map_err(|error| {
                    Fault::Corrupt(format!("what a consumer told is unreadable: {error}"))
                }))?;
            info.seen_at = self.told(timestamp(seen_at))?;
            consumers.push(info);
        }
        Ok(consumers)
    }
}
