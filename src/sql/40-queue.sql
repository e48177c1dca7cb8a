/*
 * The queue: how a capture comes into the ledger and moves through its
 * states.  Called elevated, by the worker and by our own functions; granted
 * to nobody.  Every move writes its row of history in the same statement.
 */

/* ---- into the ledger ---- */

/* After very many candidates at once their table is made small again, if nobody uses it right now. */
CREATE FUNCTION bcpaid.queue_trim() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.pg_relation_size('bcpaid.candidate') > 3 * 1024 * 1024 THEN
        LOCK TABLE bcpaid.candidate IN ACCESS EXCLUSIVE MODE NOWAIT;
        IF NOT EXISTS (SELECT FROM bcpaid.candidate) THEN
            TRUNCATE bcpaid.candidate;
        END IF;
    END IF;
EXCEPTION WHEN lock_not_available THEN
    NULL;                       /* the next time will do */
END $$;
COMMENT ON FUNCTION bcpaid.queue_trim() IS 'free the room that very many candidates took';

/* Take candidates from their table and judge the orders they lead to; false when none was there. */
CREATE FUNCTION bcpaid.queue_take_candidates(at_most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    orders integer[];
    moves integer[];
    payments integer[];
    lines integer[];
    taken integer;
BEGIN
    IF bcpaid.judging_problem() IS NOT NULL THEN
        RETURN false;           /* they stay until somebody has mended it */
    END IF;
    WITH gone AS (
        DELETE FROM bcpaid.candidate
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM bcpaid.candidate LIMIT at_most))
        RETURNING kind, ref
    )
    SELECT pg_catalog.count(*),
           pg_catalog.array_agg(DISTINCT ref) FILTER (WHERE kind = 'o'),
           pg_catalog.array_agg(DISTINCT ref) FILTER (WHERE kind = 'm'),
           pg_catalog.array_agg(DISTINCT ref) FILTER (WHERE kind = 'p'),
           pg_catalog.array_agg(DISTINCT ref) FILTER (WHERE kind = 'l')
      INTO taken, orders, moves, payments, lines
      FROM gone;
    IF taken = 0 THEN
        PERFORM bcpaid.queue_trim();
        RETURN false;
    END IF;

    orders := ARRAY(
        SELECT pg_catalog.unnest(orders)
         UNION
        SELECT bcpaid.resolve(COALESCE(payments, '{}'), COALESCE(moves, '{}'), COALESCE(lines, '{}')));
    RETURN orders = '{}' OR bcpaid.queue_judge_all(orders, 'payment');
END $$;
COMMENT ON FUNCTION bcpaid.queue_take_candidates(integer) IS 'judge what triggers noted';

/* A person's wish: a new capture, or the old one revived. */
CREATE FUNCTION bcpaid.enqueue_by_hand(order_id integer, who text, how text DEFAULT 'button') RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    new_id bigint;
    by_whom text := who || bcpaid.for_person();
BEGIN
    WITH judged AS MATERIALIZED (
        SELECT * FROM bcpaid.judge(ARRAY[enqueue_by_hand.order_id])
    ), enqueued AS (
        INSERT INTO bcpaid.capture AS c (store_hash, remote_order_id, order_id, store_id,
                                         origin, requested_by, amount, currency, marker)
        SELECT store_hash, remote_order_id, order_id, store_id,
               how, by_whom, amount, currency, bcpaid.marker(store_hash, remote_order_id)
          FROM judged
            ON CONFLICT (store_hash, remote_order_id) DO UPDATE
           SET state = 'queued', reason = NULL, approved = NULL, failures = 0, absent_reads = 0,
               order_id = EXCLUDED.order_id, store_id = EXCLUDED.store_id, origin = EXCLUDED.origin,
               requested_by = EXCLUDED.requested_by, due = pg_catalog.clock_timestamp(),
               changed_at = pg_catalog.clock_timestamp()
         WHERE c.state IN ('refused', 'held', 'cancelled') AND how <> 'backfill'    /* which takes what is new */
        RETURNING id, state
    ), told AS (
        INSERT INTO bcpaid.history (capture_id, state, reason, by)
        SELECT id, state, how, by_whom FROM enqueued
    )
    SELECT id INTO new_id FROM enqueued;

    /* Somebody else's, perhaps of this very moment: seen by a new statement only. */
    IF new_id IS NULL THEN
        SELECT c.id INTO new_id
          FROM bcpaid.judge(ARRAY[enqueue_by_hand.order_id]) AS j
          JOIN bcpaid.capture c ON c.store_hash = j.store_hash AND c.remote_order_id = j.remote_order_id;
    END IF;
    RETURN new_id;
END $$;
COMMENT ON FUNCTION bcpaid.enqueue_by_hand(integer, text, text) IS 'enqueue an order because a person asks for it; revives a refused, held or cancelled capture';

/* A note was lost: sweep now, or once more if a sweep is under way, which may have passed the order. */
CREATE FUNCTION bcpaid.queue_ask_sweep() RETURNS void
LANGUAGE sql AS $$
    UPDATE bcpaid.progress
       SET again = swept_to > 0, swept_at = CASE WHEN swept_to > 0 THEN swept_at END
$$;
COMMENT ON FUNCTION bcpaid.queue_ask_sweep() IS 'have a sweep, because a note was lost';

/* One slice of the sweep, of so many order ids; true while more is to be swept. */
CREATE FUNCTION bcpaid.queue_sweep(ids integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    first integer;
    last integer;
    next_one integer;
    orders integer[];
BEGIN
    IF bcpaid.judging_problem() IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT p.swept_to, LEAST(p.swept_to::bigint + ids, 2147483647) INTO first, last FROM bcpaid.progress p FOR UPDATE;
    orders := ARRAY(SELECT bcpaid.unswept(first, last));
    IF orders <> '{}' THEN
        PERFORM bcpaid.queue_judge_all(orders, 'sweep');
    END IF;
    next_one := bcpaid.order_after(last);
    IF next_one IS NOT NULL THEN
        UPDATE bcpaid.progress SET swept_to = next_one - 1;
        RETURN true;
    END IF;
    PERFORM bcpaid.queue_judge_waiting();
    UPDATE bcpaid.progress
       SET swept_to = 0, again = false,
           swept_at = CASE WHEN NOT again THEN pg_catalog.clock_timestamp() END;
    RETURN (SELECT p.swept_at IS NULL FROM bcpaid.progress p);
END $$;
COMMENT ON FUNCTION bcpaid.queue_sweep(integer) IS 'judge the next orders that no trigger noted';

/* Ids may lie far apart: who goes through all orders jumps over what is not there. */
CREATE FUNCTION bcpaid.order_after(id bigint) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT (o ->> 'id')::integer
      FROM bcpaid.as_owner(pg_catalog.format('SELECT pg_catalog.min(id) AS id FROM %I.sale_order WHERE id > $1::bigint',
                                             bcpaid.odoo_schema()), order_after.id::text) AS o
$$;
COMMENT ON FUNCTION bcpaid.order_after(bigint) IS 'the lowest id of an order that is higher than this one; NULL at the end';

/* ---- the one place where a capture changes its state ---- */

CREATE FUNCTION bcpaid.queue_move(captures bigint[], to_state text, why text, until timestamptz, who text)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    WITH moved AS (
        UPDATE bcpaid.capture
           SET state = to_state, reason = why, due = COALESCE(until, pg_catalog.clock_timestamp()),
               taken_back_at = CASE WHEN to_state IN ('sending', 'unknown', 'captured', 'applied') THEN taken_back_at END,
               changed_at = pg_catalog.clock_timestamp()
         WHERE id = ANY (captures)
        RETURNING id, state, reason
    ), told AS (
        INSERT INTO bcpaid.history (capture_id, state, reason, by)
        SELECT id, state, reason, who FROM moved
        RETURNING 1
    )
    SELECT pg_catalog.count(*) INTO n FROM told;
    RETURN n;
END $$;
COMMENT ON FUNCTION bcpaid.queue_move(bigint[], text, text, timestamptz, text) IS 'change the state of captures and write their history';

/*
 * What a worker left that died: a claim was only a claim; an intent may have
 * been sent, and must be looked for.  When it was sent nobody knows, for the
 * worker may have stood still between intent and write: at the latest just now.
 * Most left nothing: then no statement but the first is planned.  Locked first:
 * a person may be cancelling what was claimed.
 */
CREATE FUNCTION bcpaid.queue_recover(silence interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bcpaid.capture WHERE state IN ('claimed', 'sending')) THEN
        RETURN;
    END IF;
    PERFORM bcpaid.queue_move(ARRAY(SELECT id FROM bcpaid.capture WHERE state = 'claimed' FOR UPDATE),
                              'queued', 'the worker ended before it sent anything', NULL, 'worker');
    UPDATE bcpaid.capture SET sent_at = pg_catalog.clock_timestamp(), approved = NULL WHERE state = 'sending';
    PERFORM bcpaid.queue_move(ARRAY[id], 'unknown', 'the worker ended while it was sending', sent_at + silence, 'worker')
       FROM bcpaid.capture WHERE state = 'sending';
END $$;
COMMENT ON FUNCTION bcpaid.queue_recover(interval) IS 'take up what an earlier worker left';

/*
 * Set back by an hour, the clock would make what is due now wait for an hour.
 * Whatever changed in the future tells: it is due at once.  A store whose pause
 * was told by an answer from the future may be asked, also if nothing waits
 * yet.  A write from the future was made just now, for all that we know, and
 * two reads that agree are not settle_time apart: it takes two more.
 * Returns how many captures would have waited.
 */
CREATE FUNCTION bcpaid.queue_mend_times() RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    UPDATE bcpaid.progress SET swept_at = pg_catalog.clock_timestamp() WHERE swept_at > pg_catalog.clock_timestamp();
    IF NOT EXISTS (SELECT FROM bcpaid.capture WHERE state <> 'applied')
        AND NOT EXISTS (SELECT FROM bcpaid.store WHERE retry_at > pg_catalog.clock_timestamp()) THEN
        RETURN 0;               /* so it is at nearly every start, and what follows is long to plan */
    END IF;

    UPDATE bcpaid.capture SET sent_at = pg_catalog.clock_timestamp()
     WHERE state = 'sending' AND sent_at > pg_catalog.clock_timestamp();
    WITH late AS MATERIALIZED (
        SELECT c.id FROM bcpaid.store s
          JOIN bcpaid.capture c ON c.store_id = s.id AND c.state IN ('queued', 'waiting', 'unknown')
         WHERE c.due > pg_catalog.clock_timestamp() AND c.due < 'infinity' AND c.changed_at > pg_catalog.clock_timestamp()
           FOR UPDATE OF c SKIP LOCKED
    ), unapplied AS MATERIALIZED (
        SELECT c.id FROM bcpaid.capture c
         WHERE c.state = 'captured' AND c.due > pg_catalog.clock_timestamp() AND c.changed_at > pg_catalog.clock_timestamp()
           FOR UPDATE SKIP LOCKED
    ), asked AS (
        UPDATE bcpaid.store s SET retry_at = NULL
         WHERE s.retry_at > pg_catalog.clock_timestamp()
           AND EXISTS (SELECT FROM bcpaid.attempt a JOIN bcpaid.capture c ON c.id = a.capture_id
                        WHERE c.store_id = s.id AND a.at > pg_catalog.clock_timestamp() AND a.at <= s.retry_at)
    ), mended AS (
        UPDATE bcpaid.capture c
           SET due = pg_catalog.clock_timestamp(), changed_at = pg_catalog.clock_timestamp(), absent_reads = 0,
               sent_at = CASE WHEN c.sent_at > pg_catalog.clock_timestamp() THEN pg_catalog.clock_timestamp() ELSE c.sent_at END
         WHERE c.id IN (SELECT l.id FROM late l UNION ALL SELECT u.id FROM unapplied u)
        RETURNING 1
    )
    SELECT pg_catalog.count(*) INTO n FROM mended;
    RETURN n;
END $$;
COMMENT ON FUNCTION bcpaid.queue_mend_times() IS 'make due what the clock, set back, would delay';
