/*
 * Settle: what a conversation with a store changed, and what is due next.
 */

CREATE FUNCTION bcpaid.queue_attempt(captures bigint[], purposes text[], requests bigint[], statuses bigint[],
                                     took_ms bigint[], outcomes text[], details text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bcpaid.attempt (capture_id, purpose, requests, status, took_ms, outcome, detail)
    SELECT a.capture, a.purpose, a.requests, NULLIF(a.status, 0), a.took_ms, a.outcome, NULLIF(a.detail, '')
      FROM ROWS FROM (pg_catalog.unnest(captures), pg_catalog.unnest(purposes), pg_catalog.unnest(queue_attempt.requests),
                      pg_catalog.unnest(statuses), pg_catalog.unnest(queue_attempt.took_ms), pg_catalog.unnest(outcomes),
                      pg_catalog.unnest(details))
           AS a (capture, purpose, requests, status, took_ms, outcome, detail);
END $$;
COMMENT ON FUNCTION bcpaid.queue_attempt(bigint[], text[], bigint[], bigint[], bigint[], text[], text[])
    IS 'keep conversations with stores for audit';

/*
 * The results of conversations, an element of each array one capture's; empty
 * texts are none.  Flags: 1 it failed, 2 a read did not find it, 4 the store
 * said yes.  Returns those that were moved: a person may have moved others
 * meanwhile.
 *
 * A write whose outcome is not known counts from now: its request left after
 * the intent's commit, which may have waited for a standby.  What a person
 * approved of was that write, not another one.
 */
CREATE FUNCTION bcpaid.queue_settle(captures bigint[], from_states text[], to_states text[], whys text[],
                                    delays_ms bigint[], flags bigint[], amounts text[], currencies text[],
                                    transactions text[], captors text[], warnings text[])
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH moved AS (
        UPDATE bcpaid.capture c
           SET state = m.to_state, reason = NULLIF(m.why, ''),
               due = CASE WHEN m.delay_ms < 0 THEN 'infinity'
                          ELSE pg_catalog.clock_timestamp() + m.delay_ms * interval '1 millisecond' END,
               taken_back_at = CASE WHEN m.to_state IN ('unknown', 'captured') THEN c.taken_back_at END,
               approved = CASE WHEN m.from_state <> 'sending' OR m.to_state <> 'unknown' THEN c.approved END,
               changed_at = pg_catalog.clock_timestamp(),
               sent_at = CASE WHEN m.from_state = 'sending' AND m.to_state = 'unknown' THEN pg_catalog.clock_timestamp()
                              ELSE c.sent_at END,
               failures = CASE WHEN m.flags & 1 <> 0 THEN c.failures + 1
                               WHEN m.to_state IN ('waiting', 'unknown') THEN c.failures ELSE 0 END,
               absent_reads = CASE WHEN m.flags & 2 <> 0 THEN c.absent_reads + 1 ELSE 0 END,
               answered = c.answered OR m.flags & 4 <> 0,
               amount = COALESCE(NULLIF(m.amount, '')::numeric, c.amount),
               currency = COALESCE(NULLIF(m.currency, ''), c.currency),
               transaction_id = COALESCE(NULLIF(m.transaction, ''), c.transaction_id),
               captured_by = COALESCE(NULLIF(m.captor, ''), c.captured_by),
               captured_at = CASE WHEN m.to_state = 'captured'
                                  THEN COALESCE(c.captured_at, pg_catalog.clock_timestamp())
                                  ELSE c.captured_at END,
               warning = COALESCE(NULLIF(m.warning, ''), c.warning)
          FROM ROWS FROM (pg_catalog.unnest(captures), pg_catalog.unnest(from_states), pg_catalog.unnest(to_states),
                          pg_catalog.unnest(whys), pg_catalog.unnest(delays_ms), pg_catalog.unnest(queue_settle.flags),
                          pg_catalog.unnest(amounts), pg_catalog.unnest(currencies), pg_catalog.unnest(transactions),
                          pg_catalog.unnest(captors), pg_catalog.unnest(warnings))
               AS m (capture, from_state, to_state, why, delay_ms, flags, amount, currency, transaction, captor, warning)
         WHERE c.id = m.capture AND c.state = m.from_state
        RETURNING c.id, c.state, c.reason, c.changed_at
    ), told AS (
        INSERT INTO bcpaid.history (capture_id, state, reason, by, at)
        SELECT t.id, t.state, t.reason, 'worker', t.changed_at FROM moved t
    )
    SELECT r.id FROM moved r;
END $$;
COMMENT ON FUNCTION bcpaid.queue_settle(bigint[], text[], text[], text[], bigint[], bigint[], text[], text[], text[], text[], text[])
    IS 'write down what stores answered; returns what was moved, which is not what a person moved meanwhile';

/*
 * What was learned about a store as a whole; true if that stops it.  Many that
 * fail together are one failure: they count until the next try.  What was begun
 * before a person gave a new token, or let the store go on, does not stop it.
 */
CREATE FUNCTION bcpaid.queue_store(store integer, generation integer, condition text, detail text,
                                   until timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    stops boolean;
BEGIN
    UPDATE bcpaid.store s
       SET failures = CASE condition WHEN 'unwell' THEN s.failures + (s.retry_at > pg_catalog.clock_timestamp() IS NOT TRUE)::integer
                                     WHEN 'well' THEN 0 ELSE s.failures END,
           retry_at = CASE WHEN until > pg_catalog.clock_timestamp() THEN until
                           WHEN condition <> 'well' THEN s.retry_at END,
           last_success_at = CASE WHEN condition IN ('well', 'success') THEN pg_catalog.clock_timestamp() ELSE s.last_success_at END,
           stopped_reason = CASE condition WHEN 'stop' THEN detail ELSE s.stopped_reason END,
           no_transactions = condition <> 'transactions' AND (s.no_transactions OR condition = 'no_transactions'),
           read_back = s.read_back OR condition = 'read_back',
           warning = CASE condition WHEN 'warning' THEN detail ELSE s.warning END
      FROM (SELECT b.id, b.stopped_reason IS NULL AS was_open FROM bcpaid.store b
             WHERE b.id = queue_store.store FOR UPDATE) AS before
     WHERE s.id = before.id AND (condition <> 'stop' OR s.generation = queue_store.generation)
    RETURNING condition = 'stop' AND before.was_open INTO stops;
    RETURN stops;
END $$;
COMMENT ON FUNCTION bcpaid.queue_store(integer, integer, text, text, timestamptz) IS 'write down what was learned about a store';

/* Captured at the store, not yet in Odoo. */
CREATE FUNCTION bcpaid.queue_unapplied(at_most integer) RETURNS TABLE (id bigint, order_id integer, remote_order_id bigint, failures integer)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT c.id, c.order_id, c.remote_order_id, c.failures FROM bcpaid.capture c
     WHERE c.state = 'captured' AND c.due <= pg_catalog.clock_timestamp() AND bcpaid.judging_problem() IS NULL
     ORDER BY c.due LIMIT at_most;
END $$;
COMMENT ON FUNCTION bcpaid.queue_unapplied(integer) IS 'captures whose order is still to be set to Captured';

/*
 * How applying went: done, own (the status is kept by us), locked, gone, elsewhere (linked to another remote order),
 * no value or failed.  To wait for a lock is no failure.
 */
CREATE FUNCTION bcpaid.queue_applied(captures bigint[], outcomes text[], details text[], delays_ms bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH o AS MATERIALIZED (
        SELECT o.*, o.outcome IN ('done', 'own', 'gone', 'elsewhere') AS is_over
          FROM ROWS FROM (pg_catalog.unnest(captures), pg_catalog.unnest(outcomes), pg_catalog.unnest(details),
                          pg_catalog.unnest(delays_ms)) AS o (id, outcome, detail, delay_ms)
    ), own AS (
        INSERT INTO bcpaid.link (order_id, payment_status)
        SELECT DISTINCT c.order_id, 'Captured' FROM bcpaid.capture c
         WHERE c.id = ANY (ARRAY(SELECT o.id FROM o WHERE o.outcome = 'own'))
            ON CONFLICT (order_id) DO UPDATE SET payment_status = EXCLUDED.payment_status
    ), moved AS (
        UPDATE bcpaid.capture c
           SET state = CASE WHEN o.is_over THEN 'applied' ELSE c.state END,
               changed_at = CASE WHEN o.is_over THEN pg_catalog.clock_timestamp() ELSE c.changed_at END,
               due = pg_catalog.clock_timestamp() + o.delay_ms * interval '1 ms',
               failures = c.failures + (o.outcome IN ('no value', 'failed'))::integer,
               warning = CASE o.outcome WHEN 'elsewhere' THEN 'captured, but the order is linked to another remote order now'
                                        ELSE c.warning END,
               reason = CASE WHEN o.outcome = 'gone' THEN 'the order was deleted in Odoo'
                             WHEN o.outcome = 'elsewhere' THEN 'the order is linked to another remote order now'
                             WHEN o.is_over THEN (SELECT h.reason FROM bcpaid.history h
                                                   WHERE h.capture_id = c.id AND h.state = 'captured'
                                                   ORDER BY h.at DESC LIMIT 1)
                             ELSE o.detail END
          FROM o
         WHERE c.id = o.id
        RETURNING c.id, c.state, c.reason, o.is_over
    )
    INSERT INTO bcpaid.history (capture_id, state, reason, by)
    SELECT m.id, m.state, m.reason, 'worker' FROM moved m WHERE m.is_over;
END $$;
COMMENT ON FUNCTION bcpaid.queue_applied(bigint[], text[], text[], bigint[]) IS 'write down which orders show Captured in Odoo, or why not yet';

/* Stores that a person wants to be tested, once. */
CREATE FUNCTION bcpaid.queue_tests() RETURNS TABLE (store_id integer, store_hash text, token text)
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bcpaid.store WHERE test_wanted) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH wanted AS (
        UPDATE bcpaid.store SET test_wanted = false WHERE test_wanted RETURNING id
    )
    SELECT w.id, bcpaid.store_hash(w.id), COALESCE(bcpaid.connector_token(w.id), t.token)
      FROM wanted w LEFT JOIN bcpaid.token t ON t.store_id = w.id;
END $$;
COMMENT ON FUNCTION bcpaid.queue_tests() IS 'stores whose test was asked for';

CREATE FUNCTION bcpaid.queue_tested(store integer, is_ok boolean, result text) RETURNS void
LANGUAGE sql AS $$
    UPDATE bcpaid.store
       SET tested_at = pg_catalog.clock_timestamp(), test_ok = is_ok, test_result = result
     WHERE id = queue_tested.store
$$;
COMMENT ON FUNCTION bcpaid.queue_tested(integer, boolean, text) IS 'write down what a test of a store found';

/* History and attempts are kept for a while; the ledger itself stays.  True while there is more. */
CREATE FUNCTION bcpaid.queue_prune(older_than interval, at_most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    pruned integer;
    more boolean;
BEGIN
    DELETE FROM bcpaid.attempt
     WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM bcpaid.attempt a
                              WHERE a.at < pg_catalog.now() - older_than ORDER BY a.at LIMIT at_most));
    GET DIAGNOSTICS pruned = ROW_COUNT;
    more := pruned = at_most;
    DELETE FROM bcpaid.history
     WHERE ctid = ANY (ARRAY(SELECT h.ctid FROM bcpaid.history h
                              WHERE h.at < pg_catalog.now() - older_than ORDER BY h.at LIMIT at_most));
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN more OR pruned = at_most;
END $$;
COMMENT ON FUNCTION bcpaid.queue_prune(interval, integer) IS 'delete history and attempts that are older than bcpaid.retention';

CREATE FUNCTION bcpaid.queue_warn(capture bigint, what text) RETURNS void
LANGUAGE sql AS $$
    UPDATE bcpaid.capture SET warning = what WHERE id = queue_warn.capture
$$;
COMMENT ON FUNCTION bcpaid.queue_warn(bigint, text) IS 'keep something strange that was seen after a capture';

/*
 * When is there something to do next?  Infinity: when somebody commits
 * something.  `apply`: when the first order is to be set to Captured; `sweep`: a
 * sweep is due now, or not yet at its end; `news`: candidates are there.
 */
CREATE FUNCTION bcpaid.queue_next_due(sweep_every interval, may_send boolean,
                                      OUT due timestamptz, OUT apply timestamptz, OUT sweep boolean, OUT news boolean)
LANGUAGE plpgsql AS $$
BEGIN
    WITH swept AS (
        SELECT CASE WHEN swept_to > 0 THEN 'epoch'
                    ELSE COALESCE(swept_at + sweep_every, 'epoch') END AS again_at
          FROM bcpaid.progress WHERE bcpaid.judging_problem() IS NULL
    )
    SELECT LEAST(
        (SELECT pg_catalog.min(GREATEST(first.due, s.retry_at))
           FROM bcpaid.store s
          CROSS JOIN LATERAL (SELECT c.due FROM bcpaid.capture c
                               WHERE c.store_id = s.id AND c.state IN ('queued', 'waiting', 'unknown')
                               ORDER BY c.due LIMIT 1) AS first
          WHERE may_send AND NOT s.paused AND s.stopped_reason IS NULL),
        (SELECT 'epoch'::timestamptz FROM bcpaid.store WHERE test_wanted AND may_send LIMIT 1),
        (SELECT again_at FROM swept),
        'infinity'),
        COALESCE((SELECT pg_catalog.min(c.due) FROM bcpaid.capture c
                   WHERE c.state = 'captured' AND bcpaid.judging_problem() IS NULL), 'infinity'),
        COALESCE((SELECT again_at <= pg_catalog.clock_timestamp() FROM swept), false),
        EXISTS (SELECT FROM bcpaid.candidate) AND bcpaid.judging_problem() IS NULL
      INTO due, apply, sweep, news;
END $$;
COMMENT ON FUNCTION bcpaid.queue_next_due(interval, boolean) IS 'when the worker of this database has something to do';
