-- Writes news of running attempts, in their order.
CREATE FUNCTION report(p_ids uuid[], p_tokens bigint[], p_progress double precision[], p_messages text[],
    p_executions text[], p_tells_waiting boolean[], p_waiting text[]) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_ids) LOOP
        UPDATE runs AS r SET progress = coalesce(p_progress[i], r.progress),
            progress_message = CASE WHEN p_progress[i] IS NULL THEN r.progress_message ELSE p_messages[i] END,
            execution = coalesce(p_executions[i], r.execution),
            waiting = CASE WHEN p_tells_waiting[i] THEN p_waiting[i] ELSE r.waiting END
        WHERE r.id = p_ids[i] AND r.token = p_tokens[i] AND r.state + 0 = 3;
        IF FOUND THEN
            RETURN NEXT p_ids[i];
        END IF;
    END LOOP;
    PERFORM nextval('pulse');
END $$;

-- Extends leases: those that are held, and whether somebody asked to cancel.
CREATE FUNCTION extend(p_now bigint, p_ids uuid[], p_tokens bigint[], p_lease bigint)
RETURNS TABLE (run uuid, held_by bigint, cancel boolean) LANGUAGE sql AS $$
    -- state + 0: found by its id, and not by an index that looks small to the planner.
    UPDATE runs AS r SET until = later(coalesce(p_now, clock_us()), p_lease)
    WHERE r.id = ANY (p_ids) AND r.state + 0 = 3
        AND ((r.id, r.token) IN (SELECT * FROM unnest(p_ids, p_tokens))) IS TRUE
    RETURNING r.id, r.token, r.cancel_requested
$$;

-- Ends attempts, all of different runs, in the order of their ids; answers with those whose lease was held. p_kinds: 0
-- success, 1 retry, 2 failure, 3 aborted, 4 released; NULL where all are successes. p_cancel_errors are told of retries
-- and releases of runs that somebody asked to cancel. News that came before are written first. Unless it is p_careful,
-- which costs an eighth more, an attempt of the same run that another holds is an error, FLU02.
CREATE FUNCTION finish(p_now bigint, p_again boolean, p_careful boolean, p_ids uuid[], p_tokens bigint[],
    p_kinds smallint[], p_results text[], p_errors text[], p_cancel_errors text[], p_after bigint[], p_report_ids uuid[],
    p_report_tokens bigint[], p_progress double precision[], p_messages text[], p_executions text[],
    p_tells_waiting boolean[], p_waiting text[],
    OUT ids uuid[], OUT tokens bigint[], OUT states smallint[], OUT tasks text[], OUT told uuid[], OUT now bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_kinds smallint[] := p_kinds;
    v_errors text[] := p_errors;
    v_end record;
    v_run runs;
    v_state smallint;
    v_ids uuid[];
    v_tokens bigint[];
    v_states smallint[];
    v_tasks text[];
    v_keyed uuid[];
    v_foreign boolean;
BEGIN
    now := coalesce(p_now, clock_us());
    ids := '{}';
    tokens := '{}';
    states := '{}';
    tasks := '{}';
    IF p_report_ids IS NOT NULL THEN
        told := ARRAY(SELECT report(p_report_ids, p_report_tokens, p_progress, p_messages, p_executions,
            p_tells_waiting, p_waiting));
    END IF;

    IF p_kinds && '{1,4}' THEN
        PERFORM FROM runs r WHERE r.id = ANY (p_ids) FOR UPDATE;
        FOR v_end IN
            SELECT * FROM unnest(p_ids, p_tokens, p_kinds, p_errors, p_cancel_errors, p_after) WITH ORDINALITY
                AS e (id, token, kind, error, cancel_error, after, place) WHERE e.kind IN (1, 4)
        LOOP
            SELECT * INTO v_run FROM runs r WHERE r.id = v_end.id AND r.token = v_end.token AND r.state + 0 = 3;
            CONTINUE WHEN NOT FOUND;
            IF v_end.kind = 4 AND v_run.survives THEN
                v_state := 2;
                UPDATE runs SET state = 2, lane = 3, progress = NULL, progress_message = NULL, waiting = NULL
                WHERE id = v_run.id;
            ELSIF v_run.cancel_requested THEN
                v_kinds[v_end.place] := 3;
                v_errors[v_end.place] := v_end.cancel_error;
                CONTINUE;
            ELSIF v_end.kind = 4 THEN
                v_state := 1;
                PERFORM keep_attempt(v_run, 5::smallint, NULL, now);
                UPDATE runs SET state = 1, lane = lane_of(ckey), progress = NULL, progress_message = NULL, waiting = NULL
                WHERE id = v_run.id;
            ELSE
                v_state := CASE WHEN v_end.after = 0 THEN 1 ELSE 0 END;
                PERFORM keep_attempt(v_run, 2::smallint, v_end.error, now);
                UPDATE runs SET state = v_state, lane = CASE v_state WHEN 0 THEN 0 ELSE lane_of(ckey) END,
                    due_at = later(now, v_end.after), until = later(now, v_end.after), failures = v_run.failures + 1,
                    error = v_end.error, progress = NULL, progress_message = NULL, waiting = NULL
                WHERE id = v_run.id;
            END IF;
            INSERT INTO counts (task, queue, scheduled, queued, running)
            VALUES (v_run.task, v_run.queue, (v_state = 0)::int, (v_state <> 0)::int, -1);
            ids := ids || v_run.id;
            tokens := tokens || v_run.token;
            states := states || v_state;
            tasks := tasks || v_run.task;
        END LOOP;
    END IF;

    WITH ends AS MATERIALIZED (
        SELECT * FROM unnest(p_ids, p_tokens, v_kinds, p_results, v_errors) AS e (id, token, kind, result, error)
    ), gone AS (
        DELETE FROM runs AS r WHERE r.id = ANY (p_ids) AND r.state + 0 = 3
            AND (NOT p_careful OR ((r.id, r.token) IN (SELECT * FROM unnest(p_ids, p_tokens))) IS TRUE)
        RETURNING *
    ), ended AS (
        INSERT INTO finished (created_at, due_at, started_at, ended_at, token, max_interruptions, id, attempt,
            failures, interruptions, state, priority, trigger, by_attempt, task, queue, ckey, params, consumer, secrets,
            unique_key, parent, root, retry_of, execution, result, error)
        SELECT g.created_at, g.due_at, g.started_at, now, g.token, g.max_interruptions, g.id, g.attempt,
            g.failures + coalesce(e.kind = 2, false)::integer, g.interruptions,
            CASE e.kind WHEN 2 THEN 5 WHEN 3 THEN 6 ELSE 4 END, g.priority, g.trigger, true, g.task, g.queue, g.ckey,
            g.params, g.consumer, g.secrets, g.unique_key, g.parent, g.root, g.retry_of, g.execution, e.result, e.error
        FROM gone g JOIN ends e ON e.id = g.id AND e.token = g.token
        RETURNING id, token, state, task, queue, unique_key
    ), counted AS (
        INSERT INTO counts (task, queue, running, success, failure, aborted)
        SELECT e.task, e.queue, -count(*), count(*) FILTER (WHERE e.state = 4), count(*) FILTER (WHERE e.state = 5),
            count(*) FILTER (WHERE e.state = 6)
        FROM ended e GROUP BY e.task, e.queue
    )
    SELECT array_agg(e.id), array_agg(e.token), array_agg(e.state), array_agg(e.task),
        array_agg(e.id) FILTER (WHERE e.unique_key IS NOT NULL), count(*) <> (SELECT count(*) FROM gone)
    INTO v_ids, v_tokens, v_states, v_tasks, v_keyed, v_foreign FROM ended e;
    IF v_foreign THEN
        RAISE EXCEPTION 'another attempt goes on than the one that ends' USING ERRCODE = 'FLU02';
    END IF;
    IF v_keyed IS NOT NULL THEN
        PERFORM free_key(f.task, f.unique_key, f.id, now) FROM (
            SELECT f.task, f.unique_key, f.id FROM finished f WHERE f.id = ANY (v_keyed)
            ORDER BY f.task, f.unique_key) f;
    END IF;
    IF v_ids IS NOT NULL THEN
        ids := ids || v_ids;
        tokens := tokens || v_tokens;
        states := states || v_states;
        tasks := tasks || v_tasks;
    END IF;
    PERFORM beat(now);

    IF p_again THEN
        -- What the first try wrote, whose answer was lost.
        SELECT array_agg(w.id), array_agg(w.token), array_agg(w.state), array_agg(w.task)
        INTO v_ids, v_tokens, v_states, v_tasks
        FROM (
            SELECT e.id, e.token, w.state, w.task FROM unnest(p_ids, p_tokens, coalesce(p_kinds,
                array_fill(0::smallint, ARRAY[cardinality(p_ids)]))) AS e (id, token, kind)
            CROSS JOIN LATERAL (
                SELECT f.state, f.task FROM finished f WHERE f.id = e.id AND f.token = e.token AND f.by_attempt
                    AND f.state <> 7
                UNION ALL
                SELECT r.state, r.task FROM runs r WHERE r.id = e.id AND e.kind IN (1, 4)
                    AND ((r.state = 2 AND r.token = e.token) OR EXISTS (
                        SELECT FROM attempts a WHERE a.run = e.id AND a.token = e.token AND a.outcome IN (2, 5)))
                UNION ALL
                SELECT f.state, f.task FROM finished f WHERE f.id = e.id AND e.kind IN (1, 4) AND EXISTS (
                    SELECT FROM attempts a WHERE a.run = e.id AND a.token = e.token AND a.outcome IN (2, 5))
                LIMIT 1) w
            WHERE e.token <> ALL (tokens)
        ) w;
        IF v_ids IS NOT NULL THEN
            ids := ids || v_ids;
            tokens := tokens || v_tokens;
            states := states || v_states;
            tasks := tasks || v_tasks;
        END IF;
    END IF;
END $$;

-- Cancels a run: 0 there is none, 1 aborted, 2 requested now, 3 requested before, 4 finished before; and its state.
CREATE FUNCTION cancel(p_now bigint, p_origin text, p_again boolean, p_id uuid,
    OUT what smallint, OUT state smallint, OUT task text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_run runs;
BEGIN
    what := 0;
    SELECT * INTO v_run FROM runs r WHERE r.id = p_id FOR UPDATE;
    IF FOUND THEN
        task := v_run.task;
        IF v_run.state < 2 THEN
            what := 1;
            state := 6;
            PERFORM end_run(v_run, 6::smallint, false, json_build_object('kind', 'aborted', 'message',
                'cancelled before ' || CASE WHEN v_run.attempt = 0 THEN 'it started' ELSE 'its next attempt' END)::text,
                v_now);
            PERFORM beat(v_now), tell(p_origin, format('f %s 6 %s', p_id, task));
        ELSIF v_run.cancel_requested THEN
            what := 3;
        ELSE
            what := 2;
            UPDATE runs SET cancel_requested = true WHERE id = p_id;
            PERFORM nextval('pulse'), tell(p_origin, 'c ' || p_id);
        END IF;
        RETURN;
    END IF;
    SELECT f.state, f.task, CASE WHEN p_again AND f.state = 6 THEN 1 ELSE 4 END INTO state, task, what
    FROM finished f WHERE f.id = p_id;
    what := coalesce(what, 0);
END $$;
