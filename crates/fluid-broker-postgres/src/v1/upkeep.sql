-- Deletes finished runs and all that belongs to them; how many.
CREATE FUNCTION purge(p_origin text, p_ids uuid[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
    v_gone uuid[];
BEGIN
    WITH gone AS (
        DELETE FROM finished WHERE id = ANY (p_ids) RETURNING id, task, queue, state, unique_key
    ), freed AS (
        DELETE FROM uniques u WHERE (u.task, u.key, u.run) IN (
            SELECT g.task, g.unique_key, g.id FROM gone g WHERE g.unique_key IS NOT NULL)
    ), counted AS (
        INSERT INTO counts (task, queue, success, failure, aborted, interrupted, rate_limited)
        SELECT g.task, g.queue, -count(*) FILTER (WHERE g.state = 4), -count(*) FILTER (WHERE g.state = 5),
            -count(*) FILTER (WHERE g.state = 6), -count(*) FILTER (WHERE g.state = 7),
            -count(*) FILTER (WHERE g.state = 8)
        FROM gone g GROUP BY g.task, g.queue
    )
    SELECT count(*), array_agg(g.id) INTO v_count, v_gone FROM gone g;
    IF v_count > 0 THEN
        DELETE FROM logs WHERE run = ANY (v_gone);
        DELETE FROM log_heads WHERE run = ANY (v_gone);
        DELETE FROM attempts WHERE run = ANY (v_gone);
        PERFORM beat(clock_us()), tell(p_origin, 'x');
    END IF;
    RETURN v_count;
END $$;

-- Appends lines to logs, those of one run one after the other: p_runs are the runs, in order, and p_counts how many of
-- the lines belong to each. The runs whose logs grew.
CREATE FUNCTION append_logs(p_now bigint, p_request bigint, p_again boolean, p_lines bigint, p_bytes bigint,
    p_notice text, p_runs uuid[], p_counts integer[], p_attempts bigint[], p_ats bigint[], p_streams smallint[],
    p_sizes bigint[], p_texts text[]) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_from integer;
    v_to integer := 0;
    v_head log_heads;
    v_kept bigint;
    v_size bigint;
BEGIN
    FOR i IN 1 .. cardinality(p_runs) LOOP
        v_from := v_to + 1;
        v_to := v_to + p_counts[i];
        IF NOT EXISTS (SELECT FROM runs WHERE id = p_runs[i]) THEN
            -- Nobody purges it meanwhile.
            PERFORM FROM finished WHERE id = p_runs[i] FOR KEY SHARE;
            CONTINUE WHEN NOT FOUND;
        END IF;
        INSERT INTO log_heads (run) VALUES (p_runs[i]) ON CONFLICT DO NOTHING;
        SELECT * INTO v_head FROM log_heads WHERE run = p_runs[i] FOR UPDATE;
        CONTINUE WHEN v_head.cut OR (p_again AND v_head.request = p_request);
        WITH kept AS (
            INSERT INTO logs (run, position, at, attempt, stream, line)
            SELECT p_runs[i], v_head.lines + l.nth, l.at, l.attempt, l.stream, l.line FROM (
                SELECT n.*, sum(n.size) OVER (ORDER BY n.nth) AS bytes FROM unnest(p_attempts[v_from : v_to],
                    p_ats[v_from : v_to], p_streams[v_from : v_to], p_sizes[v_from : v_to], p_texts[v_from : v_to])
                    WITH ORDINALITY AS n (attempt, at, stream, size, line, nth)) l
            WHERE v_head.lines + l.nth <= p_lines AND v_head.bytes + l.bytes <= p_bytes
            RETURNING position
        )
        SELECT count(*) INTO v_kept FROM kept;
        SELECT coalesce(sum(s), 0) INTO v_size FROM unnest(p_sizes[v_from : v_from + v_kept::integer - 1]) AS s;
        v_head.lines := v_head.lines + v_kept;
        IF v_kept < p_counts[i] THEN
            v_head.lines := v_head.lines + 1;
            v_head.cut := true;
            INSERT INTO logs (run, position, at, attempt, stream, line)
            VALUES (p_runs[i], v_head.lines, v_now, p_attempts[v_from + v_kept::integer], 2, p_notice);
        END IF;
        UPDATE log_heads SET lines = v_head.lines, bytes = v_head.bytes + v_size, cut = v_head.cut,
            request = p_request WHERE run = p_runs[i];
        RETURN NEXT p_runs[i];
    END LOOP;
    PERFORM nextval('pulse');
END $$;

-- Sets or clears a switch; whether that changed anything.
CREATE FUNCTION switch(p_origin text, p_kind smallint, p_name text, p_set boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_changed boolean;
BEGIN
    IF p_set THEN
        INSERT INTO switches (kind, name) VALUES (p_kind, p_name) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM switches WHERE kind = p_kind AND name = p_name;
    END IF;
    v_changed := FOUND;
    IF v_changed THEN
        PERFORM nextval('pulse'), tell(p_origin, 'x');
    END IF;
    RETURN v_changed;
END $$;

-- A consumer lives; those that did not say so in time are forgotten.
CREATE FUNCTION heartbeat(p_now bigint, p_id text, p_info text, p_ttl bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
BEGIN
    DELETE FROM consumers WHERE id IN (
        SELECT c.id FROM consumers c WHERE c.until <= v_now AND c.id <> p_id FOR UPDATE SKIP LOCKED);
    INSERT INTO consumers (id, info, seen_at, until) VALUES (p_id, p_info, v_now, later(v_now, p_ttl))
    ON CONFLICT (id) DO UPDATE SET info = excluded.info, seen_at = excluded.seen_at, until = excluded.until;
END $$;

-- The due time of the run that waits longest for a consumer.
CREATE FUNCTION oldest_queued() RETURNS bigint LANGUAGE sql AS $$
    SELECT min(h.due_at) FROM (
        SELECT c.task, c.queue FROM counts c GROUP BY c.task, c.queue HAVING sum(c.queued) > 0
    ) l CROSS JOIN generate_series(1, 3) AS w (lane) CROSS JOIN generate_series(0, 2) AS p (priority) CROSS JOIN LATERAL (
        SELECT r.due_at FROM runs r WHERE r.lane > 0 AND r.lane = w.lane AND r.queue = l.queue AND r.task = l.task
            AND r.priority = p.priority ORDER BY r.due_at LIMIT 1
    ) h
$$;
