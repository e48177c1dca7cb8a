/*
 * Eligibility in words: one row a condition, in the order of DESIGN.md, with the
 * fact that made it hold or fail.  The names of the conditions are judge's.
 *
 * A last row "automatic", met = false, says why an order that can be marked by
 * hand is not marked by itself; it makes bcpaid_can_mark false for nobody.
 */
CREATE FUNCTION bcpaid.explain_parts() RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object(
'switch_words', $$CASE
    WHEN k.store_id IS NULL THEN 'the order has no store'
    WHEN NOT k.has_store THEN format('store %s is not set up, see bcpaid.set_store', k.store_id)
    WHEN NOT k.is_on THEN format('Mark Order as Paid? is off for store %s', {store_words})
    WHEN k.hash IS NULL THEN format('store %s has no valid store hash', {store_words})
    ELSE format('Mark Order as Paid? is on for store %s', {store_words}) END$$,
'store_words', $$coalesce(k.store_name, k.store_id::text)$$,
'link_words', $$CASE
    WHEN k.links > 1 THEN 'linked to several remote orders'
    WHEN coalesce(k.words, '') = '' THEN 'no BigCommerce ID'
    WHEN k.remote_id IS NULL THEN format('BigCommerce ID "%s" is no order number', left(k.words, 40))
    WHEN k.state = 'cancel' THEN format('%s is cancelled', k.name)
    WHEN k.state IS NULL OR k.state NOT IN ('sale', 'done') THEN format('%s is not confirmed', k.name)
    WHEN f.other_orders IS NOT NULL THEN format('remote order %s is also carried by %s', k.remote_id, f.other_orders)
    ELSE format('remote order %s', k.remote_id) END$$,
'invoiced_words', $$CASE
    WHEN k.invoice_status IS DISTINCT FROM 'invoiced' THEN format('invoice status is "%s"', coalesce(k.invoice_status, ''))
    WHEN t.invoices = 0 THEN 'no posted invoice'
    ELSE format('fully invoiced: %s', f.invoices) END$$,
'settled_words', $$CASE
    WHEN f.unsettled IS NOT NULL THEN f.unsettled
    WHEN t.invoices = 0 THEN 'no posted invoice'
    WHEN t.net <= 0 AND f.credits IS NULL THEN 'nothing to pay'
    WHEN NOT t.has_paid THEN 'settled by credit note'
    WHEN t.net <= 0 THEN format('nothing is left after credit note %s', f.credits)
    ELSE format('%s settled', f.amount) || coalesce(' after credit note ' || f.credits, '') END$$,
'capture_words', $$CASE
    WHEN k.capture_id IS NULL THEN 'no capture'
    ELSE format('capture %s is %s', k.capture_id, replace(k.capture_state, '_', ' '))
         || coalesce(': ' || (SELECT c.reason FROM bcpaid.capture c WHERE c.id = k.capture_id), '') END$$,
'automatic_words', $$concat_ws('; ',
    CASE WHEN NOT k.is_loose THEN {capture_words} || ', only a person takes it up again' END,
    CASE WHEN t.has_paid_out THEN format('credit note %s was paid out', f.credits) END,
    (SELECT 'eligible since before the store was switched on' FROM bcpaid.baseline b WHERE b.order_id = k.id))$$);
COMMENT ON FUNCTION bcpaid.explain_parts() IS 'parts of the query explain: the sentences';

/* Names and amounts for the sentences; money in its own currency. */
CREATE FUNCTION bcpaid.facts_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $facts$
SELECT string_agg(v.name, ', ' ORDER BY v.id) FILTER (WHERE v.state = 'posted' AND NOT v.is_credit) AS invoices,
       string_agg(coalesce(v.name, 'draft'), ', ' ORDER BY v.id) FILTER (WHERE v.is_credit) AS credits,
       string_agg(CASE
           WHEN v.state <> 'posted' THEN CASE WHEN v.is_credit THEN 'a credit note is a draft' ELSE 'an invoice is a draft' END
           WHEN v.payment_state = ANY (k.payment_states || '{reversed}'::text[])
               THEN format('%s %s open on %s until the bank line is matched', round(v.open, c.decimal_places), c.name, v.name)
           ELSE format('%s is %s', v.name, coalesce(v.payment_state, 'without payment state'))
                || CASE WHEN v.open > 0 THEN format(', %s %s open', round(v.open, c.decimal_places), c.name) ELSE '' END
           END, '; ' ORDER BY v.id)
           FILTER (WHERE (v.state = 'posted' AND v.payment_state = ANY (k.payment_states || '{reversed}'::text[])
                          AND v.open <= 0) IS NOT TRUE) AS unsettled,
       (SELECT format('%s %s', round(CASE WHEN t.own_currency THEN t.net ELSE k.amount_total END, o.decimal_places), o.name)
        FROM {res_currency} o WHERE o.id = k.currency_id) AS amount,
       CASE WHEN k.remote_id IS NOT NULL AND k.hash IS NOT NULL THEN
           (SELECT string_agg(x.name, ', ' ORDER BY x.name) FROM (SELECT o.name {other_orders}) x) END AS other_orders
FROM ({moves}) v JOIN {res_currency} c ON c.id = v.currency_id
$facts$;
COMMENT ON FUNCTION bcpaid.facts_text() IS 'query: names and amounts for the query explain';

CREATE FUNCTION bcpaid.explain_text() RETURNS text
LANGUAGE sql IMMUTABLE RETURN $explain$
WITH answers AS (
    SELECT e.*, k.id AS order_id
    FROM ({known}) k
    CROSS JOIN LATERAL ({totals} OFFSET 0) t
    CROSS JOIN LATERAL ({facts} OFFSET 0) f
    CROSS JOIN LATERAL (VALUES
        (1, 'switch', ({no_switch}) IS NOT TRUE, {switch_words}),
        (2, 'link', ({no_link}) IS NOT TRUE AND f.other_orders IS NULL, {link_words}),
        (3, 'invoiced', k.invoice_status = 'invoiced' AND t.invoices > 0, {invoiced_words}),
        (4, 'settled', t.invoices > 0 AND t.has_paid AND t.all_settled AND t.net > 0, {settled_words}),
        (5, 'status', ({no_status}) IS NOT TRUE,
            coalesce('payment status is "' || nullif({status_label}, '') || '"', 'no payment status yet')),
        (6, 'gateway', ({no_gateway}) IS NOT TRUE, CASE WHEN k.capture_state = 'not_ours' THEN {capture_words}
            ELSE coalesce('gateway is "' || nullif(k.gateway, '') || '"', 'no real gateway known') END),
        (7, 'capture', ({has_capture}) IS NOT TRUE, {capture_words}),
        (8, 'automatic', false, nullif({automatic_words}, ''))
    ) e (n, condition, met, detail)
)
SELECT a.condition, coalesce(a.met, false) AS met, a.detail
FROM (
    SELECT a.* FROM answers a
    WHERE a.n < 8 OR a.detail IS NOT NULL AND (SELECT bool_and(coalesce(b.met, false)) FROM answers b WHERE b.n < 8)
    UNION ALL
    SELECT 0, 'order', false, coalesce('there is no order ' || $1::int4, 'no order given'), $1::int4
    WHERE NOT EXISTS (SELECT FROM {sale_order} o WHERE o.id = $1::int4)
) a
ORDER BY a.n
$explain$;
COMMENT ON FUNCTION bcpaid.explain_text() IS 'query: every condition of one order, with the fact behind it';
