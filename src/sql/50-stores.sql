/*
 * Stores: settings, token, pause and resume.
 */

/* An argument left out, or NULL, leaves the setting as it is. */
CREATE FUNCTION bcpaid.set_store(store_id integer DEFAULT NULL, name text DEFAULT NULL, hash text DEFAULT NULL,
                                 mark_order_as_paid boolean DEFAULT NULL,
                                 payment_states text[] DEFAULT NULL, offline_methods text[] DEFAULT NULL,
                                 tolerance numeric DEFAULT NULL, strategy text DEFAULT NULL,
                                 quota_reserve real DEFAULT NULL) RETURNS integer
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    clean_hash text := lower(btrim(set_store.hash));
    was_on boolean;
    is_on boolean;
    this_id integer := coalesce(set_store.store_id, nextval('bcpaid.store_id_seq'));
    before integer;
BEGIN
    PERFORM bcpaid.check_owner();
    IF NOT EXISTS (SELECT FROM bcpaid.attachment) THEN
        RAISE EXCEPTION 'bcpaid is not attached in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run SELECT bcpaid.attach() first.';
    END IF;
    IF clean_hash !~ '^[a-z0-9]{1,64}$' THEN
        RAISE EXCEPTION 'invalid store hash'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A store hash is made of lower-case letters and digits.',
                  HINT = 'It is the part after /stores/ in the API path that BigCommerce shows with the access token.';
    END IF;
    IF NOT set_store.payment_states <@ '{paid,in_payment,partial,blocked,invoicing_legacy}' THEN
        RAISE EXCEPTION 'unknown payment state in %', set_store.payment_states
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use ''{paid}'' or ''{paid,in_payment}''.';
    END IF;
    IF set_store.strategy NOT IN ('transaction', 'transaction_then_status', 'status') THEN
        RAISE EXCEPTION 'unknown strategy "%"', set_store.strategy
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use transaction, transaction_then_status or status.';
    END IF;
    IF set_store.tolerance < 0 OR set_store.quota_reserve < 0 OR set_store.quota_reserve >= 1 THEN
        RAISE EXCEPTION 'tolerance or quota_reserve is out of range'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'tolerance is an amount, 0 or more; quota_reserve is a share, from 0 to less than 1.';
    END IF;
    PERFORM bcpaid.check_connector_store(set_store.store_id);

    SELECT s.mark_order_as_paid INTO was_on FROM bcpaid.store s WHERE s.id = set_store.store_id FOR UPDATE;
    IF set_store.store_id IS NOT NULL AND NOT FOUND AND set_store.store_id >= nextval('bcpaid.store_id_seq') THEN
        PERFORM setval('bcpaid.store_id_seq', set_store.store_id);
    END IF;
    INSERT INTO bcpaid.store AS s (id) VALUES (this_id) ON CONFLICT DO NOTHING;
    UPDATE bcpaid.store s
       SET profile = (SELECT a.profile FROM bcpaid.attachment a),
           name = coalesce(set_store.name, s.name),
           hash = coalesce(clean_hash, s.hash),
           mark_order_as_paid = coalesce(set_store.mark_order_as_paid, s.mark_order_as_paid),
           payment_states = coalesce(set_store.payment_states, s.payment_states),
           offline_methods = coalesce(set_store.offline_methods, s.offline_methods),
           tolerance = coalesce(set_store.tolerance, s.tolerance),
           strategy = coalesce(set_store.strategy, s.strategy),
           no_transactions = s.no_transactions AND coalesce(set_store.strategy, s.strategy) = s.strategy,
           quota_reserve = coalesce(set_store.quota_reserve, s.quota_reserve)
     WHERE s.id = this_id
    RETURNING s.mark_order_as_paid INTO is_on;

    IF is_on AND NOT coalesce(was_on, false) THEN
        UPDATE bcpaid.store s SET switched_on_at = clock_timestamp() WHERE s.id = this_id;
        before := bcpaid.record_baseline(this_id);
        RAISE NOTICE 'store % is switched on', this_id
            USING DETAIL = format('%s orders that are eligible already are left to the button and to bcpaid.backfill().', before);
    END IF;
    PERFORM bcpaid.queue_judge_waiting();
    PERFORM bcpaid.wake();
    RETURN this_id;
END $$;
COMMENT ON FUNCTION bcpaid.set_store(integer, text, text, boolean, text[], text[], numeric, text, real) IS
    'make or change a store and return its id; NULL leaves a setting as it is; SQLSTATE 22023 for a bad value, 55000 if not attached, 42501 if not the owner of sale_order';

/* With a connector, a store of ours goes with a row of its own. */
CREATE FUNCTION bcpaid.check_connector_store(store_id integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    fit jsonb := (SELECT a.found FROM bcpaid.attachment a);
BEGIN
    IF fit ->> 'store_table' IS NULL THEN
        RETURN;
    END IF;
    IF store_id IS NULL THEN
        RAISE EXCEPTION 'which store?'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = pg_catalog.format('Give the id of a row of %I as store_id.', fit ->> 'store_table');
    END IF;
    PERFORM FROM bcpaid.as_owner(pg_catalog.format('SELECT cs.id FROM %I.%I cs WHERE cs.id = $1::int4 AND %s',
                                                   fit ->> 'schema', fit ->> 'store_table',
                                                   bcpaid.store_condition(fit, 'cs')), store_id::text);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no BigCommerce store %', fit ->> 'store_table', store_id
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM bcpaid.detect() says which of its rows count.';
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.check_connector_store(integer) IS 'raises unless the connector has this store';

/* ---- tokens: they go in and never come out ---- */

/* Generic plans: in any other the token would be a constant, for auto_explain to print. */
CREATE FUNCTION bcpaid.keep_token(store_id integer, new_token text) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bcpaid.store s WHERE s.id = keep_token.store_id) THEN
        RAISE EXCEPTION 'there is no store %', COALESCE(store_id::text, 'NULL')
            USING ERRCODE = 'undefined_object', HINT = 'Make it first: SELECT bcpaid.set_store(...).';
    END IF;
    IF new_token IS NULL OR new_token !~ '^[!-~]{1,255}$' THEN
        RAISE EXCEPTION 'invalid access token'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A token is 1 to 255 visible ASCII characters, without spaces and line ends.';
    END IF;
    INSERT INTO bcpaid.token AS t (store_id, token) VALUES (keep_token.store_id, new_token)
        ON CONFLICT ON CONSTRAINT token_pkey DO UPDATE SET token = EXCLUDED.token;
    UPDATE bcpaid.store s SET stopped_reason = NULL, retry_at = NULL, failures = 0, generation = s.generation + 1
     WHERE s.id = keep_token.store_id;
    PERFORM bcpaid.wake();
END $$;
COMMENT ON FUNCTION bcpaid.keep_token(integer, text) IS 'store a token and let its store go on';

CREATE FUNCTION bcpaid.set_token(store_id integer, token text) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM bcpaid.check_owner();
    PERFORM bcpaid.keep_token(store_id, token);
    RAISE WARNING 'a token given in a statement may stand in the server''s log and in the shell''s history'
        USING HINT = 'Better: COPY bcpaid.token_inbox FROM STDIN, or bcpaid.set_token_from_file().';
END $$;
COMMENT ON FUNCTION bcpaid.set_token(integer, text) IS
    'set the access token of a store; warns, because the statement may be logged; SQLSTATE 22023 for a bad token, 42704 for an unknown store';

CREATE FUNCTION bcpaid.set_token_from_file(store_id integer, path text) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.check_owner();
    IF NOT pg_has_role(bcpaid.caller()::oid, 'pg_read_server_files', 'USAGE') THEN
        RAISE EXCEPTION 'must be a superuser or a member of pg_read_server_files'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Use COPY bcpaid.token_inbox FROM STDIN instead.';
    END IF;
    PERFORM bcpaid.keep_token(store_id, btrim(pg_read_file(path, 0, 1000), E' \t\r\n'));
END $$;
COMMENT ON FUNCTION bcpaid.set_token_from_file(integer, text) IS
    'set the access token of a store from a file on the server; SQLSTATE 42501 unless the caller may read server files';

/*
 * At the end of the statement, not row by row: an error that is raised while
 * COPY reads a row quotes the whole line, to the client and into the log.
 */
CREATE FUNCTION bcpaid.take_tokens() RETURNS trigger
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.keep_token(CASE WHEN g.store_id::text ~ '^ *[0-9]{1,9} *$' THEN g.store_id::text::integer END, g.token)
       FROM given g;
    DELETE FROM bcpaid.token_inbox;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION bcpaid.take_tokens() IS 'trigger on bcpaid.token_inbox: moves tokens to where nobody reads them';
CREATE TRIGGER take AFTER INSERT ON bcpaid.token_inbox
    REFERENCING NEW TABLE AS given
    FOR EACH STATEMENT EXECUTE FUNCTION bcpaid.take_tokens();

/* ---- pause and resume ---- */

CREATE FUNCTION bcpaid.check_store(store_id integer) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF store_id IS NULL OR NOT EXISTS (SELECT FROM bcpaid.store s WHERE s.id = store_id) THEN
        RAISE EXCEPTION 'there is no store %', COALESCE(store_id::text, 'NULL')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM bcpaid.stores lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.check_store(integer) IS 'raises 42704 unless there is this store';

CREATE FUNCTION bcpaid.pause(store_id integer) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.check_store(store_id);
    UPDATE bcpaid.store s SET paused = true WHERE s.id = pause.store_id;
END $$;
COMMENT ON FUNCTION bcpaid.pause(integer) IS 'send nothing to a store until resume; payments are noted meanwhile; SQLSTATE 42704 for an unknown store';

CREATE FUNCTION bcpaid.resume(store_id integer) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.check_store(store_id);
    UPDATE bcpaid.store s
       SET paused = false, stopped_reason = NULL, warning = NULL, retry_at = NULL, failures = 0,
           generation = s.generation + 1
     WHERE s.id = resume.store_id;
    PERFORM bcpaid.wake();
END $$;
COMMENT ON FUNCTION bcpaid.resume(integer) IS 'let a paused or stopped store go on where it stopped; SQLSTATE 42704 for an unknown store';

/* ---- a test: one read-only call, made by the worker, never inside a transaction ---- */

CREATE FUNCTION bcpaid.store_hash(store_id integer) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    fit jsonb := (SELECT a.found FROM bcpaid.attachment a);
BEGIN
    IF fit ->> 'store_hash_column' IS NULL THEN
        RETURN (SELECT s.hash FROM bcpaid.store s WHERE s.id = store_hash.store_id);
    END IF;
    RETURN (SELECT r ->> 'hash' FROM bcpaid.as_owner(pg_catalog.format('SELECT %s AS hash FROM %I.%I cs WHERE cs.id = $1::int4',
                bcpaid.hash_words(pg_catalog.format('cs.%I', fit ->> 'store_hash_column')),
                fit ->> 'schema', fit ->> 'store_table'), store_id::text) AS r);
END $$;
COMMENT ON FUNCTION bcpaid.store_hash(integer) IS 'the hash of a store, from the connector''s row or from ours';

CREATE FUNCTION bcpaid.want_test(store_id integer) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    problem text := bcpaid.environment_problem();
BEGIN
    PERFORM bcpaid.check_store(store_id);
    IF NOT bcpaid.sender_is_ready() THEN
        problem := 'the library bcpaid was not loaded at the start of the server';
    ELSIF NOT current_setting('bcpaid.enabled')::boolean THEN
        problem := 'bcpaid.enabled is off';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'cannot test store %', store_id
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = initcap(left(problem, 1)) || substr(problem, 2) || '.',
                  HINT = 'SELECT * FROM bcpaid.doctor() shows what is in the way of sending.';
    END IF;
    UPDATE bcpaid.store s SET test_wanted = true, tested_at = NULL, test_ok = NULL, test_result = 'being tested' WHERE s.id = want_test.store_id;
    PERFORM bcpaid.wake();
END $$;
COMMENT ON FUNCTION bcpaid.want_test(integer) IS 'ask the worker for a test of a store; bcpaid.test_store() waits for it';

/* What commits may not SET a search_path of its own: so in a procedure even operators and types are qualified. */
CREATE PROCEDURE bcpaid.test_store(store_id integer, INOUT ok boolean DEFAULT NULL, INOUT result text DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
    until pg_catalog.timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) interval '60 seconds';
    tested pg_catalog.timestamptz;
BEGIN
    PERFORM bcpaid.want_test(store_id);
    LOOP
        COMMIT;
        SELECT s.tested_at, s.test_ok, s.test_result INTO tested, ok, result
          FROM bcpaid.stores s WHERE s.id OPERATOR(pg_catalog.=) test_store.store_id;
        EXIT WHEN tested IS NOT NULL;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) until THEN
            RAISE EXCEPTION 'no worker tested store % in time', store_id
                USING ERRCODE = 'query_canceled',
                      HINT = 'SELECT * FROM bcpaid.doctor() shows what is in the way of sending.';
        END IF;
        PERFORM pg_catalog.pg_sleep(0.02);
    END LOOP;
END $$;
COMMENT ON PROCEDURE bcpaid.test_store(integer, boolean, text) IS
    'ask a store who it is, without writing anything: reports name, plan, currency and quota; SQLSTATE 42704 for an unknown store, 55000 if nothing may be sent';
