/*
 * Eligibility: the queries that decide, made from the profile as found.
 *
 * attach stores their texts; order.c prepares them once per backend and runs
 * them as the owner of sale_order with search_path = pg_catalog, pg_temp.  They
 * are texts, not views or functions with a body that PostgreSQL has parsed: no
 * dependency of ours keeps Odoo from altering or dropping a column.
 *
 * {name} in a text stands for a part from bcpaid.query_parts(), where every
 * table, column and value is quoted already.  The texts, from the inside out:
 *
 *     own      one row an order: its own facts, link, status
 *     placed   own + store
 *     known    placed + capture
 *     cheap    own decides, or known, or they say nothing: three index lookups at most
 *     plain    placed + usual invoices decide, or say nothing
 *     moves    the invoices and credit notes of one order, each with what is open
 *     judge    known + moves: everything
 *
 * LATERAL (... OFFSET 0) is a fence: what is inside is computed once, by index,
 * for each row, also with a generic plan made when the tables were small.
 */

/* Again and again, for parts have parts; what is no part's name stays ('{reversed}', [0-9]{1,9}). */
CREATE FUNCTION bcpaid.fill(template text, parts jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    filled text := template;
    before text;
    part record;
BEGIN
    LOOP
        before := filled;
        FOR part IN SELECT p.key, p.value FROM jsonb_each_text(parts) p LOOP
            filled := replace(filled, '{' || part.key || '}', part.value);
        END LOOP;
        EXIT WHEN filled = before;
    END LOOP;
    RETURN filled;
END $$;
COMMENT ON FUNCTION bcpaid.fill(text, jsonb) IS 'puts the parts into a text in place of {name}, and parts into parts';

/* Not '{a,b}': what stands in braces would be filled. */
CREATE FUNCTION bcpaid.array_sql(items jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format('ARRAY[%s]::text[]', (SELECT string_agg(quote_literal(i), ', ') FROM jsonb_array_elements_text(items) i));
COMMENT ON FUNCTION bcpaid.array_sql(jsonb) IS 'SQL for a list of texts';

/*
 * The link without spaces and leading zeros: '0218' and '218' are one remote
 * order.  The text of the column, so that int4 and varchar read the same; attach
 * makes an index on exactly this, of functions that no ALTER TYPE can break.
 * An id has at most 19 digits; a longer text is cut, for one that does not fit
 * into an index would be an error in Odoo.
 */
CREATE FUNCTION bcpaid.link_words(col text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format('left(ltrim(btrim(%s::text), ''0''), 20)', col);
COMMENT ON FUNCTION bcpaid.link_words(text) IS 'SQL for a link as it is compared';

CREATE FUNCTION bcpaid.to_id(col text, type text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN type IN ('integer', 'smallint') THEN col
    ELSE format('CASE WHEN %1$s::text ~ ''^[0-9]{1,9}$'' THEN %1$s::text::int4 END', col) END;
COMMENT ON FUNCTION bcpaid.to_id(text, text) IS 'SQL for a store''s row id, whatever the type of the column';

/* A hash, or the API path that ends in it and in a version: .../stores/HASH/v3. */
CREATE FUNCTION bcpaid.hash_words(col text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format('CASE WHEN %1$s::text LIKE ''%%/%%'' THEN substring(lower(%1$s::text) from ''/stores/([a-z0-9]{1,64})(?:/|$)'') '
    'ELSE substring(lower(btrim(%1$s::text)) from ''^[a-z0-9]{1,64}$'') END', col);
COMMENT ON FUNCTION bcpaid.hash_words(text) IS 'SQL for a store hash, NULL for what is none';

CREATE FUNCTION bcpaid.status_sql(col text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format('replace(lower(btrim(%s::text)), ''_'', '' '')', col);
COMMENT ON FUNCTION bcpaid.status_sql(text) IS 'SQL for bcpaid.status_words()';

/* Translated names are jsonb by language from Odoo 16: English, or any. */
CREATE FUNCTION bcpaid.name_sql(col text, type text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN type <> 'jsonb' THEN col
    ELSE format('coalesce(%1$s ->> ''en_US'', (SELECT min(t.value) FROM jsonb_each_text(%1$s) t))', col) END;
COMMENT ON FUNCTION bcpaid.name_sql(text, text) IS 'SQL for a name that may be translated';

/* Where the link is: columns of o, or the rows of a binding table, of which all must agree. */
CREATE FUNCTION bcpaid.link_parts(fit jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    link text := fit ->> 'link_table';
    bound bool := link <> 'sale_order';
    row_alias text := CASE WHEN bound THEN 'l' ELSE 'o' END;
    store text := bcpaid.to_id(format('%s.%I', row_alias, fit ->> 'link_store_column'),
                               bcpaid.column_type(link, fit ->> 'link_store_column'));
    words text := bcpaid.link_words(format('%s.%I', row_alias, fit ->> 'link_remote_column'));
BEGIN
    IF NOT bound THEN
        RETURN jsonb_build_object('store_id', store, 'words', words, 'links', '1', 'link_join', '',
            'same', format('{sale_order} o WHERE %s = k.words AND o.id <> k.id', words), 'same_store', store);
    END IF;
    RETURN jsonb_build_object('store_id', 'l.store_id', 'words', 'l.words', 'links', 'l.links',
        'link_join', format($join$
        LEFT JOIN LATERAL (
            SELECT min(%1$s) AS store_id, min(%2$s) AS words, max(%5$s) AS status,
                   CASE WHEN min(%1$s) = max(%1$s) AND min(%2$s) = max(%2$s) THEN 1 ELSE count(*) END AS links
            FROM %3$s l WHERE l.%4$I = o.id AND %6$s
            OFFSET 0) l ON true$join$,
            store, words, format('%I.%I', fit ->> 'schema', link), fit ->> 'link_order_column',
            CASE WHEN fit ->> 'status_table' = link AND fit ? 'status_column'
                 THEN format('l.%I::text', fit ->> 'status_column') ELSE 'NULL::text' END,
            CASE WHEN fit ? 'store_table' THEN format('EXISTS (SELECT FROM %I.%I cs WHERE cs.id = %s AND %s)',
                fit ->> 'schema', fit ->> 'store_table', store, bcpaid.store_condition(fit, 'cs'))
            ELSE 'true' END),
        'same', format('%I.%I l JOIN {sale_order} o ON o.id = l.%I WHERE %s = k.words AND o.id <> k.id',
            fit ->> 'schema', link, fit ->> 'link_order_column', words),
        'same_store', store);
END $$;
COMMENT ON FUNCTION bcpaid.link_parts(jsonb) IS 'parts of the queries that know where the link is';

/* Status and gateway: a column of o, a name behind a foreign key, the binding row, or bcpaid.link. */
CREATE FUNCTION bcpaid.status_parts(fit jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT jsonb_build_object(
    'status', CASE
        WHEN NOT fit ? 'status_column' THEN '(SELECT t.payment_status FROM bcpaid.link t WHERE t.order_id = o.id)'
        WHEN fit ->> 'status_table' <> 'sale_order' THEN 'l.status'
        WHEN fit ? 'status_lookup' THEN format('(SELECT %s FROM %I.%I t WHERE t.id = o.%I)',
            bcpaid.name_sql(format('t.%I', fit #>> '{status_lookup,column}'),
                bcpaid.column_type(fit #>> '{status_lookup,table}', fit #>> '{status_lookup,column}')),
            fit ->> 'schema', fit #>> '{status_lookup,table}', fit ->> 'status_column')
        ELSE format('o.%I', fit ->> 'status_column') END,
    'status_words', bcpaid.status_sql('k.status'),
    'own_status_words', bcpaid.status_sql('{status}'),
    'status_label', format('coalesce(%L::jsonb ->> k.status, k.status)', fit -> 'status_labels'),
    'refused', bcpaid.array_sql(fit -> 'status_refused'),
    'gateway', CASE WHEN fit ? 'gateway_column' THEN format('o.%I', fit ->> 'gateway_column') ELSE 'NULL' END,
    'real_gateways', lower(bcpaid.array_sql(coalesce(fit -> 'gateway_real', '[]'))))
$$;
COMMENT ON FUNCTION bcpaid.status_parts(jsonb) IS 'parts of the queries that know where status and gateway are';

/* The store: our row, and the connector's when it has one. */
CREATE FUNCTION bcpaid.store_parts(fit jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT jsonb_build_object(
    'store_join', CASE WHEN fit ? 'store_table' THEN format('JOIN %I.%I cs ON cs.id = s.id AND %s',
        fit ->> 'schema', fit ->> 'store_table', bcpaid.store_condition(fit, 'cs')) ELSE '' END,
    'hash', CASE WHEN fit ? 'store_hash_column'
        THEN bcpaid.hash_words(format('cs.%I', fit ->> 'store_hash_column')) ELSE 's.hash' END,
    'store_name', CASE WHEN fit ? 'store_name_column'
        THEN bcpaid.name_sql(format('cs.%I', fit ->> 'store_name_column'),
            bcpaid.column_type(fit ->> 'store_table', fit ->> 'store_name_column')) ELSE 's.name' END)
$$;
COMMENT ON FUNCTION bcpaid.store_parts(jsonb) IS 'parts of the queries that know where the store is';
