/*
 * Claim and intent: the two moments at which Odoo is asked again whether the
 * order may be captured.
 */

/* One minor unit a line, at least 0.05; minor units as ISO 4217 has them. */
CREATE FUNCTION bcpaid.default_tolerance(currency text, lines integer) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT GREATEST(0.05, lines * CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF',
                          'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 1
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 0.001
        ELSE 0.01 END)
$$;
COMMENT ON FUNCTION bcpaid.default_tolerance(text, integer) IS 'by how much the amounts of Odoo and store may differ: one minor unit a line, at least 0.05';

/*
 * Why an order cannot go on that was eligible when it was enqueued; NULL if
 * it can.  Its own capture under way is no reason.
 */
CREATE FUNCTION bcpaid.queue_obstacle(c bcpaid.capture, order_id integer, store_hash text,
                                      remote_order_id bigint, failed text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN order_id IS NULL THEN 'the order was deleted in Odoo'
        WHEN remote_order_id <> c.remote_order_id THEN 'the order''s link to the store was changed'
        WHEN store_hash IS DISTINCT FROM c.store_hash OR remote_order_id IS NULL
            THEN 'not eligible any more: link'
        WHEN failed <> 'capture'
            THEN 'not eligible any more: ' || failed END
$$;
COMMENT ON FUNCTION bcpaid.queue_obstacle(bcpaid.capture, integer, text, bigint, text) IS 'what happened in Odoo to an order under way';

/*
 * An order that may become eligible again waits for that; any other is done
 * with.  What a person approved of is past then.
 */
CREATE FUNCTION bcpaid.queue_stop(capture bigint, why text) RETURNS void
LANGUAGE sql AS $$
    UPDATE bcpaid.capture SET approved = NULL WHERE id = queue_stop.capture AND approved IS NOT NULL;
    SELECT bcpaid.queue_move(ARRAY[capture],
                             CASE WHEN why LIKE 'not eligible%' THEN 'waiting' ELSE 'cancelled' END,
                             why, 'infinity', 'worker')
$$;
COMMENT ON FUNCTION bcpaid.queue_stop(bigint, text) IS 'stop a capture whose order changed in Odoo';

/* A token of another store would stop this one: what was sent to the old one waits for its hash, or for a person. */
CREATE FUNCTION bcpaid.queue_put_off(capture bigint, why text, until timestamptz) RETURNS void
LANGUAGE sql AS $$
    WITH put_off AS (
        UPDATE bcpaid.capture c SET due = until, reason = why
          FROM bcpaid.capture before
         WHERE c.id = queue_put_off.capture AND before.id = c.id
        RETURNING c.id, c.state, before.reason
    )
    INSERT INTO bcpaid.history (capture_id, state, reason, by)
    SELECT id, state, why, 'worker' FROM put_off WHERE reason IS DISTINCT FROM why
$$;
COMMENT ON FUNCTION bcpaid.queue_put_off(bigint, text, timestamptz) IS 'put off a capture whose outcome is not known, and say why, once';

/*
 * Claim what is due, for each store at most as many as there is room for, of
 * all together about `at_most`, dealt out evenly; of a store that was not well,
 * only one that goes ahead.
 * `alone`: since it was put off, its store has answered others well.
 * A capture of unknown outcome stays unknown: only what the store says ends
 * that, so it is looked at even if Odoo has changed its mind.
 * An approval is of the amount in Odoo that the person saw: it ends with that.
 */
CREATE FUNCTION bcpaid.queue_claim(stores integer[], rooms integer[], busy bigint[], default_room integer, at_most integer)
RETURNS TABLE (id bigint, order_id integer, store_id integer, store_hash text, remote_order_id bigint,
               unknown boolean, amount text, currency text, tolerance text, marker text,
               approved text, absent_reads integer, failures integer, sends integer,
               sent_at timestamptz, strategy text, no_transactions boolean, read_back boolean,
               offline_methods text, token text, quota_reserve real, store_failures integer, generation integer,
               answered boolean, alone boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    batch bcpaid.capture[];
    share integer := at_most / GREATEST(1, (
        SELECT pg_catalog.count(*) FROM bcpaid.store s
         WHERE NOT s.paused AND s.stopped_reason IS NULL
           AND (s.retry_at IS NULL OR s.retry_at <= pg_catalog.clock_timestamp())
           AND EXISTS (SELECT FROM bcpaid.capture c
                        WHERE c.store_id = s.id AND c.state IN ('queued', 'waiting', 'unknown')
                          AND c.due <= pg_catalog.clock_timestamp() AND c.id <> ALL (busy))));
BEGIN
    batch := ARRAY(
        SELECT picked.c
          FROM bcpaid.store s
          LEFT JOIN ROWS FROM (pg_catalog.unnest(stores), pg_catalog.unnest(rooms)) AS known (store_id, room) ON known.store_id = s.id
         CROSS JOIN LATERAL (
               SELECT c FROM bcpaid.capture c
                WHERE c.store_id = s.id AND c.state IN ('queued', 'waiting', 'unknown')
                  AND c.due <= pg_catalog.clock_timestamp() AND c.id <> ALL (busy)
                ORDER BY c.due
                LIMIT CASE WHEN s.failures = 0 THEN LEAST(COALESCE(known.room, default_room), GREATEST(share, 1))
                           WHEN EXISTS (SELECT FROM bcpaid.capture b WHERE b.store_id = s.id AND b.id = ANY (busy)) THEN 0
                           ELSE LEAST(known.room, 1) END
                  FOR UPDATE SKIP LOCKED) AS picked
         WHERE NOT s.paused AND s.stopped_reason IS NULL
           AND (s.retry_at IS NULL OR s.retry_at <= pg_catalog.clock_timestamp()));
    IF batch = '{}' THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT c.*, j.amount AS judged_amount, j.currency AS judged_currency, j.lines, o.why,
               CASE WHEN c.odoo_amount IS NOT DISTINCT FROM j.amount THEN c.approved END AS still_approved
          FROM pg_catalog.unnest(batch) AS c
          LEFT JOIN bcpaid.judge(ARRAY(SELECT d.order_id FROM pg_catalog.unnest(batch) AS d)) AS j
                 ON j.order_id = c.order_id
         CROSS JOIN LATERAL (SELECT CASE
                 WHEN c.state <> 'unknown'
                 THEN bcpaid.queue_obstacle(c, j.order_id, j.store_hash, j.remote_order_id, j.failed)
                 WHEN bcpaid.store_hash(c.store_id) IS DISTINCT FROM c.store_hash
                 THEN 'sent, outcome not known; its store has another hash now' END) AS o (why)
    ), stopped AS MATERIALIZED (
        SELECT CASE WHEN n.state = 'unknown'
                    THEN bcpaid.queue_put_off(n.id, n.why, pg_catalog.clock_timestamp() + interval '1 minute')
                    ELSE bcpaid.queue_stop(n.id, n.why) END
          FROM seen n WHERE n.why IS NOT NULL
    ), going AS (
        SELECT n.* FROM seen n WHERE n.why IS NULL AND (SELECT pg_catalog.count(*) FROM stopped) >= 0
    ), claimed AS (
        UPDATE bcpaid.capture c
           SET state = CASE c.state WHEN 'unknown' THEN c.state ELSE 'claimed' END,
               changed_at = CASE c.state WHEN 'unknown' THEN c.changed_at ELSE pg_catalog.clock_timestamp() END,
               approved = g.still_approved, odoo_amount = g.judged_amount
          FROM ROWS FROM (pg_catalog.unnest(ARRAY(SELECT n.id FROM going n)),
                          pg_catalog.unnest(ARRAY(SELECT n.still_approved FROM going n)),
                          pg_catalog.unnest(ARRAY(SELECT n.judged_amount FROM going n)))
               AS g (id, still_approved, judged_amount)     /* no join of what may be many with as many */
         WHERE c.id = g.id
        RETURNING c.id, c.state
    ), told AS (
        INSERT INTO bcpaid.history (capture_id, state, by)
        SELECT claimed.id, claimed.state, 'worker' FROM claimed WHERE claimed.state = 'claimed'
    )
    SELECT g.id, g.order_id, g.store_id, g.store_hash, g.remote_order_id, g.state = 'unknown',
           COALESCE(g.judged_amount, g.amount)::text, COALESCE(g.judged_currency, g.currency),
           COALESCE(s.tolerance, bcpaid.default_tolerance(g.judged_currency, g.lines), 0.05)::text,
           bcpaid.marker(g.store_hash, g.remote_order_id), g.still_approved, g.absent_reads, g.failures, g.sends, g.sent_at,
           s.strategy, s.no_transactions, s.read_back,
           pg_catalog.array_to_string(s.offline_methods, E'\n'),
           COALESCE(bcpaid.connector_token(s.id), t.token), s.quota_reserve, s.failures, s.generation,
           g.answered, g.state IN ('waiting', 'unknown') AND COALESCE(s.last_success_at > g.changed_at, false)
      FROM going g
      JOIN bcpaid.store s ON s.id = g.store_id
      LEFT JOIN bcpaid.token t ON t.store_id = s.id;
END $$;
COMMENT ON FUNCTION bcpaid.queue_claim(integer[], integer[], bigint[], integer, integer) IS 'claim captures that are due, with all that a conversation needs to know';

/*
 * Commit to sending: the last look at Odoo and at where we are, in the
 * transaction that makes the intent durable.  Returns the captures that may
 * be sent once it has committed.  Locked by a statement of their own: what
 * comes after it sees all that whoever was waited for did, to others, too.
 */
CREATE FUNCTION bcpaid.queue_intend(captures bigint[], odoo_amounts numeric[],
                                    amounts numeric[], currencies text[])
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    problem text;
    one record;
    granted bigint[] := '{}';
    sums numeric[] := '{}';
    moneys text[] := '{}';
BEGIN
    PERFORM FROM bcpaid.capture WHERE id = ANY (captures) ORDER BY id FOR UPDATE;
    problem := bcpaid.environment_problem();
    IF problem IS NOT NULL THEN
        PERFORM bcpaid.queue_move(ARRAY(SELECT id FROM bcpaid.capture
                                         WHERE id = ANY (captures) AND state IN ('claimed', 'unknown')),
                                  'waiting', problem,
                                  pg_catalog.clock_timestamp() + interval '1 minute', 'worker');
        RETURN;
    END IF;

    FOR one IN
        SELECT c.id, w.amount, w.currency,
               bcpaid.queue_obstacle(c, j.order_id, j.store_hash, j.remote_order_id, j.failed) AS why,
               j.amount IS DISTINCT FROM w.odoo_amount AS amount_changed,
               s.paused OR s.stopped_reason IS NOT NULL AS store_closed
          FROM ROWS FROM (pg_catalog.unnest(captures), pg_catalog.unnest(odoo_amounts),
                         pg_catalog.unnest(amounts), pg_catalog.unnest(currencies))
               AS w (id, odoo_amount, amount, currency)
          JOIN bcpaid.capture c ON c.id = w.id
          JOIN bcpaid.store s ON s.id = c.store_id
          LEFT JOIN bcpaid.judge(ARRAY(SELECT order_id FROM bcpaid.capture WHERE id = ANY (captures))) AS j
                 ON j.order_id = c.order_id
         WHERE c.state IN ('claimed', 'unknown')
    LOOP
        IF one.why IS NOT NULL THEN
            PERFORM bcpaid.queue_stop(one.id, one.why);
        ELSIF one.store_closed OR one.amount_changed THEN
            UPDATE bcpaid.capture SET approved = NULL WHERE id = one.id AND one.amount_changed AND approved IS NOT NULL;
            PERFORM bcpaid.queue_move(ARRAY[one.id], 'queued',
                                      CASE WHEN one.store_closed THEN 'the store was paused'
                                           ELSE 'the amount changed in Odoo' END, NULL, 'worker');
        ELSE
            granted := granted || one.id;
            sums := sums || one.amount;
            moneys := moneys || one.currency;
        END IF;
    END LOOP;

    RETURN QUERY
    WITH moved AS (
        UPDATE bcpaid.capture c
           SET state = 'sending', reason = NULL, due = pg_catalog.clock_timestamp(), changed_at = pg_catalog.clock_timestamp(),
               sends = c.sends + 1, sent_at = pg_catalog.clock_timestamp(), absent_reads = 0,
               amount = w.amount, currency = w.currency
          FROM ROWS FROM (pg_catalog.unnest(granted), pg_catalog.unnest(sums), pg_catalog.unnest(moneys))
               AS w (id, amount, currency)
         WHERE c.id = w.id
        RETURNING c.id, c.state
    ), told AS (
        INSERT INTO bcpaid.history (capture_id, state, by)
        SELECT t.id, t.state, 'worker' FROM moved t
    )
    SELECT r.id FROM moved r;
END $$;
COMMENT ON FUNCTION bcpaid.queue_intend(bigint[], numeric[], numeric[], text[]) IS 'make the intent to send durable, if Odoo and the environment still allow it';
