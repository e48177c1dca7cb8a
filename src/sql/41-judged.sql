/*
 * What comes of orders that were judged again: into the ledger with them, or
 * what changed for their capture.  Each move writes its row of history in the
 * same statement.
 */

/* What is eligible by itself: a new capture, or the one that was cancelled; returns how many of the two, 0 or 1. */
CREATE FUNCTION bcpaid.queue_enqueue(j record, how text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    added integer;
BEGIN
    WITH enqueued AS (
        INSERT INTO bcpaid.capture AS c (store_hash, remote_order_id, order_id, store_id,
                                         origin, requested_by, amount, currency, marker)
        VALUES (j.store_hash, j.remote_order_id, j.order_id, j.store_id,
                how, 'bcpaid', j.amount, j.currency, bcpaid.marker(j.store_hash, j.remote_order_id))
            ON CONFLICT (store_hash, remote_order_id) DO UPDATE
           SET state = 'queued', reason = NULL, approved = NULL, failures = 0, absent_reads = 0,
               order_id = EXCLUDED.order_id, store_id = EXCLUDED.store_id, origin = EXCLUDED.origin,
               requested_by = EXCLUDED.requested_by, amount = EXCLUDED.amount, currency = EXCLUDED.currency,
               due = pg_catalog.clock_timestamp(), changed_at = pg_catalog.clock_timestamp()
         WHERE c.state = 'cancelled' AND c.reason <> 'cancelled by hand'
        RETURNING id, state
    )
    INSERT INTO bcpaid.history (capture_id, state, reason, by)
    SELECT id, state, how, 'worker' FROM enqueued;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END $$;
COMMENT ON FUNCTION bcpaid.queue_enqueue(record, text) IS 'a judged order that is eligible by itself comes into the ledger';

/*
 * What waited to be eligible again need wait no longer.  What is not yet sent goes
 * with its link: to the one order that has it now, and to that one's row of the store.
 * If it is being looked at for the other, that look comes to nothing.
 */
CREATE FUNCTION bcpaid.queue_wake_up(j record) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF j.capture_state = 'claimed' THEN
        PERFORM bcpaid.queue_move(ARRAY(SELECT c.id FROM bcpaid.capture c
                                         WHERE c.id = j.capture_id AND c.state = 'claimed'
                                           AND (c.order_id <> j.order_id OR c.store_id <> j.store_id) FOR UPDATE),
                                  'queued', 'another order is linked to the remote order now', NULL, 'worker');
    END IF;
    UPDATE bcpaid.capture c
       SET due = LEAST(c.due, pg_catalog.clock_timestamp()), order_id = j.order_id, store_id = j.store_id,
           approved = CASE c.order_id WHEN j.order_id THEN c.approved END
     WHERE c.id = j.capture_id
       AND (c.state = 'waiting' AND c.due = 'infinity'
            OR c.state IN ('queued', 'waiting') AND (c.order_id <> j.order_id OR c.store_id <> j.store_id));
END $$;
COMMENT ON FUNCTION bcpaid.queue_wake_up(record) IS 'a judged order''s capture is not yet sent, and nothing is in its way';

/*
 * What was sent: is it paid still?  What was imported as applied, and is not shown
 * in Odoo, is applied once more.
 */
CREATE FUNCTION bcpaid.queue_review(j record) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH shown AS (
        UPDATE bcpaid.capture c
           SET state = 'captured', due = pg_catalog.clock_timestamp(), changed_at = pg_catalog.clock_timestamp(),
               order_id = j.order_id, store_id = j.store_id, taken_back_at = NULL
         WHERE c.id = j.capture_id AND c.state = 'applied' AND c.due = 'infinity'
           AND j.capture_state = 'applied' AND j.failed = 'capture'
        RETURNING c.id, c.state
    ), taken_back AS (
        UPDATE bcpaid.capture c
           SET taken_back_at = CASE WHEN j.paid THEN NULL ELSE pg_catalog.clock_timestamp() END
         WHERE c.id = j.capture_id AND c.order_id = j.order_id
           AND c.state IN ('sending', 'unknown', 'captured', 'applied')
           AND (c.taken_back_at IS NULL) = (NOT j.paid)
           AND (c.state = 'applied' AND c.due = 'infinity' AND j.failed = 'capture') IS NOT TRUE    /* shown */
        RETURNING c.id, c.state, c.taken_back_at
    )
    INSERT INTO bcpaid.history (capture_id, state, reason, by)
    SELECT id, state, CASE WHEN taken_back_at IS NULL THEN 'the payment is there again'
                           WHEN state IN ('sending', 'unknown') THEN 'the payment was taken back while it was sent'
                           ELSE 'the payment was taken back after the capture' END, 'worker'
      FROM taken_back
     UNION ALL
    SELECT id, state, 'captured before the ledger was imported', 'worker' FROM shown;
END $$;
COMMENT ON FUNCTION bcpaid.queue_review(record) IS 'a judged order''s capture was sent: note that its payment was taken back, or is there again';

/*
 * Judge orders after something happened to them.  One after the other, each
 * capture by its key: in one statement for all of them the planner, which cannot
 * know how many there are, compared each order with each capture.
 */
CREATE FUNCTION bcpaid.queue_judge(order_ids integer[], how text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    j record;
    added integer := 0;
BEGIN
    FOR j IN SELECT * FROM bcpaid.judge(order_ids) ORDER BY store_hash, remote_order_id, order_id LOOP
        IF j.automatic THEN
            added := added + bcpaid.queue_enqueue(j, how);
        ELSIF j.capture_state IN ('queued', 'waiting', 'claimed') AND (j.failed IS NULL OR j.failed = 'capture') THEN
            PERFORM bcpaid.queue_wake_up(j);
        ELSIF j.capture_state IN ('sending', 'unknown', 'captured', 'applied') THEN
            PERFORM bcpaid.queue_review(j);
        END IF;
    END LOOP;
    RETURN added;
END $$;
COMMENT ON FUNCTION bcpaid.queue_judge(integer[], text) IS 'judge orders that changed and enqueue what is eligible by itself';

/*
 * The same, one by one where a person holds a row (an open bcpaid_mark): that
 * order becomes a candidate again, the others need not wait.  False if so.
 */
CREATE FUNCTION bcpaid.queue_judge_all(order_ids integer[], how text) RETURNS boolean
LANGUAGE plpgsql SET lock_timeout = '20ms' AS $$
DECLARE
    one integer;
    all_judged boolean := true;
BEGIN
    PERFORM bcpaid.queue_judge(order_ids, how);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    FOREACH one IN ARRAY order_ids LOOP
        BEGIN
            PERFORM bcpaid.queue_judge(ARRAY[one], how);
        EXCEPTION WHEN lock_not_available THEN
            INSERT INTO bcpaid.candidate (kind, ref) VALUES ('o', one);
            all_judged := false;
        END;
    END LOOP;
    RETURN all_judged;
END $$;
COMMENT ON FUNCTION bcpaid.queue_judge_all(integer[], text) IS 'judge orders, and put those back whose capture somebody holds';

/* What waits to be eligible again: whatever made it so may have gone unnoticed. */
CREATE FUNCTION bcpaid.queue_judge_waiting() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    orders integer[] := ARRAY(SELECT DISTINCT order_id FROM bcpaid.capture
                               WHERE state = 'waiting' AND due = 'infinity');
BEGIN
    IF orders <> '{}' THEN
        PERFORM bcpaid.queue_judge_all(orders, 'sweep');
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.queue_judge_waiting() IS 'judge again what waits to be eligible again';
