/*
 * The other queries about Odoo's tables (resolve, sweep, apply, token), and all
 * of them put together for one profile.
 */

/* The orders that a payment, a journal entry or an order line may have touched. */
CREATE FUNCTION bcpaid.resolve_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $resolve$
WITH seen AS (
    SELECT unnest($2::int4[]) AS id
    UNION
    SELECT other.move_id
    FROM {account_payment} p
    CROSS JOIN LATERAL (SELECT ml.id FROM {account_move_line} ml WHERE ml.move_id = p.move_id OFFSET 0) ml
    CROSS JOIN LATERAL (SELECT pr.* FROM {account_partial_reconcile} pr WHERE pr.credit_move_id = ml.id OFFSET 0) pr
    JOIN {account_move_line} other ON other.id = pr.debit_move_id
    WHERE p.id = ANY ($1::int4[]){payment_links}
), moves AS (
    SELECT s.id FROM seen s
    UNION
    SELECT m.reversed_entry_id
    FROM seen s CROSS JOIN LATERAL (SELECT m.* FROM {account_move} m WHERE m.id = s.id OFFSET 0) m
    WHERE m.reversed_entry_id IS NOT NULL
    UNION
    SELECT m.id FROM seen s CROSS JOIN LATERAL (SELECT m.* FROM {account_move} m WHERE m.reversed_entry_id = s.id OFFSET 0) m
)
SELECT ol.order_id
FROM moves v
JOIN {account_move_line} ml ON ml.move_id = v.id
JOIN {sale_order_line_invoice_rel} r ON r.invoice_line_id = ml.id
JOIN {sale_order_line} ol ON ol.id = r.order_line_id
UNION
SELECT ol.order_id FROM {sale_order_line} ol WHERE ol.id = ANY ($3::int4[])
$resolve$;
COMMENT ON FUNCTION bcpaid.resolve_text() IS 'query: the orders that payments, journal entries and order lines lead to';

/*
 * By the order's row first: once an order is captured its status says so, and
 * nothing else is read.  A range of ids, so that a batch is bounded by what it
 * reads and not by what it finds; OFFSET 0 keeps the lookups from becoming joins,
 * which would read our whole ledger for each batch; and captures from being found
 * by their store, which would read all of a store for each order.  A capture of
 * another remote order, or at another store, is none of what the order is linked
 * to now.  One that was imported as applied is not shown here: it is judged.
 */
CREATE FUNCTION bcpaid.sweep_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $sweep$
SELECT o.id AS order_id
FROM {sale_order} o {link_join}
WHERE o.id > $1::int4 AND o.id <= $2::int4 AND o.state IN ('sale', 'done') AND o.invoice_status = 'invoiced'
  AND {words} <> '' AND {store_id} = ANY (ARRAY(SELECT s.id FROM bcpaid.store s WHERE s.mark_order_as_paid))
  AND ({own_status_words} = ANY ({refused})) IS NOT TRUE
  AND NOT EXISTS (
      SELECT FROM (SELECT k.* FROM bcpaid.capture k WHERE k.order_id = o.id OFFSET 0) c
      WHERE c.remote_order_id::text = {words} AND NOT ({is_loose}) AND NOT (c.state = 'applied' AND c.due = 'infinity')
        AND c.store_hash = (SELECT {hash} FROM bcpaid.store s {store_join} WHERE s.id = {store_id})
      OFFSET 0)
  AND NOT EXISTS (SELECT FROM bcpaid.baseline b WHERE b.order_id = o.id OFFSET 0)
ORDER BY o.id
$sweep$;
COMMENT ON FUNCTION bcpaid.sweep_text() IS 'query: the next orders that look worth judging';

/*
 * Never waits: Odoo's row is Odoo's first.  FOR NO KEY UPDATE leaves its child rows free.
 * An order that got another remote order while this one, $2, was sent is not
 * Captured by it: its new one would never be taken up.
 */
CREATE FUNCTION bcpaid.apply_text(fit jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE WHEN NOT fit ? 'status_column' THEN
    'SELECT CASE WHEN EXISTS (SELECT FROM {elsewhere}) THEN ''elsewhere'' '
    'WHEN EXISTS (SELECT FROM {sale_order} o WHERE o.id = $1::int4) THEN ''own'' ELSE ''gone'' END AS apply'
ELSE bcpaid.fill($apply$
WITH elsewhere AS MATERIALIZED (
    SELECT FROM {elsewhere}
), captured AS MATERIALIZED (
    SELECT {value} AS value
), held AS MATERIALIZED (
    SELECT t.id, t.{column} AS status FROM {table} t
    WHERE t.{order} = $1::int4 AND NOT EXISTS (SELECT FROM elsewhere) FOR NO KEY UPDATE SKIP LOCKED
), written AS (
    UPDATE {table} t SET {column} = v.value
    FROM held h, captured v
    WHERE t.id = h.id AND v.value IS NOT NULL AND h.status IS DISTINCT FROM v.value
)
SELECT CASE
    WHEN EXISTS (SELECT FROM elsewhere) THEN 'elsewhere'
    WHEN (SELECT v.value IS NULL FROM captured v) THEN 'no value'
    WHEN (SELECT count(*) FROM held) < (SELECT count(*) FROM {table} t WHERE t.{order} = $1::int4) THEN 'locked'
    WHEN EXISTS (SELECT FROM held) THEN 'done'
    ELSE 'gone' END AS apply
$apply$,
    jsonb_build_object(
    'column', quote_ident(fit ->> 'status_column'),
    'order', quote_ident(fit ->> 'status_order_column'),
    'table', format('%I.%I', fit ->> 'schema', fit ->> 'status_table'),
    'value', CASE WHEN fit ? 'status_lookup' THEN (
        SELECT format('(SELECT min(c.id) FROM %I.%I c WHERE replace(lower(btrim(%s::text)), ''_'', '' '') = %L AND %s)',
            fit ->> 'schema', l ->> 'table', bcpaid.name_sql(format('c.%I', l ->> 'column'),
                bcpaid.column_type(l ->> 'table', l ->> 'column')),
            bcpaid.status_words(fit ->> 'status_captured'),
            bcpaid.store_condition(jsonb_build_object('store_filter', coalesce(l -> 'filter', '{}')), 'c'))
        FROM (SELECT fit -> 'status_lookup') x (l))
        ELSE format('%L::%s', fit ->> 'status_captured', fit ->> 'status_type') END))
END
$$;
COMMENT ON FUNCTION bcpaid.apply_text(jsonb) IS 'query: sets the status of one order to Captured, and says done, locked, gone, elsewhere, own or no value';

/* Payments link to invoices directly, and may have no entry, where this table is (from Odoo 18). */
CREATE FUNCTION bcpaid.has_payment_links() RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT bcpaid.column_type('account_move__account_payment', 'invoice_id') IS NOT NULL
   AND bcpaid.column_type('account_payment', 'state') IS NOT NULL
$$;
COMMENT ON FUNCTION bcpaid.has_payment_links() IS 'do payments have a state and a link to invoices of their own in this Odoo?';

CREATE FUNCTION bcpaid.table_parts(fit jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT jsonb_object_agg(t, format('%I.%I', fit ->> 'schema', t))
FROM unnest(ARRAY['sale_order', 'sale_order_line', 'sale_order_line_invoice_rel', 'account_move', 'account_move_line',
    'account_payment', 'account_move__account_payment', 'account_partial_reconcile', 'res_currency']) t
$$;
COMMENT ON FUNCTION bcpaid.table_parts(jsonb) IS 'parts of the queries: Odoo''s tables, qualified';

/* What the queries read in every profile.  The check of order.c rests on it. */
CREATE FUNCTION bcpaid.query_columns(fit jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH used (t, columns) AS (VALUES
    ('sale_order', 'id name state invoice_status currency_id amount_total'),
    ('sale_order_line', 'id order_id product_id'),
    ('sale_order_line_invoice_rel', 'order_line_id invoice_line_id'),
    ('account_move', 'id name move_type state payment_state currency_id amount_total amount_total_signed '
        'amount_residual reversed_entry_id create_date'),
    ('account_move_line', 'id move_id price_total'),
    ('account_partial_reconcile', 'debit_move_id credit_move_id'),
    ('account_payment', 'id move_id'),
    ('res_currency', 'id name decimal_places'),
    (CASE WHEN bcpaid.has_payment_links() THEN 'account_move__account_payment' END, 'invoice_id payment_id'),
    (CASE WHEN bcpaid.has_payment_links() THEN 'account_payment' END, 'state amount currency_id payment_type'),
    (CASE WHEN bcpaid.has_payment_links() THEN 'account_move' END, 'statement_line_id'),
    (CASE WHEN bcpaid.has_payment_links() THEN 'account_partial_reconcile' END, 'debit_amount_currency'))
SELECT array_agg(format('%s.%s.%s', fit ->> 'schema', n.t, n.c) ORDER BY n.t, n.c)
FROM (
    SELECT u.t, c FROM used u, string_to_table(u.columns, ' ') c WHERE u.t IS NOT NULL
    UNION SELECT n.odoo_table, n.odoo_column FROM bcpaid.needed_columns(fit) n) n (t, c)
$$;
COMMENT ON FUNCTION bcpaid.query_columns(jsonb) IS 'every column of Odoo that the queries of this profile read, as schema.table.column';

CREATE FUNCTION bcpaid.query_texts(fit jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    links bool := bcpaid.has_payment_links();
    parts jsonb := bcpaid.table_parts(fit) || bcpaid.link_parts(fit) || bcpaid.status_parts(fit)
        || bcpaid.store_parts(fit) || bcpaid.condition_parts() || bcpaid.explain_parts()
        || jsonb_build_object(
            'own', bcpaid.own_text(), 'placed', bcpaid.placed_text(), 'known', bcpaid.known_text(),
            'moves', bcpaid.moves_text(), 'totals', bcpaid.totals_text(),
            'facts', bcpaid.facts_text(), 'known_of_k', replace(bcpaid.fill(bcpaid.known_text(),
                jsonb_build_object('placed', bcpaid.placed_text())), '{own}', 'SELECT k.*'),
            'covered', CASE WHEN links THEN bcpaid.covered_text() ELSE '0' END,
            'paid_out', bcpaid.paid_out_text() || CASE WHEN links THEN ' OR EXISTS (SELECT FROM '
                '{account_move__account_payment} q WHERE q.invoice_id = m.id)' ELSE '' END,
            'payment_links', CASE WHEN links THEN ' UNION SELECT q.invoice_id FROM '
                '{account_move__account_payment} q WHERE q.payment_id = ANY ($1::int4[])' ELSE '' END);
    many jsonb := parts || '{"chosen": "o.id = ANY ($1::int4[])"}';
    one jsonb := parts || '{"chosen": "o.id = $1::int4"}';
    asked jsonb := parts || '{"chosen": "o.id = a.id"}';
BEGIN
    RETURN jsonb_build_object(
        'judge', bcpaid.fill(bcpaid.judge_text(), many),
        'cheap', bcpaid.fill(bcpaid.asked_text(bcpaid.cheap_text()), asked),
        'plain', bcpaid.fill(bcpaid.asked_text(bcpaid.plain_text()), asked),
        'explain', bcpaid.fill(bcpaid.explain_text(), one),
        'resolve', bcpaid.fill(bcpaid.resolve_text(), parts),
        'sweep', bcpaid.fill(bcpaid.sweep_text(), parts),
        'apply', bcpaid.fill(bcpaid.apply_text(fit), one || '{"elsewhere": "({placed}) k WHERE k.remote_id <> $2::int8"}'),
        'orders', bcpaid.orders_text(fit),
        'token', CASE WHEN fit ? 'store_token_column' THEN
            format('SELECT cs.%I::text AS token FROM %I.%I cs WHERE cs.id = $1::int4',
                fit ->> 'store_token_column', fit ->> 'schema', fit ->> 'store_table') END);
END $$;
COMMENT ON FUNCTION bcpaid.query_texts(jsonb) IS 'the queries for a profile as found, by the names of their columns in bcpaid.attachment';
