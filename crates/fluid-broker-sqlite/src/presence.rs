//! Which consumers live.

use std::time::Duration;

use fluid_core::{ConsumerId, ConsumerInfo};
use jiff::Timestamp;

use crate::error::{Fault, Outcome};
use crate::instant::{later, timestamp};
use crate::sql;
use crate::store::{Reading, Writing};

pub(crate) fn heartbeat(on: &mut Writing, consumer: &ConsumerInfo, ttl: Duration) -> Outcome<()> {
    let info = serde_json::to_string(consumer)
        .map_err(|error| Fault::Corrupt(format!("a consumer can't be written: {error}")))?;
    let connection = &on.base.connection;
    connection
        .prepare_cached(sql::CONSUMERS_EXPIRED_DROP)?
        .execute([on.now])?;
    let mut put = connection.prepare_cached(sql::CONSUMER_PUT)?;
    put.execute((consumer.id.as_str(), info, on.now, later(on.now, ttl)))?;
    Ok(())
}

pub(crate) fn farewell(on: &mut Writing, consumer: &ConsumerId) -> Outcome<()> {
    let mut forget = on.base.connection.prepare_cached(sql::CONSUMER_DROP)?;
    forget.execute([consumer.as_str()])?;
    Ok(())
}

pub(crate) fn consumers(on: &mut Reading, now: Timestamp) -> Outcome<Vec<ConsumerInfo>> {
    let mut get = on.connection.prepare_cached(sql::CONSUMERS)?;
    let mut rows = get.query([now.as_microsecond()])?;
    let mut consumers = Vec::new();
    while let Some(row) = rows.next()? {
        let info: String = row.get(0)?;
        let mut info: ConsumerInfo = serde_json::from_str(&info)
            .map_err(|error| Fault::Corrupt(format!("a consumer is unreadable: {error}")))?;
        info.seen_at = timestamp(row.get(1)?)?;
        consumers.push(info);
    }
    consumers.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(consumers)
}
