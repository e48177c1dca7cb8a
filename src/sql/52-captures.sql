/*
 * Captures: what a person does to them.
 */

/* The role is Odoo's, whoever presses: the person's name may be set beside it, as in SET LOCAL bcpaid_for.person = '...'. */
CREATE FUNCTION bcpaid.for_person() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(' for ' || NULLIF(pg_catalog.left(pg_catalog.current_setting('bcpaid_for.person', true), 200), ''), '')
$$;
COMMENT ON FUNCTION bcpaid.for_person() IS 'for whom the role that called acts, as the setting bcpaid_for.person of its session says';

/* Move one capture by hand, if it is in one of these states. */
CREATE FUNCTION bcpaid.move_by_hand(capture bigint, from_states text[], to_state text, why text, what text)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    current_state text := (SELECT c.state FROM bcpaid.capture c WHERE c.id = capture FOR UPDATE);
BEGIN
    IF current_state IS NULL THEN
        RAISE EXCEPTION 'there is no capture %', COALESCE(capture::text, 'NULL')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM bcpaid.captures lists them.';
    END IF;
    IF current_state <> ALL (from_states) THEN
        RAISE EXCEPTION 'cannot % capture %', what, capture
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = pg_catalog.format('It is %s.', current_state),
                  HINT = pg_catalog.format('Only one that is %s can be.', pg_catalog.array_to_string(from_states, ', '));
    END IF;
    PERFORM bcpaid.queue_move(ARRAY[capture], to_state, why, NULL, bcpaid.caller()::text || bcpaid.for_person());
    PERFORM bcpaid.wake();
END $$;
COMMENT ON FUNCTION bcpaid.move_by_hand(bigint, text[], text, text, text) IS 'move a capture because a person says so';

CREATE FUNCTION bcpaid.retry(capture bigint) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE bcpaid.capture c SET failures = 0, approved = CASE WHEN c.state IN ('waiting', 'queued') THEN c.approved END
     WHERE c.id = retry.capture AND c.state IN ('refused', 'held', 'cancelled', 'waiting', 'queued');
    PERFORM bcpaid.move_by_hand(capture, '{refused,held,cancelled,waiting,queued}', 'queued', 'retry', 'retry');
END $$;
COMMENT ON FUNCTION bcpaid.retry(bigint) IS
    'try a refused, held, cancelled or waiting capture again, now; SQLSTATE 55000 in another state, 42704 if unknown';

CREATE FUNCTION bcpaid.retry_store(store_id integer) RETURNS integer
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved integer;
BEGIN
    PERFORM bcpaid.check_store(store_id);
    WITH again AS (
        UPDATE bcpaid.capture c SET failures = 0, approved = CASE c.state WHEN 'waiting' THEN c.approved END
         WHERE c.store_id = retry_store.store_id AND c.state IN ('refused', 'waiting')
        RETURNING c.id)
    SELECT bcpaid.queue_move(ARRAY(SELECT id FROM again), 'queued', 'retry', NULL, bcpaid.caller()::text || bcpaid.for_person()) INTO moved;
    PERFORM bcpaid.resume(store_id);
    RETURN moved;
END $$;
COMMENT ON FUNCTION bcpaid.retry_store(integer) IS
    'the store is well again: resume it and retry all its refused and waiting captures; returns how many; SQLSTATE 42704 for an unknown store';

CREATE FUNCTION bcpaid.approve(capture bigint) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE bcpaid.capture c SET failures = 0, approved = concat_ws('; ', c.approved, c.reason)
     WHERE c.id = approve.capture AND c.state = 'held';
    PERFORM bcpaid.move_by_hand(capture, '{held}', 'queued', 'approved', 'approve');
END $$;
COMMENT ON FUNCTION bcpaid.approve(bigint) IS
    'send a held capture in spite of the doubts in its reason, once; SQLSTATE 55000 in another state, 42704 if unknown';

CREATE FUNCTION bcpaid.cancel(capture bigint) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.move_by_hand(capture, '{queued,claimed,waiting,refused,held,cancelled}', 'cancelled', 'cancelled by hand', 'cancel');
END $$;
COMMENT ON FUNCTION bcpaid.cancel(bigint) IS
    'send nothing for this capture, not even after another payment; not possible while it is being sent: SQLSTATE 55000';

CREATE FUNCTION bcpaid.settle_by_hand(capture bigint, reason text) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION 'a reason is needed'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say who captured the order, and where.';
    END IF;
    PERFORM bcpaid.move_by_hand(capture, '{queued,waiting,unknown,refused,held,cancelled}', 'captured', reason, 'settle');
    UPDATE bcpaid.capture c SET captured_by = 'hand', captured_at = clock_timestamp() WHERE c.id = settle_by_hand.capture;
END $$;
COMMENT ON FUNCTION bcpaid.settle_by_hand(bigint, text) IS
    'somebody captured the order in the control panel: nothing is sent, Odoo''s status follows; SQLSTATE 55000 in another state, 22023 without a reason';

CREATE FUNCTION bcpaid.sweep() RETURNS integer
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    first integer := bcpaid.order_after(0);
    last integer;
    ids integer[];
    added integer := 0;
BEGIN
    WHILE first IS NOT NULL LOOP
        last := least(first::bigint + 20000, 2147483647);
        ids := ARRAY(SELECT bcpaid.unswept(first - 1, last));
        IF ids <> '{}' THEN
            added := added + bcpaid.queue_judge(ids, 'sweep');
        END IF;
        first := bcpaid.order_after(last);
    END LOOP;
    PERFORM bcpaid.queue_judge_waiting();
    PERFORM bcpaid.wake();
    RETURN added;
END $$;
COMMENT ON FUNCTION bcpaid.sweep() IS 'look through all orders for payments that no trigger noted; returns how many captures it enqueued';

CREATE FUNCTION bcpaid.backfill(since date, dry_run boolean DEFAULT true,
                                OUT order_id integer, OUT store_id integer, OUT remote_order_id bigint,
                                OUT amount numeric, OUT currency text, OUT capture bigint) RETURNS SETOF record
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who text := bcpaid.caller()::text;
BEGIN
    IF since IS NULL THEN
        RAISE EXCEPTION 'since when?' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Give the order date to begin with, such as SELECT * FROM bcpaid.backfill(''2026-01-01'').';
    END IF;
    RETURN QUERY
        SELECT j.order_id, j.store_id, j.remote_order_id, j.amount, j.currency,
               CASE WHEN NOT dry_run THEN bcpaid.enqueue_by_hand(j.order_id, who, 'backfill') END
          FROM bcpaid.judge(ARRAY(
                   SELECT (o ->> 'id')::integer
                     FROM bcpaid.as_owner(format(
                          'SELECT id FROM %I.sale_order WHERE date_order >= $1::date AND invoice_status = ''invoiced'' ORDER BY id',
                          bcpaid.odoo_schema()), since::text) AS o)) AS j
         WHERE j.can_mark AND j.capture_id IS NULL
         ORDER BY j.order_id;
    PERFORM bcpaid.wake();
END $$;
COMMENT ON FUNCTION bcpaid.backfill(date, boolean) IS
    'eligible orders since a date, those from before the switch-on included; enqueues them if dry_run is false; SQLSTATE 22004 without a date';

/* ---- waiting for the end: qualified as in bcpaid.test_store() ---- */

CREATE FUNCTION bcpaid.capture_state(capture bigint, OUT state text, OUT reason text, OUT is_new boolean)
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT c.state, c.reason, c.xmin::text = (pg_current_xact_id_if_assigned()::text::bigint % 4294967296)::text
      INTO state, reason, is_new
      FROM bcpaid.capture c WHERE c.id = capture_state.capture;
    IF state IS NULL THEN
        RAISE EXCEPTION 'there is no capture %', coalesce(capture::text, 'NULL')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM bcpaid.captures lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.capture_state(bigint) IS 'state of a capture, and whether this transaction made it';

CREATE PROCEDURE bcpaid.wait(capture bigint, timeout interval DEFAULT '30 seconds', INOUT state text DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
    until pg_catalog.timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) timeout;
    why pg_catalog.text;
    is_new boolean;
BEGIN
    LOOP
        SELECT s.state, s.reason, s.is_new INTO state, why, is_new FROM bcpaid.capture_state(capture) AS s;
        IF is_new THEN
            RAISE EXCEPTION 'cannot wait for a capture in the transaction that marked it'
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Commit first: nothing is sent before that.';
        END IF;
        EXIT WHEN state OPERATOR(pg_catalog.=) ANY (ARRAY['applied', 'refused', 'held', 'not_ours', 'cancelled']);
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) until THEN
            RAISE EXCEPTION 'capture % is still %', capture, state
                USING ERRCODE = 'query_canceled', DETAIL = COALESCE(why, 'Nothing is wrong with it so far.'),
                      HINT = 'SELECT * FROM bcpaid.status says whether a worker runs and when it is due.';
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(0.02);
    END LOOP;
END $$;
COMMENT ON PROCEDURE bcpaid.wait(bigint, interval, text) IS
    'wait until a capture has come to its end and return its state; SQLSTATE 57014 after the timeout, 55000 in the transaction that marked it';
