CREATE FUNCTION clock_us() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- The instant p_by after p_at, or the last one that there is.
CREATE FUNCTION later(p_at bigint, p_by bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN p_at + p_by > 253402207200999999 THEN 253402207200999999 ELSE p_at + p_by END $$;

-- Where a run waits that is to start.
CREATE FUNCTION lane_of(p_ckey text) RETURNS smallint LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN p_ckey = '' THEN 1::smallint ELSE 2::smallint END $$;

-- Tells who listens; p_events has one event a line, see src/events.rs.
CREATE FUNCTION tell(p_origin text, p_events text) RETURNS void LANGUAGE sql VOLATILE AS
$$ SELECT pg_notify('fluid:' || current_schema(),
       p_origin || E'\n' || CASE WHEN octet_length(p_events) > 7800 THEN 'x' ELSE p_events END) $$;

-- Adds up rows of counts, unless somebody does so already, and clears away what is over.
CREATE FUNCTION compact(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('fluid compact ' || current_schema(), 0)) THEN
        RETURN;
    END IF;
    WITH old AS (
        DELETE FROM counts WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM counts c LIMIT 5000)) RETURNING *
    ), added AS (
        SELECT task, queue, sum(scheduled) AS scheduled, sum(queued) AS queued, sum(running) AS running,
            sum(success) AS success, sum(failure) AS failure, sum(aborted) AS aborted,
            sum(interrupted) AS interrupted, sum(rate_limited) AS rate_limited
        FROM old GROUP BY task, queue
    )
    INSERT INTO counts SELECT * FROM added a
    WHERE (a.scheduled, a.queued, a.running, a.success, a.failure, a.aborted, a.interrupted, a.rate_limited)
        <> (0, 0, 0, 0, 0, 0, 0, 0);
    DELETE FROM uniques WHERE ctid = ANY (ARRAY(
        SELECT u.ctid FROM uniques u WHERE u.finished AND u.until <= p_now
        ORDER BY u.until LIMIT 100 FOR UPDATE SKIP LOCKED));
    DELETE FROM rates WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM rates r WHERE r.arrival <= p_now
        ORDER BY r.arrival LIMIT 100 FOR UPDATE SKIP LOCKED));
END $$;

-- Notes that something happened; every now and then there is something to tidy up.
CREATE FUNCTION beat(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('pulse') % 64 = 0 THEN
        PERFORM compact(p_now);
    END IF;
END $$;

-- The run gives its unique key free, now or when its window is over.
CREATE FUNCTION free_key(p_task text, p_key text, p_run uuid, p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE uniques SET finished = true WHERE task = p_task AND key = p_key AND run = p_run AND until > p_now;
    IF NOT FOUND THEN
        DELETE FROM uniques WHERE task = p_task AND key = p_key AND run = p_run;
    END IF;
END $$;

-- Ends one run that the caller has locked.
CREATE FUNCTION end_run(p_run runs, p_state smallint, p_by_attempt boolean, p_error text, p_now bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM runs WHERE id = p_run.id;
    INSERT INTO finished (created_at, due_at, started_at, ended_at, token, max_interruptions, id, attempt, failures,
        interruptions, state, priority, trigger, by_attempt, task, queue, ckey, params, consumer, secrets,
        unique_key, parent, root, retry_of, execution, error)
    VALUES (p_run.created_at, p_run.due_at, p_run.started_at, p_now, p_run.token, p_run.max_interruptions, p_run.id,
        p_run.attempt, p_run.failures, p_run.interruptions, p_state, p_run.priority, p_run.trigger, p_by_attempt,
        p_run.task, p_run.queue, p_run.ckey, p_run.params, p_run.consumer, p_run.secrets, p_run.unique_key,
        p_run.parent, p_run.root, p_run.retry_of, p_run.execution, p_error);
    INSERT INTO counts (task, queue, scheduled, queued, running, failure, aborted, interrupted, rate_limited)
    VALUES (p_run.task, p_run.queue,
        -(p_run.state = 0)::int, -(p_run.state IN (1, 2))::int, -(p_run.state = 3)::int,
        (p_state = 5)::int, (p_state = 6)::int, (p_state = 7)::int, (p_state = 8)::int);
    IF p_run.unique_key IS NOT NULL THEN
        PERFORM free_key(p_run.task, p_run.unique_key, p_run.id, p_now);
    END IF;
END $$;

-- Keeps the current attempt of a run as one that ended.
CREATE FUNCTION keep_attempt(p_run runs, p_outcome smallint, p_error text, p_now bigint)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts (run, number, outcome, started_at, ended_at, token, consumer, execution, error)
    VALUES (p_run.id, p_run.attempt, p_outcome, p_run.started_at, p_now, p_run.token, p_run.consumer,
        p_run.execution, p_error)
$$;
