//! Disabled tasks and paused queues.

use fluid_core::{BrokerResult, Event, Settings};
use tokio_postgres::types::Type;

use crate::broker::PostgresBroker;
use crate::error::Fault;
use crate::link::{Param, Repeat, Statement};
use crate::record::{queue, task};

/// Disabled tasks and paused queues, as the table of switches numbers them.
pub(crate) const DISABLED: i16 = 0;
pub(crate) const PAUSED: i16 = 1;

impl PostgresBroker {
    /// Sets or clears a switch.
    pub(crate) async fn switch(&self, kind: i16, name: &str, set: bool) -> BrokerResult<()> {
        let params: Vec<Param<'_>> = vec![
            (&self.teller.origin, Type::TEXT),
            (&kind, Type::INT2),
            (&name, Type::TEXT),
            (&set, Type::BOOL),
        ];
        let answer = self.function("switch", params, Repeat::Harmless).await?;
        let row = self.only(&answer)?;
        // Whether the first try changed anything is not known any more.
        if self.told(row.try_get::<_, bool>(0).map_err(Fault::from))? || answer.again {
            self.tell(vec![Event::Changed], true);
        }
        Ok(())
    }

    /// What was switched.
    pub(crate) async fn switches(&self) -> BrokerResult<Settings> {
        let sql = format!(
            "SELECT kind, name FROM {}.switches ORDER BY kind, name",
            self.link().schema
        );
        let answer = self.link().ask(&Statement::plain(sql)).await?;
        let mut settings = Settings::default();
        for row in &answer.rows {
            let read = || Ok((row.try_get::<_, i16>(0)?, row.try_get::<_, &str>(1)?));
            match self.told(read())? {
                (DISABLED, name) => settings.disabled_tasks.push(self.told(task(name))?),
                (_, name) => settings.paused_queues.push(self.told(queue(name))?),
            }
        }
        Ok(settings)
    }
}
