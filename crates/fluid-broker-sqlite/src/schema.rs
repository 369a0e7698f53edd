//! The tables, and how a file of an older version becomes one of this version.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Fault, Outcome};

/// Marks a file as fluid's: `FLUI` in ASCII (<https://www.sqlite.org/fileformat2.html#application_id>).
const APPLICATION_ID: i32 = 0x464C_5549;

/// One step for each version, the first of which makes an empty file one of version 1. A step that was released
/// never changes.
const STEPS: &[&str] = &[V1, V2];

const V1: &str = "
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        disabled INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE queues (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        paused INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- How many runs there are, kept up to date by every change of a state.
    CREATE TABLE counts (
        state INTEGER NOT NULL,
        task INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (state, task, queue)
    ) STRICT, WITHOUT ROWID;

    -- seq is the order of arrival; instants are microseconds since 1970.
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        task INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        state INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        interruptions INTEGER NOT NULL DEFAULT 0,
        max_interruptions INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        survives INTEGER NOT NULL DEFAULT 0,
        trigger INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at INTEGER,
        lease_until INTEGER,
        lease_token INTEGER,
        consumer TEXT,
        execution TEXT,
        waiting TEXT,
        progress REAL,
        progress_message TEXT,
        ckey TEXT NOT NULL,
        unique_key TEXT,
        parent BLOB,
        root BLOB,
        retry_of BLOB,
        params TEXT NOT NULL,
        secrets TEXT,
        result TEXT,
        error TEXT
    ) STRICT;
    CREATE UNIQUE INDEX runs_id ON runs (id);
    CREATE INDEX runs_task ON runs (task, id);
    CREATE INDEX runs_scheduled ON runs (due_at) WHERE state = 0;
    CREATE INDEX runs_queued ON runs (queue, task, priority, due_at) WHERE state = 1 AND ckey = '';
    CREATE INDEX runs_keyed ON runs (queue, task, priority, due_at) WHERE state = 1 AND ckey <> '';
    CREATE INDEX runs_adoptable ON runs (queue, task, priority, due_at) WHERE state = 2;
    CREATE INDEX runs_leased ON runs (lease_until) WHERE state = 3;
    CREATE INDEX runs_busy ON runs (task, ckey) WHERE state >= 2 AND state <= 3 AND ckey <> '';
    CREATE INDEX runs_finished ON runs (state, ended_at) WHERE state >= 4;
    CREATE INDEX runs_parent ON runs (parent, id) WHERE parent IS NOT NULL;
    CREATE INDEX runs_root ON runs (root, id) WHERE root IS NOT NULL;

    -- The attempts before a run's current or last one, which stands in its row.
    CREATE TABLE attempts (
        run INTEGER NOT NULL,
        number INTEGER NOT NULL,
        consumer TEXT NOT NULL,
        execution TEXT,
        started_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome INTEGER NOT NULL,
        error TEXT,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE uniques (
        task INTEGER NOT NULL,
        key TEXT NOT NULL,
        run BLOB NOT NULL,
        frees_at INTEGER,
        finished INTEGER NOT NULL,
        PRIMARY KEY (task, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uniques_over ON uniques (frees_at) WHERE finished = 1;

    CREATE TABLE rates (
        task INTEGER NOT NULL,
        ckey TEXT NOT NULL,
        arrival INTEGER NOT NULL,
        PRIMARY KEY (task, ckey)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rates_over ON rates (arrival);

    CREATE TABLE ticks (
        task INTEGER NOT NULL,
        instant INTEGER NOT NULL,
        seen_at INTEGER,
        PRIMARY KEY (task, instant)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ticks_old ON ticks (seen_at) WHERE seen_at IS NOT NULL;

    CREATE TABLE logs (
        run INTEGER NOT NULL,
        position INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        at INTEGER NOT NULL,
        stream INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (run, position)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE log_heads (
        run INTEGER PRIMARY KEY,
        lines INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        cut INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE consumers (
        id TEXT NOT NULL PRIMARY KEY,
        info TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// One index for every move of a run, in place of one for each state.
const V2: &str = "
    ALTER TABLE runs RENAME TO old_runs;

    -- place says what a run waits for or that it runs or how it ended, and is in the order of claiming where runs
    -- wait for a consumer; at is when it is due, when its lease runs out, or when it ended.
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        place INTEGER NOT NULL,
        at INTEGER NOT NULL,
        state INTEGER NOT NULL,
        task INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        ckey TEXT,
        due_at INTEGER NOT NULL,
        lease_token INTEGER NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        interruptions INTEGER NOT NULL DEFAULT 0,
        max_interruptions INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        survives INTEGER NOT NULL DEFAULT 0,
        trigger INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        consumer INTEGER NOT NULL,
        execution TEXT,
        waiting TEXT,
        progress REAL,
        progress_message TEXT,
        unique_key TEXT,
        parent BLOB,
        root BLOB,
        retry_of BLOB,
        params TEXT NOT NULL,
        secrets TEXT,
        result TEXT,
        error TEXT
    ) STRICT;
    CREATE TABLE claimants (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    -- Whoever has no claim yet; those that come after have numbers of the same size.
    INSERT INTO claimants (id, name) VALUES (256, '');
    INSERT INTO claimants (name) SELECT DISTINCT consumer FROM old_runs WHERE consumer IS NOT NULL;
    INSERT INTO runs SELECT seq, id,
        CASE state
            WHEN 1 THEN (queue << 32) | (task << 4) | ((ckey <> '') << 2) | priority
            WHEN 2 THEN (queue << 32) | (task << 4) | 8 | priority
            ELSE 1099511627778 + state
        END,
        CASE WHEN state <= 2 THEN due_at WHEN state = 3 THEN lease_until ELSE ended_at END,
        state + 2, task, queue, priority, nullif(ckey, ''), due_at, ifnull(lease_token, 1 << 61), attempt, failures,
        interruptions, max_interruptions, cancel_requested, survives, trigger, created_at,
        ifnull(started_at, created_at), ifnull((SELECT id FROM claimants WHERE name = consumer), 256), execution,
        waiting, progress, progress_message, unique_key, parent, root, retry_of, params, secrets, result, error
        FROM old_runs;
    UPDATE counts SET state = -2 - state;
    UPDATE counts SET state = -state;
    DROP TABLE old_runs;

    CREATE UNIQUE INDEX runs_id ON runs (id);
    CREATE INDEX runs_task ON runs (task, id);
    CREATE INDEX runs_place ON runs (place, at);
    CREATE INDEX runs_lanes ON runs (queue, task, ckey, priority, due_at) WHERE ckey IS NOT NULL AND state = 3;
    CREATE INDEX runs_busy ON runs (task, ckey) WHERE ckey IS NOT NULL AND state >= 4 AND state <= 5;
    CREATE INDEX runs_parent ON runs (parent, id) WHERE parent IS NOT NULL;
    CREATE INDEX runs_root ON runs (root, id) WHERE root IS NOT NULL;
";

/// The version that this build reads and writes.
pub(crate) fn supported() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

fn version(connection: &Connection) -> Outcome<u32> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    u32::try_from(found).map_err(|_| {
        Fault::Corrupt(format!(
            "the schema version is {found}, which no fluid wrote"
        ))
    })
}

fn check_owner(connection: &Connection) -> Outcome<()> {
    // One statement, so that both are of one moment: another process may be making the file.
    let (owner, tables): (i32, i64) = connection.query_row(
        "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if owner == APPLICATION_ID {
        return Ok(());
    }
    if owner == 0 && tables == 0 {
        return Ok(());
    }
    Err(Fault::Foreign { owner })
}

/// Refuses a file of another application or of a newer version before anything is changed in it.
pub(crate) fn check(connection: &Connection) -> Outcome<u32> {
    check_owner(connection)?;
    let found = version(connection)?;
    if found > supported() {
        return Err(Fault::TooNew {
            found,
            supported: supported(),
        });
    }
    Ok(found)
}

/// Brings the file to this build's version. Any number of processes may do so at once: one does it, the others
/// wait for it.
pub(crate) fn migrate(connection: &mut Connection) -> Outcome<()> {
    if check(connection)? == supported() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = check(&transaction)?;
    let done = usize::try_from(found).unwrap_or(STEPS.len());
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", supported())?;
    transaction.commit()?;
    Ok(())
}
