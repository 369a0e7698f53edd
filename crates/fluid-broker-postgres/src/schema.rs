//! The tables and functions, and how those of an older version become those of this one.

use tokio_postgres::types::Type;

use crate::error::{Fault, Outcome};
use crate::pool::Session;

/// One step for each version, the first of which makes an empty schema one of version 1. A step that was released
/// never changes. What an older fluid calls stays, with the same parameters, for as long as it may still run.
const STEPS: &[&[&str]] = &[&[
    include_str!("v1/tables.sql"),
    include_str!("v1/basics.sql"),
    include_str!("v1/enqueue.sql"),
    include_str!("v1/claim.sql"),
    include_str!("v1/finish.sql"),
    include_str!("v1/upkeep.sql"),
    include_str!("v1/transfer.sql"),
    include_str!("v1/settings.sql"),
]];

/// The oldest server that has all we use.
const OLDEST_SERVER: i32 = 140_000;

/// The version that this build reads and writes.
pub(crate) fn supported() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// What a database is like before anything is changed in it.
pub(crate) struct Found {
    /// The version of the schema; 0 when there is none.
    pub(crate) version: u32,
    /// Why nothing can be written, as far as is known.
    pub(crate) read_only: Option<&'static str>,
}

/// Looks, and refuses what can't be used.
pub(crate) async fn look(session: &Session, schema: &str) -> Outcome<Found> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
               current_setting('server_encoding'), pg_is_in_recovery(), \
               current_setting('transaction_read_only') = 'on', \
               EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = 'meta')";
    let row = session
        .query_typed_one(sql, &[(&schema, Type::TEXT)])
        .await?;
    check_server(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
    let read_only = if row.try_get(3)? {
        Some("it is a standby: name the primary in the URL")
    } else if row.try_get(4)? {
        Some("default_transaction_read_only is on")
    } else {
        None
    };
    let version = if row.try_get(5)? {
        version(session, schema).await?
    } else {
        0
    };
    Ok(Found { version, read_only })
}

fn check_server(version: i32, name: &str, encoding: &str) -> Outcome<()> {
    if version < OLDEST_SERVER {
        return Err(Fault::Unfit(format!(
            "the server is PostgreSQL {name}, and fluid needs 14 or later: upgrade it"
        )));
    }
    if encoding != "UTF8" {
        return Err(Fault::Unfit(format!(
            "the database has the encoding {encoding}, which can't keep every text: use one with the encoding UTF8 \
             (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)"
        )));
    }
    Ok(())
}

async fn version(session: &Session, schema: &str) -> Outcome<u32> {
    let sql = format!("SELECT version FROM {schema}.meta");
    let row = session.query_typed_opt(&sql, &[]).await?;
    let found: i32 = match row {
        None => 0,
        Some(row) => row.try_get(0)?,
    };
    let found = u32::try_from(found).map_err(|_| {
        Fault::Corrupt(format!(
            "the schema version is {found}, which no fluid wrote"
        ))
    })?;
    if found > supported() {
        return Err(Fault::TooNew {
            found,
            supported: supported(),
        });
    }
    Ok(found)
}

/// Brings a schema to this build's version; the version that it had. Any number of processes may do so at once: one
/// does it, the others wait for it.
pub(crate) async fn migrate(session: &Session, schema: &str) -> Outcome<u32> {
    let found = look(session, schema).await?;
    if found.version == supported() {
        return Ok(found.version);
    }
    if let Some(reason) = found.read_only {
        return Err(Fault::NotMigrated(format!(
            "its schema {schema:?} has version {}, this fluid needs {}, and it can't be changed: {reason}",
            found.version,
            supported()
        )));
    }
    let changed = change(session, schema).await;
    if changed.is_err() {
        // The connection goes back to the pool.
        let _ = session.batch_execute("ROLLBACK").await;
    }
    changed
}

async fn change(session: &Session, schema: &str) -> Outcome<u32> {
    // One transaction, so that a pooler lends one connection for all of it. The lock ends with it.
    session
        .batch_execute(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SELECT pg_advisory_xact_lock(hashtextextended('fluid migrate {schema}', 0))"
        ))
        .await?;
    let found = look(session, schema).await?;
    if found.version < supported() {
        let exists = format!("SELECT FROM pg_namespace WHERE nspname = '{schema}'");
        if session.query_typed_opt(&exists, &[]).await?.is_none() {
            session
                .batch_execute(&format!("CREATE SCHEMA {schema}"))
                .await?;
        }
        session
            .batch_execute(&format!("SET LOCAL search_path = {schema}, pg_temp"))
            .await?;
        let done = usize::try_from(found.version).unwrap_or(STEPS.len());
        for step in STEPS.iter().skip(done) {
            for part in *step {
                session.batch_execute(part).await?;
            }
        }
        session
            .batch_execute(&format!("UPDATE meta SET version = {}", supported()))
            .await?;
    }
    session.batch_execute("COMMIT").await?;
    Ok(found.version)
}

/// Opens a schema: looks at it, and brings it to this build's version where that is needed.
pub(crate) async fn open(session: &Session, schema: &str) -> Outcome<()> {
    migrate(session, schema).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_or_can_not_keep_every_text_is_refused() {
        let told = |version, name, encoding| match check_server(version, name, encoding) {
            Err(Fault::Unfit(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(told(130_011, "13.11", "UTF8").contains("PostgreSQL 13.11, and fluid needs 14"));
        assert!(told(150_000, "15.0", "LATIN1").contains("encoding LATIN1"));
        assert!(check_server(140_000, "14.0", "UTF8").is_ok());
    }
}
