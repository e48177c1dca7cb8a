/*
 * Eligibility, the queries: own, placed, known, cheap, plain, moves and judge (30-eligibility.sql
 * says how they nest).  The conditions stand in the order of DESIGN.md.
 */
CREATE FUNCTION bcpaid.own_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $own$
SELECT b.*, r.remote_id
FROM (
    SELECT o.id, o.name, o.state, o.invoice_status, o.amount_total, o.currency_id,
           {store_id} AS store_id, {words} AS words, {links} AS links,
           {status}::text AS status, {gateway}::text AS gateway
    FROM {sale_order} o {link_join}
    WHERE {chosen}
    OFFSET 0) b
CROSS JOIN LATERAL (
    SELECT CASE WHEN b.words = '' OR btrim(b.words, '0123456789') <> '' THEN NULL
                WHEN length(b.words) < 19 OR (length(b.words) = 19 AND b.words COLLATE "C" <= '9223372036854775807')
                    THEN b.words::int8 END AS remote_id
    OFFSET 0) r
$own$;
COMMENT ON FUNCTION bcpaid.own_text() IS 'query: orders with link and status';

CREATE FUNCTION bcpaid.placed_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $placed$
SELECT b.*, s.name AS store_name, s.hash, s.store_id IS NOT NULL AS has_store,
       coalesce(s.payment_states, '{paid,in_payment}') AS payment_states,
       coalesce(s.mark_order_as_paid, false) AS is_on
FROM ({own}) b
LEFT JOIN LATERAL (
    SELECT s.id AS store_id, {store_name}::text AS name, {hash} AS hash, s.payment_states, s.mark_order_as_paid
    FROM bcpaid.store s {store_join} WHERE s.id = b.store_id
    OFFSET 0) s ON true
$placed$;
COMMENT ON FUNCTION bcpaid.placed_text() IS 'query: orders with link, status and store';

CREATE FUNCTION bcpaid.known_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $known$
SELECT p.*, c.id AS capture_id, c.state AS capture_state, coalesce(c.is_loose, true) AS is_loose, c.sent_at
FROM ({placed}) p
LEFT JOIN LATERAL (
    SELECT c.id, c.state, {is_loose} AS is_loose,
           CASE WHEN c.state IN ('sending', 'unknown', 'captured', 'applied')
                THEN coalesce(c.sent_at, c.captured_at) END AS sent_at FROM bcpaid.capture c
    WHERE c.store_hash = p.hash AND c.remote_order_id = p.remote_id
    OFFSET 0) c ON true
$known$;
COMMENT ON FUNCTION bcpaid.known_text() IS 'query: orders with link, status, store and capture';

/*
 * What follows from known alone, by condition.  NULL: they hold as far as known
 * can tell.  A capture that was refused, held or cancelled hides nothing.  Loose is
 * one that lost its order (the words are queue_obstacle's): whichever has its
 * link now takes it up, as if there were none.
 */
CREATE FUNCTION bcpaid.condition_parts() RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object(
    'no_switch', 'NOT k.is_on OR k.hash IS NULL',
    'no_link', 'k.remote_id IS NULL OR k.links > 1 OR k.state IS NULL OR k.state NOT IN (''sale'', ''done'')',
    'other_orders', 'FROM {same} AND o.state IS DISTINCT FROM ''cancel'' AND ({same_store} = k.store_id OR '
        '(SELECT {hash} FROM bcpaid.store s {store_join} WHERE s.id = {same_store}) = k.hash)',
    'no_status', '{status_words} = ANY ({refused})',
    'no_gateway', 'k.capture_state = ''not_ours'' OR lower(k.gateway) = ANY ({real_gateways})',
    'is_loose', 'c.state = ''cancelled'' AND c.reason IN (''the order was deleted in Odoo'', '
        '''the order''''s link to the store was changed'')',
    'has_capture', 'k.capture_state IN (''queued'', ''claimed'', ''sending'', ''captured'', ''applied'', ''waiting'', ''unknown'')');
COMMENT ON FUNCTION bcpaid.condition_parts() IS 'parts of the queries: the conditions that orders and our ledger decide';

/*
 * A query of one order after the other, see src/odoo_ask.c: each row that is
 * fetched is the answer for $1 as it is then.  OFFSET 0: it is looked up for
 * each, and not joined.
 */
CREATE FUNCTION bcpaid.asked_text(question text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN 'SELECT q.* FROM (SELECT $1::int4 AS id, pg_catalog.generate_series(1, 9223372036854775807)) a LEFT JOIN LATERAL ('
    || question || ' OFFSET 0) q ON true';
COMMENT ON FUNCTION bcpaid.asked_text(text) IS 'query: a question about order a.id, asked for one order after the other';

/*
 * For the button: most orders are decided here, most of those by their own row,
 * and planning this takes a tenth of planning judge.  Within the inner query own
 * is this row again, k.
 */
CREATE FUNCTION bcpaid.cheap_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $cheap$
SELECT k.id AS order_id, CASE
    WHEN k.invoice_status IS DISTINCT FROM 'invoiced' OR {no_link} OR {no_status} THEN false
    ELSE (SELECT CASE WHEN {no_switch} OR {no_gateway} OR {has_capture} THEN false END FROM ({known_of_k}) k) END AS can_mark
FROM ({own}) k
$cheap$;
COMMENT ON FUNCTION bcpaid.cheap_text() IS 'query: orders that known alone decides: false, or NULL';

/*
 * For the button, when cheap let the order pass: the usual order has posted
 * invoices, no credit note and nothing open, and needs a third of what starting
 * judge costs.  NULL: it is not that usual, ask judge.
 */
CREATE FUNCTION bcpaid.plain_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $plain$
SELECT k.id AS order_id, CASE WHEN EXISTS (SELECT {other_orders}) THEN false ELSE (
    SELECT CASE
        WHEN count(*) = 0 THEN false
        WHEN bool_or(m.state <> 'posted' OR m.payment_state IS NULL
                     OR m.payment_state <> ALL (k.payment_states || '{reversed}'::text[])) THEN false
        WHEN bool_and(m.move_type = 'out_invoice' AND m.payment_state = ANY (k.payment_states)
                      AND m.amount_total > 0 AND m.amount_residual = 0
                      AND NOT EXISTS (SELECT FROM {account_move} x WHERE x.reversed_entry_id = m.id))
             AND sum(ml.price_total) > 0 THEN true
        END
    FROM {sale_order_line} ol
    JOIN {sale_order_line_invoice_rel} r ON r.order_line_id = ol.id
    JOIN {account_move_line} ml ON ml.id = r.invoice_line_id
    JOIN {account_move} m ON m.id = ml.move_id
    WHERE ol.order_id = k.id AND m.move_type IN ('out_invoice', 'out_refund') AND m.state <> 'cancel') END AS can_mark
FROM ({placed}) k
$plain$;
COMMENT ON FUNCTION bcpaid.plain_text() IS 'query: orders that passed cheap and are as usual, whether they can be marked, or NULL';

/*
 * The invoices and credit notes of order k, cancelled ones left out.
 *
 * A credit note belongs to the order by a sale line or because it reverses one
 * of its invoices.  share is what of the move is this order's: all of it, or the
 * lines linked to it when the move has lines of other orders too.  open is what
 * no payment covers.
 */
CREATE FUNCTION bcpaid.moves_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $moves$
WITH linked AS MATERIALIZED (
    SELECT ml.move_id AS id, sum(ml.price_total) AS lines
    FROM {sale_order_line} ol
    JOIN {sale_order_line_invoice_rel} r ON r.order_line_id = ol.id
    JOIN {account_move_line} ml ON ml.id = r.invoice_line_id
    WHERE ol.order_id = k.id
    GROUP BY ml.move_id
), every AS (
    SELECT l.id, l.lines FROM linked l
    UNION ALL
    SELECT m.id, m.amount_total
    FROM linked l
    CROSS JOIN LATERAL (SELECT m.* FROM {account_move} m WHERE m.reversed_entry_id = l.id OFFSET 0) m
    WHERE m.move_type = 'out_refund' AND m.id NOT IN (SELECT x.id FROM linked x)
)
SELECT m.id, m.name, m.move_type = 'out_refund' AS is_credit, m.state, m.payment_state, m.currency_id,
       m.amount_total, m.amount_total_signed, m.create_date,
       CASE WHEN e.lines = m.amount_total OR NOT EXISTS (
                SELECT FROM {account_move_line} ml
                JOIN {sale_order_line_invoice_rel} r ON r.invoice_line_id = ml.id
                JOIN {sale_order_line} ol ON ol.id = r.order_line_id
                WHERE ml.move_id = m.id AND ol.order_id <> k.id)
            THEN m.amount_total ELSE e.lines END AS share,
       CASE WHEN m.amount_residual = 0 THEN 0 ELSE m.amount_residual - {covered} END AS open,
       m.move_type = 'out_refund' AND m.state = 'posted' AND ({paid_out}) AS is_paid_out
FROM every e
JOIN {account_move} m ON m.id = e.id
WHERE m.move_type IN ('out_invoice', 'out_refund') AND m.state <> 'cancel'
$moves$;
COMMENT ON FUNCTION bcpaid.moves_text() IS 'query: invoices and credit notes of one order, with what is open on each';

/*
 * Payments without a journal entry (from Odoo 18, Enterprise) leave the residual
 * as it is, so they are counted against it.  Never too high: of a payment for
 * several invoices only what the others' totals leave over; nothing in another currency;
 * and what bank lines matched on the invoice is taken off, for such a payment and
 * the bank line it announced are the same money.
 */
CREATE FUNCTION bcpaid.covered_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $covered$greatest(0,
    coalesce((
        SELECT sum(greatest(0, p.amount - coalesce((
            SELECT sum(x.amount_total)
            FROM {account_move__account_payment} y JOIN {account_move} x ON x.id = y.invoice_id
            WHERE y.payment_id = p.id AND y.invoice_id <> m.id AND x.state = 'posted' AND x.move_type = m.move_type), 0)))
        FROM {account_move__account_payment} q JOIN {account_payment} p ON p.id = q.payment_id
        WHERE q.invoice_id = m.id AND p.move_id IS NULL AND p.state IN ('in_process', 'paid')
          AND p.currency_id = m.currency_id
          AND p.payment_type = CASE m.move_type WHEN 'out_refund' THEN 'outbound' ELSE 'inbound' END), 0)
    - coalesce((
        SELECT sum(pr.debit_amount_currency)
        FROM {account_move_line} ml
        CROSS JOIN LATERAL (SELECT pr.* FROM {account_partial_reconcile} pr WHERE pr.debit_move_id = ml.id OFFSET 0) pr
        JOIN {account_move_line} other ON other.id = pr.credit_move_id
        JOIN {account_move} bank ON bank.id = other.move_id AND bank.statement_line_id IS NOT NULL
        WHERE ml.move_id = m.id), 0))$covered$;
COMMENT ON FUNCTION bcpaid.covered_text() IS 'part of the queries: what payments without a journal entry cover of move m';

/* A credit note that met anything but an invoice gave money back. */
CREATE FUNCTION bcpaid.paid_out_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $paid_out$EXISTS (
        SELECT FROM {account_move_line} ml
        JOIN {account_partial_reconcile} pr ON pr.credit_move_id = ml.id
        JOIN {account_move_line} other ON other.id = pr.debit_move_id
        JOIN {account_move} x ON x.id = other.move_id
        WHERE ml.move_id = m.id AND x.move_type <> 'out_invoice')$paid_out$;
COMMENT ON FUNCTION bcpaid.paid_out_text() IS 'part of the queries: was credit note m paid out?';

/*
 * The moves of an order in one row.  A reversed invoice is settled, but only a paid one counts as paid.
 *
 * is_still_paid is asked of a captured order: what was settled when it was sent
 * is settled still, and more of it than was credited since.  Invoices made later
 * say nothing about that payment.
 */
CREATE FUNCTION bcpaid.totals_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $totals$
SELECT count(*) FILTER (WHERE v.state = 'posted' AND NOT v.is_credit) AS invoices,
       bool_or(v.state = 'posted' AND NOT v.is_credit AND v.amount_total > 0
               AND v.payment_state = ANY (k.payment_states)) AS has_paid,
       bool_and(v.is_settled) AS all_settled,
       bool_or(v.is_paid_out) AS has_paid_out,
       CASE WHEN min(v.currency_id) = max(v.currency_id)
            THEN sum(CASE WHEN v.is_credit THEN -v.share ELSE v.share END)
            ELSE sum(v.amount_total_signed) END AS net,
       bool_and(v.is_settled OR v.create_date AT TIME ZONE 'UTC' > k.sent_at)
           AND CASE WHEN min(v.currency_id) = max(v.currency_id)
               THEN sum(CASE WHEN v.is_credit THEN -v.share ELSE v.share END) FILTER (WHERE v.counts)
               ELSE sum(v.amount_total_signed) FILTER (WHERE v.counts) END > 0 AS is_still_paid,
       min(v.currency_id) = k.currency_id AND max(v.currency_id) = k.currency_id AS own_currency
FROM (
    SELECT w.*, w.is_settled OR w.is_credit AND w.state = 'posted' AS counts
    FROM (
        SELECT v.*, coalesce(v.state = 'posted' AND v.payment_state = ANY (k.payment_states || '{reversed}'::text[])
                             AND v.open <= 0, false) AS is_settled
        FROM ({moves}) v
        OFFSET 0) w) v
$totals$;
COMMENT ON FUNCTION bcpaid.totals_text() IS 'query: invoices and credit notes of one order, summed up';

/*
 * A link without a remote order, or no invoice yet: then the moves are not looked
 * at, and paid is false.  An order that was captured is looked at all the same.
 */
CREATE FUNCTION bcpaid.judge_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $judge$
SELECT j.order_id, j.store_id, j.store_hash, j.remote_order_id, j.amount, j.currency, j.lines,
       j.failed IS NULL AS can_mark,
       j.failed IS NULL AND j.is_loose AND NOT j.has_paid_out
           AND NOT EXISTS (SELECT FROM bcpaid.baseline b WHERE b.order_id = j.order_id) AS automatic,
       j.paid, j.capture_id, j.capture_state, j.failed
FROM (
    SELECT k.id AS order_id, k.store_id, k.hash AS store_hash, k.remote_id AS remote_order_id,
           CASE WHEN t.own_currency THEN t.net ELSE k.amount_total END AS amount,
           (SELECT c.name::text FROM {res_currency} c WHERE c.id = k.currency_id) AS currency,
           coalesce(t.lines, 0)::int4 AS lines,
           coalesce(CASE WHEN k.sent_at IS NULL THEN t.paid ELSE t.has_paid AND t.is_still_paid END, false) AS paid,
           coalesce(t.has_paid_out, false) AS has_paid_out,
           k.capture_id, k.capture_state, k.is_loose,
           CASE
               WHEN {no_switch} THEN 'switch'
               WHEN {no_link} OR EXISTS (SELECT {other_orders}) THEN 'link'
               WHEN k.invoice_status IS DISTINCT FROM 'invoiced' OR t.invoices = 0 THEN 'invoiced'
               WHEN NOT t.paid THEN 'settled'
               WHEN {no_status} THEN 'status'
               WHEN {no_gateway} THEN 'gateway'
               WHEN {has_capture} THEN 'capture'
           END AS failed
    FROM ({known}) k
    LEFT JOIN LATERAL (
        SELECT t.*, coalesce(t.has_paid AND t.all_settled AND t.net > 0, false) AS paid,
               (SELECT count(*) FROM {sale_order_line} ol WHERE ol.order_id = k.id AND ol.product_id IS NOT NULL) AS lines
        FROM ({totals}) t
        OFFSET 0) t ON (k.invoice_status = 'invoiced' OR k.sent_at IS NOT NULL) AND k.remote_id IS NOT NULL AND k.hash IS NOT NULL
    OFFSET 0) j
$judge$;
COMMENT ON FUNCTION bcpaid.judge_text() IS 'query: everything about the given orders, see order.h';
