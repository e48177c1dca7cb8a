/*
 * What the addon in Odoo asks: where the links of orders are shown and set.
 * Nothing here knows the addon, and it works the same for whoever reports
 * from SQL.
 */

/*
 * One row an order: its link, its status as people read it, its last capture,
 * and where it stands at the store:
 *
 *     awaiting     linked and confirmed, not captured as far as is known
 *     under_way    a capture is queued, waiting or being sent
 *     failed       its capture was refused, or is held for a person
 *     captured     captured, by us or by somebody else
 *     taken_back   captured, and its payment was taken back since
 *     NULL         none of our business: no link, refunded, a real gateway
 */
CREATE FUNCTION bcpaid.orders_text(fit jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT bcpaid.fill($orders$
SELECT o.id, {store_id} AS store_id, nullif({words}, '') AS remote_order_id,
       coalesce({labels}::jsonb ->> ({status}::text), {status}::text) AS payment_status,
       c.id AS capture_id, c.state AS capture_state,
       CASE WHEN c.state IN ('captured', 'applied')
                THEN CASE WHEN c.taken_back_at IS NULL THEN 'captured' ELSE 'taken_back' END
            WHEN {own_status_words} = ANY ({captured}) THEN 'captured'
            WHEN c.state IN ('refused', 'held') THEN 'failed'
            WHEN c.state NOT IN ('not_ours', 'cancelled') THEN 'under_way'
            WHEN o.state IN ('sale', 'done') AND {words} <> '' AND {store_id} IS NOT NULL
                 AND c.state IS DISTINCT FROM 'not_ours' AND ({own_status_words} = ANY ({refused})) IS NOT TRUE
                 AND (lower({gateway}::text) = ANY ({real_gateways})) IS NOT TRUE
                THEN 'awaiting' END AS situation
FROM {sale_order} o {link_join}
LEFT JOIN LATERAL (
    SELECT c.id, c.state, c.taken_back_at FROM bcpaid.capture c WHERE c.order_id = o.id
    ORDER BY c.changed_at DESC, c.id DESC LIMIT 1) c ON true
$orders$,
    bcpaid.table_parts(fit) || bcpaid.link_parts(fit) || bcpaid.status_parts(fit) || jsonb_build_object(
        'labels', quote_literal(coalesce(fit -> 'status_labels', '{}')),
        'captured', bcpaid.array_sql(jsonb_build_array('captured', bcpaid.status_words(fit ->> 'status_captured')))))
$$;
COMMENT ON FUNCTION bcpaid.orders_text(jsonb) IS 'query: every order with its link, status, last capture, and where it stands';

CREATE FUNCTION bcpaid.orders_query() RETURNS text
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT a.orders FROM bcpaid.attachment a WHERE bcpaid.judging_problem() IS NULL);
END $$;
COMMENT ON FUNCTION bcpaid.orders_query() IS
    'the text of a query with a row an order: id, store_id, remote_order_id, payment_status, capture_id, capture_state, situation; NULL while nothing can be judged';

CREATE FUNCTION bcpaid.profile_in_use(OUT profile text, OUT status_column text, OUT link_is_ours boolean, OUT problem text)
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fit jsonb := (SELECT a.found FROM bcpaid.attachment a);
BEGIN
    profile := fit ->> 'name';
    link_is_ours := coalesce(fit -> 'adds_columns' <> '{}', false);
    status_column := CASE WHEN fit ->> 'status_table' = 'sale_order' AND NOT link_is_ours THEN fit ->> 'status_column' END;
    problem := bcpaid.judging_problem();
END $$;
COMMENT ON FUNCTION bcpaid.profile_in_use() IS
    'the attached profile, the connector''s own column of sale_order with the status, whether the link is in columns of ours, and why orders cannot be judged, NULL if they can';

/* A connector's links are its own to write: it would not know of ours. */
CREATE FUNCTION bcpaid.set_link(order_id integer, store_id integer, remote_order_id text) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fit jsonb := (SELECT a.found FROM bcpaid.attachment a);
    remote text := nullif(btrim(set_link.remote_order_id), '');
BEGIN
    PERFORM bcpaid.check_owner();
    IF fit -> 'adds_columns' = '{}' OR bcpaid.judging_problem() IS NOT NULL THEN
        RAISE EXCEPTION 'cannot set the link of order %', set_link.order_id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = coalesce(bcpaid.judging_problem(), format('The links of profile "%s" are its connector''s.', fit ->> 'name'))
                      || '.';
    END IF;
    IF remote !~ '^0*[1-9][0-9]{0,17}$' THEN
        RAISE EXCEPTION 'BigCommerce ID "%" is no order number', left(remote, 40)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is the number that BigCommerce shows for the order.';
    END IF;
    IF set_link.store_id IS NOT NULL THEN
        PERFORM bcpaid.check_store(set_link.store_id);
    END IF;
    IF NOT EXISTS (SELECT FROM bcpaid.as_owner(format(
        'UPDATE %I.sale_order SET %I = $2::int4, %I = $3 WHERE id = $1::int4 RETURNING id',
        fit ->> 'schema', fit ->> 'link_store_column', fit ->> 'link_remote_column'),
        set_link.order_id::text, set_link.store_id::text, remote)) THEN
        RAISE EXCEPTION 'there is no order %', coalesce(set_link.order_id::text, 'NULL') USING ERRCODE = 'undefined_object';
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.set_link(integer, integer, text) IS
    'link an order to a remote order, in the columns of profile native; SQLSTATE 22023 for no order number, 42704 for an unknown store or order, 55000 where links are a connector''s';
