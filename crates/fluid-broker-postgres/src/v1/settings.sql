-- Functions that are called from outside find their tables wherever the caller looks, and never plan to read a whole
-- table that was small when they were first called.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
            AND p.proname IN ('append_logs', 'cancel', 'claim', 'enqueue', 'enqueue_json', 'extend', 'finish',
                'heartbeat', 'oldest_queued', 'once_more', 'purge', 'report', 'switch', 'take_over', 'tick')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path FROM CURRENT', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_bitmapscan = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_sort = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_mergejoin = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function);
        EXECUTE format('ALTER FUNCTION %s SET jit = off', v_function);
    END LOOP;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION %s SET enable_nestloop = off',
        (SELECT p.oid::regprocedure FROM pg_proc p
         WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = 'finish'));
END $$;
