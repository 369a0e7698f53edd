-- Inserts runs, in the order of p_ids, all of which differ. A list that is NULL stands for as many defaults; p_task
-- is the task of all where p_tasks is NULL. p_due is an instant, p_after a duration from now; neither means now.
-- p_least is the smallest id. Unless it is p_careful, which costs a third more, a run that is there already is an
-- error, unique_violation. Whoever listens is told in the caller's transaction if there is a p_origin.
-- Answers with those that were not inserted, and the run that each of them duplicates.
CREATE FUNCTION enqueue(p_now bigint, p_origin text, p_tidy boolean, p_careful boolean, p_least uuid, p_ids uuid[], p_task text,
    p_tasks text[], p_queues text[], p_priorities smallint[], p_params text[], p_secrets text[], p_due bigint[],
    p_after bigint[], p_triggers smallint[], p_parents uuid[], p_roots uuid[], p_retry_of uuid[], p_keys text[],
    p_windows bigint[], p_ckeys text[], p_max_interruptions bigint[])
RETURNS TABLE (run uuid, holder uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_new uuid[];
    v_old uuid[];
    v_key record;
    v_holder uuid;
BEGIN
    IF p_careful THEN
        WITH added AS (
            INSERT INTO runs (created_at, due_at, until, max_interruptions, id, state, lane, priority, trigger, task, queue,
                ckey, params, secrets, unique_key, parent, root, retry_of)
            SELECT v_now, coalesce(n.due, later(v_now, n.after), v_now),
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN coalesce(n.due, later(v_now, n.after)) END,
                coalesce(n.max_interruptions, 3), n.id,
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN 0 ELSE 1 END,
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN 0 ELSE lane_of(coalesce(n.ckey, '')) END,
                coalesce(n.priority, 1), coalesce(n.trigger, 0), coalesce(n.task, p_task), coalesce(n.queue, 'default'),
                coalesce(n.ckey, ''), coalesce(n.params, '{}'), n.secrets, n.key, n.parent, n.root, n.retry_of
            FROM unnest(p_ids, p_tasks, p_queues, p_priorities, p_params, p_secrets, p_due, p_after, p_triggers, p_parents,
                p_roots, p_retry_of, p_keys, p_ckeys, p_max_interruptions)
                AS n (id, task, queue, priority, params, secrets, due, after, trigger, parent, root, retry_of, key, ckey,
                    max_interruptions)
            ON CONFLICT (id) DO NOTHING
            RETURNING id, task, queue, state
        ), counted AS (
            INSERT INTO counts (task, queue, scheduled, queued)
            SELECT task, queue, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1)
            FROM added GROUP BY task, queue
        )
        SELECT array_agg(id) INTO v_new FROM added;
    ELSE
        WITH added AS (
            INSERT INTO runs (created_at, due_at, until, max_interruptions, id, state, lane, priority, trigger, task, queue,
                ckey, params, secrets, unique_key, parent, root, retry_of)
            SELECT v_now, coalesce(n.due, later(v_now, n.after), v_now),
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN coalesce(n.due, later(v_now, n.after)) END,
                coalesce(n.max_interruptions, 3), n.id,
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN 0 ELSE 1 END,
                CASE WHEN coalesce(n.due > v_now, n.after > 0, false) THEN 0 ELSE lane_of(coalesce(n.ckey, '')) END,
                coalesce(n.priority, 1), coalesce(n.trigger, 0), coalesce(n.task, p_task), coalesce(n.queue, 'default'),
                coalesce(n.ckey, ''), coalesce(n.params, '{}'), n.secrets, n.key, n.parent, n.root, n.retry_of
            FROM unnest(p_ids, p_tasks, p_queues, p_priorities, p_params, p_secrets, p_due, p_after, p_triggers, p_parents,
                p_roots, p_retry_of, p_keys, p_ckeys, p_max_interruptions)
                AS n (id, task, queue, priority, params, secrets, due, after, trigger, parent, root, retry_of, key, ckey,
                    max_interruptions)
            RETURNING task, queue, state
        ), counted AS (
            INSERT INTO counts (task, queue, scheduled, queued)
            SELECT task, queue, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1)
            FROM added GROUP BY task, queue
        )
        SELECT p_ids INTO v_new;
    END IF;

    IF coalesce(cardinality(v_new), 0) < cardinality(p_ids) THEN
        RETURN QUERY SELECT i, i FROM unnest(p_ids) AS i EXCEPT SELECT i, i FROM unnest(v_new) AS i;
    END IF;
    -- What was inserted and is finished already was enqueued before. Looked at after the insertion, nothing slips
    -- through between the two tables.
    IF (SELECT f.id FROM finished f ORDER BY f.id DESC LIMIT 1) >= p_least THEN
        SELECT array_agg(f.id) INTO v_old FROM finished f WHERE f.id = ANY (v_new);
        IF v_old IS NOT NULL THEN
            PERFORM take_back(v_old);
            RETURN QUERY SELECT i, i FROM unnest(v_old) AS i;
        END IF;
    END IF;

    IF p_keys IS NOT NULL THEN
        -- All take keys in the same order, so that none waits for another in a circle.
        FOR v_key IN
            SELECT n.id, coalesce(n.task, p_task) AS task, n.key, later(v_now, n.window) AS until
            FROM unnest(p_ids, p_tasks, p_keys, p_windows) WITH ORDINALITY AS n (id, task, key, "window", place)
            WHERE n.key IS NOT NULL AND n.id = ANY (v_new) AND (v_old IS NULL OR n.id <> ALL (v_old))
            ORDER BY coalesce(n.task, p_task) COLLATE "C", n.key COLLATE "C", n.place
        LOOP
            -- A key that is held now is left alone: the end of its run must not wait for this transaction.
            SELECT u.run INTO v_holder FROM uniques u WHERE u.task = v_key.task AND u.key = v_key.key
                AND (NOT u.finished OR u.until > v_now);
            IF NOT FOUND THEN
                INSERT INTO uniques AS u (task, key, run, until) VALUES (v_key.task, v_key.key, v_key.id, v_key.until)
                ON CONFLICT (task, key) DO UPDATE SET run = excluded.run, until = excluded.until, finished = false
                    WHERE u.finished AND (u.until IS NULL OR u.until <= v_now);
                CONTINUE WHEN FOUND;
                SELECT u.run INTO v_holder FROM uniques u WHERE u.task = v_key.task AND u.key = v_key.key;
            END IF;
            PERFORM take_back(ARRAY[v_key.id]);
            run := v_key.id;
            holder := v_holder;
            RETURN NEXT;
            v_new := array_remove(v_new, v_key.id);
        END LOOP;
    END IF;

    IF p_tidy THEN
        PERFORM beat(v_now);
    ELSE
        PERFORM nextval('pulse');
    END IF;
    IF p_origin IS NOT NULL AND v_new IS NOT NULL THEN
        PERFORM tell(p_origin, string_agg('e ' || t.id || ' ' || t.task, E'\n')) FROM (
            SELECT DISTINCT ON (r.task) r.task, r.id FROM runs r WHERE r.id = ANY (v_new) ORDER BY r.task) t
        HAVING count(*) > 0;
    END IF;
END $$;

-- Undoes the insertion of runs by this transaction.
CREATE FUNCTION take_back(p_ids uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM runs WHERE id = ANY (p_ids) RETURNING task, queue, state)
    INSERT INTO counts (task, queue, scheduled, queued)
    SELECT task, queue, -count(*) FILTER (WHERE state = 0), -count(*) FILTER (WHERE state = 1)
    FROM gone GROUP BY task, queue
$$;

-- The same for any client: p_runs is a JSON array of objects, see the crate's page on transactional enqueue.
CREATE FUNCTION enqueue_json(p_runs text) RETURNS TABLE (run uuid, holder uuid) LANGUAGE sql AS $$
    WITH given AS (
        SELECT row_number() OVER (PARTITION BY n.id ORDER BY o.place) AS nth, o.place, n.*
        FROM json_array_elements(p_runs::json) WITH ORDINALITY AS o (run, place)
        CROSS JOIN LATERAL json_to_record(o.run) AS n (id uuid, task text, queue text, priority smallint, params text,
            secrets text, due_at bigint, after bigint, trigger smallint, parent uuid, root uuid, retry_of uuid,
            unique_key text, unique_window bigint, concurrency_key text, max_interruptions bigint)
    ), listed AS (
        SELECT array_agg(id ORDER BY place) AS ids, array_agg(task ORDER BY place) AS tasks,
            array_agg(queue ORDER BY place) AS queues, array_agg(priority ORDER BY place) AS priorities,
            array_agg(params ORDER BY place) AS params, array_agg(secrets ORDER BY place) AS secrets,
            array_agg(due_at ORDER BY place) AS due, array_agg(after ORDER BY place) AS after,
            array_agg(trigger ORDER BY place) AS triggers, array_agg(parent ORDER BY place) AS parents,
            array_agg(root ORDER BY place) AS roots, array_agg(retry_of ORDER BY place) AS retry_of,
            CASE WHEN count(unique_key) > 0 THEN array_agg(unique_key ORDER BY place) END AS keys,
            array_agg(unique_window ORDER BY place) AS windows, array_agg(concurrency_key ORDER BY place) AS ckeys,
            array_agg(max_interruptions ORDER BY place) AS max_interruptions, (array_agg(id ORDER BY id))[1] AS least
        FROM given WHERE nth = 1
    )
    SELECT e.run, e.holder FROM listed l CROSS JOIN LATERAL enqueue(NULL, '-', false, true, l.least, l.ids, NULL, l.tasks,
        l.queues, l.priorities, l.params, l.secrets, l.due, l.after, l.triggers, l.parents, l.roots, l.retry_of, l.keys,
        l.windows, l.ckeys, l.max_interruptions) e WHERE l.ids IS NOT NULL
$$;

-- Fires ticks, in the order of task and instant, none of them twice. What became of each: 0 fired before, 1 fired,
-- 2 disabled; and the run that stands for it.
CREATE FUNCTION tick(p_now bigint, p_origin text, p_again boolean, p_tasks text[], p_instants bigint[], p_ids uuid[],
    p_run_tasks text[], p_queues text[], p_priorities smallint[], p_params text[], p_secrets text[], p_due bigint[],
    p_after bigint[], p_triggers smallint[], p_parents uuid[], p_roots uuid[], p_retry_of uuid[], p_keys text[],
    p_windows bigint[], p_ckeys text[], p_max_interruptions bigint[], OUT whats smallint[], OUT runs uuid[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
    v_holder uuid;
BEGIN
    whats := '{}';
    runs := '{}';
    FOR i IN 1 .. cardinality(p_tasks) LOOP
        INSERT INTO ticks (task, instant, seen_at, run) VALUES (p_tasks[i], p_instants[i], v_now, p_ids[i])
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            PERFORM FROM ticks t
            WHERE p_again AND t.task = p_tasks[i] AND t.instant = p_instants[i] AND t.run = p_ids[i];
            whats := whats || FOUND::int::smallint;
            runs := runs || p_ids[i];
        ELSIF EXISTS (SELECT FROM switches s WHERE s.kind = 0 AND s.name = p_tasks[i]) THEN
            UPDATE ticks SET run = NULL WHERE task = p_tasks[i] AND instant = p_instants[i];
            whats := whats || 2::smallint;
            runs := runs || p_ids[i];
        ELSE
            SELECT e.holder INTO v_holder FROM enqueue(v_now, p_origin, true, true, p_ids[i], p_ids[i : i], p_run_tasks[i],
                NULL, p_queues[i : i], p_priorities[i : i], p_params[i : i], p_secrets[i : i], p_due[i : i],
                p_after[i : i], p_triggers[i : i], p_parents[i : i], p_roots[i : i], p_retry_of[i : i],
                CASE WHEN p_keys[i] IS NOT NULL THEN p_keys[i : i] END, p_windows[i : i], p_ckeys[i : i],
                p_max_interruptions[i : i]) e;
            whats := whats || 1::smallint;
            runs := runs || coalesce(v_holder, p_ids[i]);
        END IF;
    END LOOP;
    -- After a week a tick is forgotten, but not the latest of its task.
    DELETE FROM ticks WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM ticks t
        WHERE t.seen_at < v_now - 7::bigint * 86400 * 1000000
            AND (SELECT l.instant FROM ticks l WHERE l.task = t.task ORDER BY l.instant DESC LIMIT 1) > t.instant
        ORDER BY t.seen_at LIMIT 100 FOR UPDATE SKIP LOCKED));
END $$;

-- Enqueues finished runs once more, in the order of p_ids, under ids that count up from p_base.
CREATE FUNCTION once_more(p_now bigint, p_origin text, p_again boolean, p_base uuid, p_ids uuid[],
    OUT ids uuid[], OUT tasks text[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := coalesce(p_now, clock_us());
BEGIN
    IF p_again THEN
        -- The base ends in zeros, and nobody else counts up from it.
        SELECT array_agg(r.id ORDER BY r.id), array_agg(r.task ORDER BY r.id) INTO ids, tasks FROM (
            SELECT id, task FROM runs WHERE id BETWEEN p_base AND (left(p_base::text, 28) || 'ffffffff')::uuid
            UNION ALL
            SELECT id, task FROM finished WHERE id BETWEEN p_base AND (left(p_base::text, 28) || 'ffffffff')::uuid
        ) r;
        IF ids IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    WITH added AS (
        INSERT INTO runs (created_at, due_at, max_interruptions, id, state, lane, priority, trigger, task, queue, ckey,
            params, secrets, parent, root, retry_of)
        SELECT v_now, v_now, f.max_interruptions,
            (left(p_base::text, 28) || lpad(to_hex(o.place - 1), 8, '0'))::uuid,
            1, lane_of(f.ckey), f.priority, 3, f.task, f.queue, f.ckey, f.params, f.secrets, f.parent, f.root, f.id
        FROM unnest(p_ids) WITH ORDINALITY AS o (id, place)
        CROSS JOIN LATERAL (SELECT * FROM finished f WHERE f.id = o.id OFFSET 0) f
        RETURNING id, task, queue
    ), counted AS (
        INSERT INTO counts (task, queue, queued) SELECT task, queue, count(*) FROM added GROUP BY task, queue
    )
    SELECT array_agg(id ORDER BY id), array_agg(task ORDER BY id) INTO ids, tasks FROM added;
    PERFORM beat(v_now);
    IF ids IS NOT NULL THEN
        PERFORM tell(p_origin, 'x');
    END IF;
END $$;
