-- Takes over runs that another broker exported: p_runs is a JSON array of objects with the names of columns. Runs that
-- are here already stay as they are, and so do the owners of unique keys. How many were new.
CREATE FUNCTION take_over(p_now bigint, p_origin text, p_runs text, p_tasks text[], p_instants bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_run record;
    v_key text;
    v_new bigint := 0;
BEGIN
    INSERT INTO ticks (task, instant, seen_at)
    SELECT t.task, t.instant, v_now FROM unnest(p_tasks, p_instants) AS t (task, instant) ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    FOR v_run IN
        SELECT n.* FROM json_array_elements(p_runs::json) WITH ORDINALITY AS o (run, place)
        CROSS JOIN LATERAL json_to_record(o.run) AS n (id uuid, task text, queue text, state smallint,
            priority smallint, trigger smallint, attempt integer, failures integer, interruptions integer,
            max_interruptions bigint, cancel_requested boolean, created_at bigint, due_at bigint, started_at bigint,
            ended_at bigint, by_attempt boolean, consumer text, execution text, ckey text, parent uuid, root uuid,
            retry_of uuid, params text, secrets text, result text, error text, unique_key text, unique_until bigint,
            attempts json)
        ORDER BY o.place
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM runs r WHERE r.id = v_run.id)
            OR EXISTS (SELECT FROM finished f WHERE f.id = v_run.id);
        v_key := NULL;
        IF v_run.unique_key IS NOT NULL THEN
            INSERT INTO uniques AS u (task, key, run, until, finished)
            VALUES (v_run.task, v_run.unique_key, v_run.id, v_run.unique_until, v_run.ended_at IS NOT NULL)
            ON CONFLICT (task, key) DO UPDATE SET run = excluded.run, until = excluded.until,
                finished = excluded.finished
                WHERE u.finished AND (u.until IS NULL OR u.until <= v_now);
            IF FOUND THEN
                v_key := v_run.unique_key;
            END IF;
        END IF;
        -- Who brings the same run at the same time waits here, and begins again.
        IF v_run.ended_at IS NULL THEN
            INSERT INTO runs (created_at, due_at, started_at, max_interruptions, id, attempt, failures, interruptions,
                state, priority, trigger, cancel_requested, task, queue, ckey, params, consumer, secrets, unique_key,
                parent, root, retry_of, execution, error, lane, until)
            VALUES (v_run.created_at, v_run.due_at, v_run.started_at, v_run.max_interruptions, v_run.id, v_run.attempt,
                v_run.failures, v_run.interruptions, v_run.state, v_run.priority, v_run.trigger,
                v_run.cancel_requested, v_run.task, v_run.queue, v_run.ckey, v_run.params, v_run.consumer,
                v_run.secrets, v_key, v_run.parent, v_run.root, v_run.retry_of, v_run.execution, v_run.error,
                CASE v_run.state WHEN 1 THEN lane_of(v_run.ckey) WHEN 2 THEN 3 ELSE 0 END,
                CASE v_run.state WHEN 0 THEN v_run.due_at END);
        ELSE
            INSERT INTO finished (created_at, due_at, started_at, ended_at, max_interruptions, id, attempt, failures,
                interruptions, state, priority, trigger, by_attempt, task, queue, ckey, params, consumer, secrets,
                unique_key, parent, root, retry_of, execution, result, error)
            VALUES (v_run.created_at, v_run.due_at, v_run.started_at, v_run.ended_at, v_run.max_interruptions,
                v_run.id, v_run.attempt, v_run.failures, v_run.interruptions, v_run.state, v_run.priority,
                v_run.trigger, v_run.by_attempt, v_run.task, v_run.queue, v_run.ckey, v_run.params, v_run.consumer,
                v_run.secrets, v_key, v_run.parent, v_run.root, v_run.retry_of, v_run.execution, v_run.result,
                v_run.error);
        END IF;
        INSERT INTO counts (task, queue, scheduled, queued, success, failure, aborted, interrupted, rate_limited)
        VALUES (v_run.task, v_run.queue, (v_run.state = 0)::int, (v_run.state IN (1, 2))::int,
            (v_run.state = 4)::int, (v_run.state = 5)::int, (v_run.state = 6)::int, (v_run.state = 7)::int,
            (v_run.state = 8)::int);
        INSERT INTO attempts (run, number, outcome, started_at, ended_at, consumer, execution, error)
        SELECT v_run.id, a.number, a.outcome, a.started_at, a.ended_at, a.consumer, a.execution, a.error
        FROM json_to_recordset(v_run.attempts) AS a (number integer, outcome smallint, started_at bigint,
            ended_at bigint, consumer text, execution text, error text);
        v_new := v_new + 1;
    END LOOP;
    PERFORM beat(v_now);
    IF v_new > 0 THEN
        PERFORM tell(p_origin, 'x');
    END IF;
    RETURN v_new;
END $$;
