//! Every statement with a fixed text, in one place, so that one test can ask how each of them is carried out.
//!
//! The numbers of states are those of [`Stored`](crate::state::Stored).

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $text;)*

        /// All of them, by name.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

macro_rules! run_columns {
    () => {
        "seq, id, task, queue, state, priority, attempt, failures, interruptions, max_interruptions, \
         cancel_requested, survives, trigger, created_at, due_at, started_at, at, consumer, execution, \
         waiting, progress, progress_message, ckey, parent, root, retry_of, params, secrets, result, error"
    };
}

macro_rules! current_columns {
    () => {
        "seq, id, task, queue, state, attempt, failures, interruptions, max_interruptions, cancel_requested, \
         survives, due_at, started_at, consumer, execution, unique_key, lease_token"
    };
}

/// What a filter asks of a run. Bound are, in every question about many runs: ?1 an upper bound, ?2 how many,
/// ?3 and ?4 what the index is searched for, and from ?5 on the parts of the filter, each `NULL` for any.
macro_rules! passes {
    () => {
        " AND (?5 IS NULL OR task IN (SELECT value FROM json_each(?5))) \
          AND (?6 IS NULL OR state IN (SELECT value FROM json_each(?6))) \
          AND (?7 IS NULL OR queue IN (SELECT value FROM json_each(?7))) \
          AND (?8 IS NULL OR parent = ?8) \
          AND (?9 IS NULL OR root = ?9 OR id = ?9) \
          AND (?10 IS NULL OR created_at >= ?10) \
          AND (?11 IS NULL OR created_at < ?11) \
          AND (?12 IS NULL OR (state >= 6 AND at < ?12))"
    };
}

/// Newest runs first, found by an index.
macro_rules! newest {
    ($index:literal, $searched:literal) => {
        concat!(
            "SELECT ",
            run_columns!(),
            " FROM runs INDEXED BY ",
            $index,
            " WHERE ",
            $searched,
            " AND id < ?1",
            passes!(),
            " ORDER BY id DESC LIMIT ?2"
        )
    };
}

/// Where the places of states begin, see [`Lane`](crate::place::Lane).
macro_rules! states {
    () => {
        "1099511627776"
    };
}

macro_rules! scheduled {
    () => {
        "1099511627778"
    };
}

macro_rules! running {
    () => {
        "1099511627781"
    };
}

/// The first instant from ?1 on at which a run stands in a place.
macro_rules! first_at {
    ($place:expr) => {
        concat!(
            "SELECT at FROM runs INDEXED BY runs_place WHERE place = ",
            $place,
            " AND at >= ?1 ORDER BY at LIMIT 1"
        )
    };
}

/// All runs that are added together are added now, which is ?1. What they get in place of a token and a consumer is in
/// [`place`](crate::place).
macro_rules! runs_add {
    () => {
        "INSERT OR FAIL INTO runs (created_at, started_at, lease_token, consumer, id, place, at, state, task, queue, \
         priority, ckey, due_at, max_interruptions, trigger, unique_key, parent, root, retry_of, params, secrets) \
         VALUES "
    };
}

macro_rules! new_run {
    () => {
        "(?1, ?1, 2305843009213693952, 256, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}

macro_rules! runs_added {
    () => {
        " ON CONFLICT (id) DO NOTHING"
    };
}

/// Runs that one [`RUNS_ADD`] takes: what SQLite does once for each statement is shared by so many.
///
/// A statement that changes several runs says `OR FAIL`, or SQLite would keep what it needs to undo it alone, where we
/// undo the transaction.
pub(crate) const RUNS_TOGETHER: usize = 16;

macro_rules! set_success {
    () => {
        concat!(
            "UPDATE OR FAIL runs SET state = 6, place = 6 + ",
            states!(),
            ", error = NULL, cancel_requested = 0, waiting = NULL, progress = NULL, progress_message = NULL"
        )
    };
}

/// The place of a run that waits for a consumer, see [`Lane`](crate::place::Lane).
macro_rules! lane {
    () => {
        "(queue << 32) | (task << 4) | ((ckey IS NOT NULL) << 2) | priority"
    };
}

/// Finished runs, those that ended first before the others, found by an index. The filter asks for no others.
macro_rules! oldest {
    ($index:literal, $searched:literal) => {
        concat!(
            "SELECT seq, id, task, queue, state, unique_key, at FROM runs INDEXED BY ",
            $index,
            " WHERE ",
            $searched,
            " AND at < ?1",
            passes!(),
            " ORDER BY at LIMIT ?2"
        )
    };
}

statements! {
    TASK_ID = "SELECT id FROM tasks WHERE name = ?1";
    TASK_NAME = "SELECT name FROM tasks WHERE id = ?1";
    TASK_ADD = "INSERT INTO tasks (name) VALUES (?1)";
    TASK_DISABLED = "SELECT disabled FROM tasks WHERE id = ?1";
    TASK_SET = "UPDATE tasks SET disabled = ?2 WHERE id = ?1 AND disabled <> ?2";
    TASKS_DISABLED = "SELECT name FROM tasks WHERE disabled <> 0";
    QUEUE_ID = "SELECT id FROM queues WHERE name = ?1";
    QUEUE_NAME = "SELECT name FROM queues WHERE id = ?1";
    QUEUE_ADD = "INSERT INTO queues (name) VALUES (?1)";
    QUEUE_SET = "UPDATE queues SET paused = ?2 WHERE id = ?1 AND paused <> ?2";
    QUEUES_PAUSED = "SELECT name FROM queues WHERE paused <> 0";

    CONSUMER_ID = "SELECT id FROM claimants WHERE name = ?1";
    CONSUMER_NAME = "SELECT name FROM claimants WHERE id = ?1";
    CONSUMER_ADD = "INSERT INTO claimants (name) VALUES (?1)";

    COUNT_ADD = "INSERT INTO counts (state, task, queue, n) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (state, task, queue) DO UPDATE SET n = n + excluded.n";
    COUNTS = "SELECT state, task, queue, n FROM counts WHERE n <> 0";
    COUNT_BUSY = "SELECT coalesce(sum(n), 0) FROM counts WHERE state IN (4, 5) AND task = ?1";
    /// Where runs wait that may be claimed: pauses and disabled tasks don't hold up adoptions.
    LANES_WAITING = "SELECT c.state, c.task, c.queue FROM counts c JOIN tasks t ON t.id = c.task \
                     JOIN queues q ON q.id = c.queue WHERE c.state IN (3, 4) AND c.n > 0 \
                     AND (c.state = 4 OR (t.disabled = 0 AND q.paused = 0))";

    NEWEST = newest!("runs_id", "(?3 IS NULL AND ?4 IS NULL)");
    NEWEST_ITSELF = newest!("runs_id", "id = ?3");
    NEWEST_OF_ROOT = newest!("runs_root", "root = ?3");
    NEWEST_OF_PARENT = newest!("runs_parent", "parent = ?3");
    NEWEST_OF_TASK = newest!("runs_task", "task = ?3");
    NEWEST_IN_LANE = newest!("runs_place", "place >= ?3 AND place <= ?4");

    OLDEST_ITSELF = oldest!("runs_id", "id = ?3");
    OLDEST_OF_ROOT = oldest!("runs_root", "root = ?3");
    OLDEST_OF_PARENT = oldest!("runs_parent", "parent = ?3");
    OLDEST_OF_TASK = oldest!("runs_task", "task = ?3");
    OLDEST_FINISHED = oldest!("runs_place", "place = ?3");

    RUN_ADD = concat!(runs_add!(), new_run!(), runs_added!());
    /// [`RUNS_TOGETHER`] at once.
    RUNS_ADD = concat!(
        runs_add!(),
        new_run!(), ",", new_run!(), ",", new_run!(), ",", new_run!(), ",",
        new_run!(), ",", new_run!(), ",", new_run!(), ",", new_run!(), ",",
        new_run!(), ",", new_run!(), ",", new_run!(), ",", new_run!(), ",",
        new_run!(), ",", new_run!(), ",", new_run!(), ",", new_run!(),
        runs_added!()
    );
    /// What a claim can't know of the runs that it hands out.
    CLAIMED = "SELECT seq, lease_token, id, params, secrets, created_at, unique_key IS NOT NULL, attempt, failures, \
               interruptions, max_interruptions, cancel_requested, trigger, started_at, execution, parent, root, \
               retry_of, error FROM runs WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
    /// Runs from another broker, as they are.
    RUN_TAKE_OVER = "INSERT INTO runs (id, place, at, state, task, queue, priority, ckey, due_at, lease_token, attempt, \
                     failures, interruptions, max_interruptions, cancel_requested, trigger, created_at, started_at, \
                     consumer, execution, unique_key, parent, root, retry_of, params, secrets, result, error) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 2305843009213693952, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                     ?17, ifnull(?18, 256), ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27) ON CONFLICT (id) DO NOTHING";
    OLDEST_AFTER = concat!("SELECT ", run_columns!(), " FROM runs INDEXED BY runs_id WHERE id > ?1 ORDER BY id LIMIT ?2");
    RUN_BY_ID = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = ?1");
    /// What [`Current`](crate::current::Current) is read from.
    CURRENT_BY_ID = concat!("SELECT ", current_columns!(), " FROM runs WHERE id = ?1");
    CURRENT_BY_SEQ = concat!("SELECT ", current_columns!(), " FROM runs WHERE seq = ?1");
    RUN_ERROR = "SELECT error FROM runs WHERE seq = ?1";
    RUN_SEQ = "SELECT seq FROM runs WHERE id = ?1";

    HEAD = "SELECT place, at, seq FROM runs INDEXED BY runs_place \
            WHERE place <= ?1 AND (place, at, seq) > (?2, ?3, ?4) ORDER BY place, at, seq LIMIT ?5";
    HEAD_KEYED = "SELECT place, at, seq, ckey FROM runs INDEXED BY runs_place \
                  WHERE place <= ?1 AND (place, at, seq) > (?2, ?3, ?4) ORDER BY place, at, seq LIMIT ?5";
    HEAD_KEY = "SELECT priority, due_at, seq FROM runs INDEXED BY runs_lanes \
                WHERE ckey IS NOT NULL AND state = 3 AND queue = ?1 AND task = ?2 AND ckey = ?3 \
                AND (priority, due_at, seq) > (?4, ?5, ?6) ORDER BY priority, due_at, seq LIMIT ?7";
    NEXT_KEY = "SELECT ckey FROM runs INDEXED BY runs_lanes \
                 WHERE ckey IS NOT NULL AND state = 3 AND queue = ?1 AND task = ?2 AND ckey > ?3 ORDER BY ckey LIMIT 1";
    BUSY_KEYED = "SELECT count(*) FROM runs INDEXED BY runs_busy \
                  WHERE ckey IS NOT NULL AND state >= 4 AND state <= 5 AND task = ?1";
    BUSY_KEY = "SELECT count(*) FROM runs INDEXED BY runs_busy \
                 WHERE ckey IS NOT NULL AND state >= 4 AND state <= 5 AND task = ?1 AND ckey = ?2";
    ENDED = "SELECT count(*) FROM runs INDEXED BY runs_place WHERE place = ?1 AND at >= ?2 AND at < ?3";

    FIRST_IN_PLACE = "SELECT at FROM runs INDEXED BY runs_place WHERE place = ?1 ORDER BY at LIMIT 1";

    DUE = concat!(
        "SELECT seq, id, task, queue FROM runs INDEXED BY runs_place WHERE place = ",
        scheduled!(),
        " AND at <= ?1 ORDER BY at, seq LIMIT ?2"
    );
    NEXT_DUE = first_at!(scheduled!());
    EXPIRED = concat!(
        "SELECT seq FROM runs INDEXED BY runs_place WHERE place = ",
        running!(),
        " AND at <= ?1 ORDER BY at LIMIT ?2"
    );
    NEXT_EXPIRY = first_at!(running!());

    SET_QUEUED = concat!("UPDATE runs SET state = 3, place = ", lane!(), " WHERE seq = ?1");
    SET_CANCEL = "UPDATE runs SET cancel_requested = 1 WHERE seq = ?1";
    SET_LEASE = "UPDATE runs SET at = ?2 WHERE seq = ?1";
    /// Leases runs to a consumer for their next attempts.
    START = concat!(
        "UPDATE OR FAIL runs SET state = 5, place = ",
        running!(),
        ", at = ?3, survives = ?4, consumer = ?5, lease_token = ?6 + seq, started_at = ?7, \
         attempt = attempt + 1, execution = NULL WHERE seq BETWEEN ?1 AND ?2"
    );
    /// Leases runs to another consumer, with the attempts that go on.
    ADOPT = concat!(
        "UPDATE OR FAIL runs SET state = 5, place = ",
        running!(),
        ", at = ?3, survives = ?4, consumer = ?5, lease_token = ?6 + seq WHERE seq BETWEEN ?1 AND ?2"
    );
    /// Back to waiting, in whatever way: ?2 is 2 for its time to come, 3 for a consumer, 4 for its adoption.
    SET_WAITING = concat!(
        "UPDATE runs SET state = ?2, place = CASE ?2 WHEN 2 THEN ",
        scheduled!(),
        " WHEN 3 THEN ",
        lane!(),
        " ELSE (queue << 32) | (task << 4) | 8 | priority END, \
         at = ?3, due_at = ?3, failures = ?4, interruptions = ?5, error = coalesce(?6, error), \
         waiting = NULL, progress = NULL, progress_message = NULL WHERE seq = ?1"
    );
    SET_ENDED = concat!(
        "UPDATE runs SET state = ?2, place = ?2 + ",
        states!(),
        ", at = ?3, failures = ?4, interruptions = ?5, result = ?6, error = ?7, cancel_requested = 0, \
         waiting = NULL, progress = NULL, progress_message = NULL WHERE seq = ?1"
    );
    /// The end of a run of which nothing has to be read, if it still runs under the lease.
    SET_SUCCESS = concat!(
        set_success!(),
        ", at = ?3, result = ?4 WHERE seq = ?1 AND lease_token = ?2 AND state = 5"
    );
    /// The same for runs of one claim that returned nothing.
    SET_SUCCESSES = concat!(
        set_success!(),
        ", at = ?3, result = NULL WHERE seq BETWEEN ?1 AND ?2 AND lease_token = ?4 + seq AND state = 5"
    );
    SET_PROGRESS = "UPDATE runs SET progress = ?2, progress_message = ?3 WHERE seq = ?1";
    SET_EXECUTION = "UPDATE runs SET execution = ?2 WHERE seq = ?1";
    SET_WHY_WAITING = "UPDATE runs SET waiting = ?2 WHERE seq = ?1";
    RUN_DROP = "DELETE FROM runs WHERE seq = ?1";

    ATTEMPT_ADD = "INSERT INTO attempts (run, number, consumer, execution, started_at, ended_at, outcome, error) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ATTEMPTS = "SELECT number, consumer, execution, started_at, ended_at, outcome, error FROM attempts \
                WHERE run = ?1 ORDER BY number";
    ATTEMPTS_DROP = "DELETE FROM attempts WHERE run = ?1";

    UNIQUE_GET = "SELECT run, frees_at, finished FROM uniques WHERE task = ?1 AND key = ?2";
    /// The key that the run ?1 holds at ?2.
    UNIQUE_OF = "SELECT u.key, u.frees_at FROM runs r JOIN uniques u \
                 ON u.task = r.task AND u.key = r.unique_key AND u.run = r.id \
                 WHERE r.seq = ?1 AND r.unique_key IS NOT NULL AND (u.finished = 0 OR u.frees_at > ?2)";
    UNIQUE_PUT = "INSERT INTO uniques (task, key, run, frees_at, finished) VALUES (?1, ?2, ?3, ?4, 0) \
                  ON CONFLICT (task, key) DO UPDATE SET run = excluded.run, frees_at = excluded.frees_at, finished = 0";
    UNIQUE_FREE = "DELETE FROM uniques WHERE task = ?1 AND key = ?2 AND run = ?3 \
                   AND (frees_at IS NULL OR frees_at <= ?4)";
    UNIQUE_FINISHED = "UPDATE uniques SET finished = 1 WHERE task = ?1 AND key = ?2 AND run = ?3";
    UNIQUE_DROP = "DELETE FROM uniques WHERE task = ?1 AND key = ?2 AND run = ?3";
    UNIQUES_OVER = "SELECT task, key, run FROM uniques INDEXED BY uniques_over \
                    WHERE finished = 1 AND frees_at <= ?1 ORDER BY frees_at LIMIT ?2";

    RATE_GET = "SELECT arrival FROM rates WHERE task = ?1 AND ckey = ?2";
    RATE_PUT = "INSERT INTO rates (task, ckey, arrival) VALUES (?1, ?2, ?3) \
                ON CONFLICT (task, ckey) DO UPDATE SET arrival = excluded.arrival";
    RATES_OVER = "SELECT task, ckey FROM rates INDEXED BY rates_over WHERE arrival <= ?1 ORDER BY arrival LIMIT ?2";
    RATE_DROP = "DELETE FROM rates WHERE task = ?1 AND ckey = ?2";

    TICK_ADD = "INSERT INTO ticks (task, instant, seen_at) VALUES (?1, ?2, ?3) ON CONFLICT (task, instant) DO NOTHING";
    TICKS_OLD = "SELECT task, instant FROM ticks INDEXED BY ticks_old WHERE seen_at <= ?1 ORDER BY seen_at LIMIT ?2";
    TICK_DROP = "DELETE FROM ticks WHERE task = ?1 AND instant = ?2 \
                 AND instant < (SELECT max(instant) FROM ticks WHERE task = ?1)";
    /// A tick that is kept for good leaves the index of those that may go.
    TICK_KEEP = "UPDATE ticks SET seen_at = NULL WHERE task = ?1 AND instant = ?2";
    TICKS_LAST = "SELECT t.name, (SELECT max(instant) FROM ticks WHERE task = t.id) FROM tasks t";

    LOG_HEAD = "SELECT lines, bytes, cut FROM log_heads WHERE run = ?1";
    LOG_HEAD_PUT = "INSERT INTO log_heads (run, lines, bytes, cut) VALUES (?1, ?2, ?3, ?4) \
                    ON CONFLICT (run) DO UPDATE SET lines = excluded.lines, bytes = excluded.bytes, cut = excluded.cut";
    LOG_ADD = "INSERT INTO logs (run, position, attempt, at, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    LOG_READ = "SELECT position, attempt, at, stream, text FROM logs \
                WHERE run = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
    LOG_DROP = "DELETE FROM logs WHERE run = ?1";
    LOG_HEAD_DROP = "DELETE FROM log_heads WHERE run = ?1";

    CONSUMER_PUT = "INSERT INTO consumers (id, info, seen_at, expires_at) VALUES (?1, ?2, ?3, ?4) \
                    ON CONFLICT (id) DO UPDATE SET info = excluded.info, seen_at = excluded.seen_at, \
                    expires_at = excluded.expires_at";
    CONSUMERS_EXPIRED_DROP = "DELETE FROM consumers WHERE expires_at <= ?1";
    CONSUMER_DROP = "DELETE FROM consumers WHERE id = ?1";
    CONSUMERS = "SELECT info, seen_at FROM consumers WHERE expires_at > ?1";
}
