-- Queues the runs whose time came. Those that another claim is just queueing are left to it.
CREATE FUNCTION promote(p_now bigint) RETURNS void LANGUAGE sql AS $$
    WITH due AS (
        UPDATE runs SET state = 1, lane = lane_of(ckey) WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM runs r WHERE r.state = 0 AND r.until <= p_now
            ORDER BY r.until LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING task, queue
    )
    INSERT INTO counts (task, queue, scheduled, queued)
    SELECT task, queue, -count(*), count(*) FROM due GROUP BY task, queue
$$;

-- Deals with leases that ran out; what is to be told of it.
CREATE FUNCTION expire(p_now bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run runs;
    v_error text;
    v_events text := '';
BEGIN
    FOR v_run IN
        SELECT * FROM runs r WHERE r.state = 3 AND r.until <= p_now
        ORDER BY r.until LIMIT 1000 FOR UPDATE SKIP LOCKED
    LOOP
        IF v_run.survives THEN
            UPDATE runs SET state = 2, lane = 3, progress = NULL, progress_message = NULL, waiting = NULL
            WHERE id = v_run.id;
        ELSIF v_run.cancel_requested THEN
            v_error := json_build_object('kind', 'aborted', 'message',
                format('cancelled; consumer "%s" vanished before it ended the attempt', v_run.consumer));
            PERFORM end_run(v_run, 6::smallint, true, v_error, p_now);
            v_events := v_events || format(E'f %s 6 %s\n', v_run.id, v_run.task);
            CONTINUE;
        ELSE
            v_error := json_build_object('kind', 'lost', 'message',
                format('consumer "%s" vanished: it did not extend its lease in time', v_run.consumer));
            v_run.interruptions := v_run.interruptions + 1;
            IF v_run.interruptions > v_run.max_interruptions THEN
                PERFORM end_run(v_run, 7::smallint, true, v_error, p_now);
                v_events := v_events || format(E'f %s 7 %s\n', v_run.id, v_run.task);
                CONTINUE;
            END IF;
            PERFORM keep_attempt(v_run, 4::smallint, v_error, p_now);
            UPDATE runs SET state = 1, lane = lane_of(ckey), interruptions = v_run.interruptions, error = v_error,
                progress = NULL, progress_message = NULL, waiting = NULL WHERE id = v_run.id;
            v_events := v_events || format(E'f %s 1 %s\n', v_run.id, v_run.task);
        END IF;
        INSERT INTO counts (task, queue, queued, running) VALUES (v_run.task, v_run.queue, 1, -1);
        v_events := v_events || format(E'e %s %s\n', v_run.id, v_run.task);
    END LOOP;
    RETURN v_events;
END $$;

-- The runs of one limited task that its limits let start, and those that its rate refuses: at most p_limit of each
-- slot. The caller holds the task's lock, so nobody else who keeps to limits starts any.
CREATE FUNCTION admitted(p_now bigint, p_limit integer, p_task text, p_queues text[], p_plain boolean, p_keyed boolean,
    p_most bigint, p_interval bigint, p_tolerance bigint, p_reject boolean, OUT ids uuid[], OUT priorities smallint[],
    OUT dues bigint[], OUT seqs bigint[], OUT refused boolean[], OUT waits bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_keys text[];
    v_key text;
    v_room bigint;
    v_rate bigint;
    v_arrival bigint;
    v_start bigint;
    v_run record;
    v_all boolean := false;
    v_in_reach integer;
BEGIN
    ids := '{}';
    priorities := '{}';
    dues := '{}';
    seqs := '{}';
    refused := '{}';
    IF p_keyed THEN
        -- The keys of the first runs. All keys are asked for only if these are full.
        SELECT array_agg(DISTINCT h.ckey), count(*) INTO v_keys, v_in_reach
        FROM unnest(p_queues) AS q (queue) CROSS JOIN LATERAL (
            SELECT r.ckey FROM runs r WHERE r.lane = 2 AND r.queue = q.queue AND r.task = p_task
            ORDER BY r.priority, r.due_at, r.seq LIMIT p_limit + 200) h;
        v_all := v_in_reach < p_limit + 200;
    ELSE
        v_all := true;
    END IF;
    IF p_plain THEN
        v_keys := array_append(v_keys, '');
    END IF;
    LOOP
        FOREACH v_key IN ARRAY coalesce(v_keys, '{}') LOOP
            v_room := p_limit;
            IF p_most > 0 THEN
                SELECT least(v_room, p_most - count(*)) INTO v_room
                FROM runs r WHERE r.task = p_task AND r.ckey = v_key AND r.state IN (2, 3);
                CONTINUE WHEN v_room <= 0;
            END IF;
            v_rate := v_room;
            IF p_interval IS NOT NULL THEN
                SELECT r.arrival INTO v_arrival FROM rates r WHERE r.task = p_task AND r.ckey = v_key;
                v_start := greatest(coalesce(v_arrival, 0), p_now);
                IF p_interval > 0 THEN
                    v_rate := greatest(0, least(v_room, (p_now + p_tolerance - v_start) / p_interval
                        + CASE WHEN p_now + p_tolerance < v_start THEN 0 ELSE 1 END));
                END IF;
            END IF;
            v_in_reach := 0;
            FOR v_run IN
                SELECT h.* FROM unnest(p_queues) AS q (queue) CROSS JOIN LATERAL (
                    SELECT r.id, r.priority, r.due_at, r.seq FROM runs r
                    WHERE v_key = '' AND r.lane = 1 AND r.queue = q.queue AND r.task = p_task
                    ORDER BY r.priority, r.due_at, r.seq
                    LIMIT CASE WHEN p_reject AND v_rate < v_room THEN v_rate + 1000
                        WHEN v_rate < v_room THEN v_rate + 1 ELSE v_rate END) h
                UNION ALL
                SELECT h.* FROM unnest(p_queues) AS q (queue) CROSS JOIN LATERAL (
                    SELECT r.id, r.priority, r.due_at, r.seq FROM runs r
                    WHERE v_key <> '' AND r.lane = 2 AND r.queue = q.queue AND r.task = p_task
                        AND r.ckey = v_key
                    ORDER BY r.priority, r.due_at, r.seq
                    LIMIT CASE WHEN p_reject AND v_rate < v_room THEN v_rate + 1000
                        WHEN v_rate < v_room THEN v_rate + 1 ELSE v_rate END) h
                ORDER BY priority, due_at, seq
            LOOP
                v_in_reach := v_in_reach + 1;
                IF v_in_reach > v_rate THEN
                    EXIT WHEN v_rate >= v_room;
                    IF NOT p_reject THEN
                        -- The rate lets the next one start then.
                        waits := least(waits, v_start + v_rate * p_interval - p_tolerance);
                        EXIT;
                    END IF;
                END IF;
                ids := ids || v_run.id;
                priorities := priorities || v_run.priority;
                dues := dues || v_run.due_at;
                seqs := seqs || v_run.seq;
                refused := refused || (v_in_reach > v_rate);
            END LOOP;
        END LOOP;
        EXIT WHEN v_all OR cardinality(ids) >= p_limit;
        v_all := true;
        WITH RECURSIVE keys AS (
            SELECT q.queue, h.ckey FROM unnest(p_queues) AS q (queue) CROSS JOIN LATERAL (
                SELECT r.ckey FROM runs r WHERE r.lane = 2 AND r.queue = q.queue AND r.task = p_task
                ORDER BY r.ckey LIMIT 1) h
            UNION ALL
            SELECT k.queue, h.ckey FROM keys k CROSS JOIN LATERAL (
                SELECT r.ckey FROM runs r WHERE r.lane = 2 AND r.queue = k.queue AND r.task = p_task
                    AND r.ckey > k.ckey
                ORDER BY r.ckey LIMIT 1) h
        )
        SELECT array_agg(DISTINCT k.ckey) INTO v_keys FROM keys k WHERE v_keys IS NULL OR k.ckey <> ALL (v_keys);
    END LOOP;
END $$;

-- Leases runs to a consumer. The first row has the time in created_at, when to ask again in due_at, and what
-- there is to tell of others in params; the other rows are the runs, each with the token p_token + seq.
-- p_again: the answer to this very claim may have been lost. p_most, p_intervals, p_tolerances and p_rejects are the
-- limits of p_tasks, or NULL where no task has any. p_surviving are the tasks whose executions survive.
CREATE FUNCTION claim(p_now bigint, p_token bigint, p_again boolean, p_consumer text, p_limit integer, p_lease bigint,
    p_queues text[], p_tasks text[], p_surviving text[], p_most bigint[], p_intervals bigint[], p_tolerances bigint[],
    p_rejects boolean[])
RETURNS TABLE (id uuid, seq bigint, created_at bigint, due_at bigint, started_at bigint, max_interruptions bigint,
    attempt integer, failures integer, interruptions integer, priority smallint, trigger smallint,
    cancel_requested boolean, task text, queue text, ckey text, params text, secrets text, parent uuid, root uuid,
    retry_of uuid, execution text, error text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_until bigint;
    v_due bigint;
    v_next bigint;
    v_events text := '';
    v_count integer;
    v_lanes smallint[];
    v_queues text[];
    v_tasks text[];
    v_wanted integer[];
    v_limited text[] := '{}';
    v_place integer;
    v_admitted record;
    v_ids uuid[] := '{}';
    v_priorities smallint[] := '{}';
    v_dues bigint[] := '{}';
    v_seqs bigint[] := '{}';
    v_refused boolean[] := '{}';
    v_cut record;
    v_run runs;
    v_picked tid[];
    v_more tid[];
    v_left integer := p_limit;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'claims need the isolation level "read committed", and this session has "%"',
            current_setting('transaction_isolation')
            USING ERRCODE = 'FLU01', HINT = 'ALTER ROLE ... SET default_transaction_isolation = ''read committed''';
    END IF;
    -- Whoever repeats this claim waits until it is over.
    PERFORM pg_advisory_xact_lock(p_token);
    IF p_again THEN
        SELECT array_agg(r.ctid) INTO v_picked FROM runs r WHERE r.state = 3 AND r.token - r.seq = p_token;
        IF v_picked IS NOT NULL THEN
            RETURN QUERY SELECT NULL::uuid, NULL::bigint, v_now, v_now, NULL::bigint, NULL::bigint, NULL::integer,
                NULL::integer, NULL::integer, NULL::smallint, NULL::smallint, NULL::boolean, NULL::text, NULL::text,
                NULL::text, '', NULL::text, NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::text;
            RETURN QUERY SELECT r.id, r.seq, r.created_at, r.due_at, r.started_at, r.max_interruptions, r.attempt,
                r.failures, r.interruptions, r.priority, r.trigger, r.cancel_requested, r.task, r.queue, r.ckey,
                r.params, r.secrets, r.parent, r.root, r.retry_of, r.execution, r.error
                FROM runs r WHERE r.ctid = ANY (v_picked);
            RETURN;
        END IF;
    END IF;

    SELECT r.until INTO v_until FROM runs r WHERE r.state = 3 ORDER BY r.until LIMIT 1;
    IF v_until <= v_now THEN
        v_events := expire(v_now);
        SELECT r.until INTO v_until FROM runs r WHERE r.state = 3 ORDER BY r.until LIMIT 1;
    END IF;
    SELECT r.until INTO v_due FROM runs r WHERE r.state = 0 ORDER BY r.until LIMIT 1;
    IF v_due <= v_now THEN
        PERFORM promote(v_now);
        SELECT r.until INTO v_due FROM runs r WHERE r.state = 0 ORDER BY r.until LIMIT 1;
    END IF;
    v_next := least(v_until, v_due);

    -- Where something waits that this claim may take: in which lanes of which queues and tasks. Nothing holds up what
    -- waits to be adopted.
    IF p_limit > 0 THEN
        WITH RECURSIVE found AS (
            SELECT w.lane::smallint AS lane, q.queue, h.task
            FROM generate_series(1, 3) AS w (lane) CROSS JOIN unnest(p_queues) AS q (queue) CROSS JOIN LATERAL (
                SELECT r.task FROM runs r WHERE r.lane > 0 AND r.lane = w.lane AND r.queue = q.queue
                ORDER BY r.task LIMIT 1) h
            UNION ALL
            SELECT l.lane, l.queue, h.task FROM found l CROSS JOIN LATERAL (
                SELECT r.task FROM runs r WHERE r.lane > 0 AND r.lane = l.lane AND r.queue = l.queue AND r.task > l.task
                ORDER BY r.task LIMIT 1) h
        ), lanes AS (
            SELECT l.lane, l.queue, l.task FROM found l
            WHERE l.task = ANY (p_tasks) AND (l.lane = 3 OR NOT EXISTS (
                SELECT FROM switches s WHERE (s.kind = 0 AND s.name = l.task) OR (s.kind = 1 AND s.name = l.queue)))
        )
        SELECT count(*), array_agg(l.lane), array_agg(l.queue), array_agg(l.task)
        INTO v_count, v_lanes, v_queues, v_tasks FROM lanes l;
    ELSE
        v_count := 0;
    END IF;

    IF p_most IS NOT NULL AND v_count > 0 THEN
        -- Claims of one limited task go one after the other; all take these locks in the same order.
        SELECT coalesce(array_agg(t.task ORDER BY t.task), '{}') INTO v_limited
        FROM unnest(p_tasks, p_most, p_intervals) AS t (task, most, "interval")
        WHERE (t.most > 0 OR t."interval" IS NOT NULL)
            AND EXISTS (SELECT FROM unnest(v_lanes, v_tasks) AS l (lane, task) WHERE l.lane < 3 AND l.task = t.task);
        PERFORM pg_advisory_xact_lock(k.key) FROM (
            SELECT DISTINCT hashtextextended('fluid limit ' || current_schema() || ' ' || t, 0) AS key
            FROM unnest(v_limited) AS t ORDER BY key) k;
        FOR i IN 1 .. cardinality(v_limited) LOOP
            v_place := array_position(p_tasks, v_limited[i]);
            SELECT a.* INTO v_admitted FROM (
                SELECT array_agg(DISTINCT l.queue) AS queues, bool_or(l.lane = 1) AS plain, bool_or(l.lane = 2) AS keyed
                FROM unnest(v_lanes, v_queues, v_tasks) AS l (lane, queue, task)
                WHERE l.lane < 3 AND l.task = v_limited[i]) l
            CROSS JOIN LATERAL admitted(v_now, p_limit, v_limited[i], l.queues, l.plain, l.keyed, p_most[v_place],
                p_intervals[v_place], p_tolerances[v_place], p_rejects[v_place]) a;
            v_ids := v_ids || v_admitted.ids;
            v_priorities := v_priorities || v_admitted.priorities;
            v_dues := v_dues || v_admitted.dues;
            v_seqs := v_seqs || v_admitted.seqs;
            v_refused := v_refused || v_admitted.refused;
            v_next := least(v_next, v_admitted.waits);
        END LOOP;
    END IF;

    -- How many come from each lane, and which of the limited runs, if all that waits goes in the one order.
    IF v_count > 1 OR v_limited <> '{}' THEN
        WITH lanes AS MATERIALIZED (
            SELECT l.* FROM unnest(v_lanes, v_queues, v_tasks) WITH ORDINALITY AS l (lane, queue, task, place)
            WHERE l.lane = 3 OR l.task <> ALL (v_limited)
        ), waiting AS (
            SELECT l.place, h.*, NULL::uuid AS id FROM lanes l CROSS JOIN LATERAL (
                SELECT r.priority, r.due_at, r.seq FROM runs r
                WHERE r.lane > 0 AND r.lane = l.lane AND r.queue = l.queue AND r.task = l.task
                ORDER BY r.priority, r.due_at, r.seq LIMIT p_limit) h
            UNION ALL
            SELECT 0, a.priority, a.due_at, a.seq, a.id
            FROM unnest(v_priorities, v_dues, v_seqs, v_ids, v_refused) AS a (priority, due_at, seq, id, refused)
            WHERE NOT a.refused
        ), first AS MATERIALIZED (
            SELECT * FROM waiting w ORDER BY w.priority, w.due_at, w.seq LIMIT p_limit
        ), counted AS (
            SELECT l.lane, l.queue, l.task, count(f.seq) AS wanted
            FROM lanes l JOIN first f ON f.place = l.place GROUP BY l.lane, l.queue, l.task
        )
        SELECT (SELECT count(*) FROM first) AS found, c.*, l.*,
            (SELECT array_agg(f.id) FROM first f WHERE f.id IS NOT NULL) AS ids
        INTO v_cut
        FROM (SELECT array_agg(c.lane) AS lanes, array_agg(c.queue) AS queues, array_agg(c.task) AS tasks,
                array_agg(c.wanted::integer) AS wanted FROM counted c) c
        LEFT JOIN (SELECT f.priority, f.due_at, f.seq FROM first f
                ORDER BY f.priority DESC, f.due_at DESC, f.seq DESC LIMIT 1) l ON true;
        IF v_limited <> '{}' AND true = ANY (v_refused) THEN
            -- Refused is what comes before the last that is taken, or everything if there is room for all.
            FOR v_run IN
                SELECT r.* FROM runs r WHERE r.id = ANY (ARRAY(
                    SELECT a.id FROM unnest(v_ids, v_priorities, v_dues, v_seqs, v_refused)
                        AS a (id, priority, due_at, seq, refused)
                    WHERE a.refused AND (v_cut.found < p_limit
                        OR (a.priority, a.due_at, a.seq) < (v_cut.priority, v_cut.due_at, v_cut.seq))))
                    AND r.state + 0 = 1
                FOR UPDATE SKIP LOCKED
            LOOP
                PERFORM end_run(v_run, 8::smallint, false, v_run.error, v_now);
                v_events := v_events || format(E'f %s 8 %s\n', v_run.id, v_run.task);
            END LOOP;
        END IF;
        v_lanes := coalesce(v_cut.lanes, '{}');
        v_queues := coalesce(v_cut.queues, '{}');
        v_tasks := coalesce(v_cut.tasks, '{}');
        v_wanted := coalesce(v_cut.wanted, '{}');
        v_count := cardinality(v_lanes);
        IF v_cut.ids IS NOT NULL THEN
            SELECT array_agg(h.at) INTO v_picked FROM (
                SELECT r.ctid AS at FROM runs r WHERE r.id = ANY (v_cut.ids) AND r.state + 0 = 1
                FOR UPDATE SKIP LOCKED) h;
            v_left := v_left - coalesce(cardinality(v_picked), 0);
            -- Whoever starts something uses up the rate.
            INSERT INTO rates AS a (task, ckey, arrival)
            SELECT s.task, s.ckey, greatest(v_now, coalesce(
                (SELECT o.arrival FROM rates o WHERE o.task = s.task AND o.ckey = s.ckey), 0)) + s.n * s."interval"
            FROM (
                SELECT r.task, r.ckey, count(*) AS n, min(t."interval") AS "interval"
                FROM runs r JOIN unnest(p_tasks, p_intervals) AS t (task, "interval") ON t.task = r.task
                WHERE r.ctid = ANY (v_picked) AND t."interval" IS NOT NULL GROUP BY r.task, r.ckey) s
            ON CONFLICT (task, ckey) DO UPDATE SET arrival = excluded.arrival;
        END IF;
    ELSIF v_count = 1 THEN
        v_wanted := ARRAY[p_limit];
    END IF;

    -- Passes over what other claims are just taking; what a lane lacks because of them is looked for once more.
    FOR round IN 1 .. 3 LOOP
        EXIT WHEN v_count = 0 OR v_left <= 0;
        FOR i IN 1 .. v_count LOOP
            CONTINUE WHEN v_wanted[i] = 0 OR v_left <= 0;
            v_more := ARRAY(SELECT r.ctid FROM runs r
                WHERE r.lane > 0 AND r.lane = v_lanes[i] AND r.queue = v_queues[i] AND r.task = v_tasks[i]
                ORDER BY r.priority, r.due_at, r.seq LIMIT least(v_wanted[i], v_left) FOR UPDATE SKIP LOCKED);
            v_left := v_left - cardinality(v_more);
            -- A lane that had less than it should has nothing more.
            v_wanted[i] := CASE WHEN cardinality(v_more) < v_wanted[i] THEN 0 ELSE p_limit END;
            v_picked := v_picked || v_more;
        END LOOP;
        EXIT WHEN v_count = 1;
    END LOOP;

    IF v_picked <> '{}' THEN
        -- What made room for these runs may have ended while this claim waited for others. They start now, and their
        -- leases last from now on.
        v_now := greatest(v_now, coalesce(p_now, clock_us()));
        v_next := least(v_next, later(v_now, p_lease));
    END IF;
    RETURN QUERY SELECT NULL::uuid, NULL::bigint, v_now, v_next, NULL::bigint, NULL::bigint, NULL::integer,
        NULL::integer, NULL::integer, NULL::smallint, NULL::smallint, NULL::boolean, NULL::text, NULL::text,
        NULL::text, v_events, NULL::text, NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::text;
    IF v_picked <> '{}' THEN
        RETURN QUERY WITH leased AS (
            UPDATE runs AS r SET state = 3, lane = 0, attempt = r.attempt + (r.state = 1)::integer,
                started_at = CASE WHEN r.state = 1 THEN v_now ELSE r.started_at END,
                execution = CASE WHEN r.state = 1 THEN NULL ELSE r.execution END,
                until = later(v_now, p_lease), token = p_token + r.seq, consumer = p_consumer,
                survives = p_surviving IS NOT NULL AND r.task = ANY (p_surviving)
            WHERE r.ctid = ANY (v_picked)
            RETURNING r.id, r.seq, r.created_at, r.due_at, r.started_at, r.max_interruptions, r.attempt,
                r.failures, r.interruptions, r.priority, r.trigger, r.cancel_requested, r.task, r.queue, r.ckey,
                r.params, r.secrets, r.parent, r.root, r.retry_of, r.execution, r.error
        ), counted AS (
            INSERT INTO counts (task, queue, queued, running)
            SELECT l.task, l.queue, -count(*), count(*) FROM leased l GROUP BY l.task, l.queue
        )
        SELECT * FROM leased;
        PERFORM beat(v_now);
    ELSIF v_events <> '' THEN
        PERFORM nextval('pulse');
    END IF;
END $$;
