/*
 * What a profile comes to in this database: its row, with the columns that its
 * labels lead to, the types, and the values that mean Captured; and what is
 * missing.  Column names and types are read from PostgreSQL's catalogs, all
 * else from Odoo's tables as their owner.
 */

/* A label is varchar up to Odoo 15 and jsonb by language from 16: either as a list. */
CREATE FUNCTION bcpaid.labels(label jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN CASE jsonb_typeof(label)
    WHEN 'object' THEN ARRAY(SELECT e.value FROM jsonb_each_text(label) e ORDER BY e.key <> 'en_US', e.key)
    ELSE ARRAY[label #>> '{}'] END;
COMMENT ON FUNCTION bcpaid.labels(jsonb) IS 'the texts of one of Odoo''s labels, English first';

/* ir_model_fields has a row for each field of each model; its table is the model's name with _ for the dots. */
CREATE FUNCTION bcpaid.column_by_label(odoo_table text, label text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT f.field ->> 'name'
FROM bcpaid.as_owner(format(
    'SELECT f.name, pg_catalog.to_jsonb(f.field_description) AS label FROM %I.ir_model_fields f '
    'WHERE pg_catalog.replace(f.model, ''.'', ''_'') = $1 ORDER BY f.id', bcpaid.odoo_schema()), odoo_table) f (field),
    LATERAL unnest(bcpaid.labels(f.field -> 'label')) WITH ORDINALITY l (label, n)
WHERE lower(btrim(l.label)) = lower(column_by_label.label)
  AND bcpaid.column_type(odoo_table, f.field ->> 'name') IS NOT NULL
ORDER BY l.n, f.field ->> 'name'
LIMIT 1
$$;
COMMENT ON FUNCTION bcpaid.column_by_label(text, text) IS 'the stored column of a model with this label in any language, NULL where there is none';

/* The keys of a selection field, each with its labels; none where the column is no selection. */
CREATE FUNCTION bcpaid.selection(odoo_table text, odoo_column text)
RETURNS TABLE (value text, labels text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT s.row ->> 'value', bcpaid.labels(s.row -> 'label')
FROM bcpaid.as_owner(format(
    'SELECT s.value, pg_catalog.to_jsonb(s.name) AS label FROM %1$I.ir_model_fields_selection s '
    'JOIN %1$I.ir_model_fields f ON f.id = s.field_id '
    'WHERE pg_catalog.replace(f.model, ''.'', ''_'') = $1 AND f.name = $2 ORDER BY s.id', bcpaid.odoo_schema()),
    odoo_table, odoo_column) s (row)
WHERE bcpaid.column_type('ir_model_fields_selection', 'value') IS NOT NULL
$$;
COMMENT ON FUNCTION bcpaid.selection(text, text) IS 'keys and labels of one of Odoo''s selection fields';

/* The rows of store_table that are BigCommerce stores, as SQL on an alias; see 20-profiles.sql. */
CREATE FUNCTION bcpaid.store_condition(profile jsonb, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT coalesce(string_agg(CASE jsonb_typeof(f.value)
    WHEN 'object' THEN format('EXISTS (SELECT FROM %I.%I x WHERE x.id = %s.%I AND lower(x.%I::text) = lower(%L))',
        bcpaid.odoo_schema(), f.value ->> 'table', alias, f.key, f.value ->> 'column', f.value ->> 'value')
    ELSE format('lower(%s.%I::text) = lower(%L)', alias, f.key, f.value #>> '{}') END, ' AND ' ORDER BY f.key), 'true')
FROM jsonb_each(profile -> 'store_filter') f
$$;
COMMENT ON FUNCTION bcpaid.store_condition(jsonb, text) IS 'SQL that is true for rows of the connector''s store table that are BigCommerce stores';

/* Every table and column that a profile cannot do without, and those that discovery found. */
CREATE FUNCTION bcpaid.needed_columns(profile jsonb) RETURNS TABLE (odoo_table text, odoo_column text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT n.t, n.c FROM (VALUES
    (profile ->> 'link_table', profile ->> 'link_order_column'),
    (profile ->> 'link_table', profile ->> 'link_store_column'),
    (profile ->> 'link_table', profile ->> 'link_remote_column'),
    (profile ->> 'store_table', 'id'),
    (profile ->> 'store_table', profile ->> 'store_name_column'),
    (profile ->> 'store_table', profile ->> 'store_hash_column'),
    (profile ->> 'store_table', profile ->> 'store_token_column'),
    (profile ->> 'status_table', profile ->> 'status_column'),
    (CASE WHEN profile ? 'status_column' THEN profile ->> 'status_table' END, profile ->> 'status_order_column'),
    (profile #>> '{status_lookup,table}', profile #>> '{status_lookup,column}'),
    ('sale_order', profile ->> 'gateway_column')) n (t, c)
WHERE n.t IS NOT NULL AND n.c IS NOT NULL
UNION
SELECT profile ->> 'store_table', k.key FROM jsonb_object_keys(profile -> 'store_filter') k (key)
UNION
SELECT f.value ->> 'table', f.value ->> 'column' FROM jsonb_each(profile -> 'store_filter') f
WHERE jsonb_typeof(f.value) = 'object'
$$;
COMMENT ON FUNCTION bcpaid.needed_columns(jsonb) IS 'tables and columns of Odoo that a profile names';

/* Fills in what labels lead to.  A column that the profile names and that exists stays. */
CREATE FUNCTION bcpaid.discover(profile jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fit jsonb := profile;
    want record;
    name text;
BEGIN
    FOR want IN SELECT d.key, d.value ->> 'table' AS t, d.value ->> 'label' AS label
                FROM jsonb_each(profile -> 'discover') d
    LOOP
        CONTINUE WHEN bcpaid.column_type(want.t, fit ->> want.key) IS NOT NULL;
        name := CASE WHEN bcpaid.column_type('ir_model_fields', 'field_description') IS NOT NULL
                     THEN bcpaid.column_by_label(want.t, want.label) END;
        fit := fit || jsonb_build_object(want.key, name);
    END LOOP;
    RETURN fit;
END $$;
COMMENT ON FUNCTION bcpaid.discover(jsonb) IS 'the profile with the columns that its labels lead to';

/* What a status column can hold: which value means Captured, which ones refuse. */
CREATE FUNCTION bcpaid.status_values(profile jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH s AS (
    SELECT s.value, s.labels[1] AS label, bcpaid.status_words(s.value) AS words,
           ARRAY(SELECT bcpaid.status_words(l) FROM unnest(s.labels) l) || bcpaid.status_words(s.value) AS every
    FROM bcpaid.selection(profile ->> 'status_table', profile ->> 'status_column') s
)
SELECT jsonb_build_object(
    'status_type', bcpaid.column_type(profile ->> 'status_table', profile ->> 'status_column'),
    'status_captured', coalesce(
        (SELECT s.value FROM s WHERE 'captured' = ANY (s.every) ORDER BY s.words <> 'captured' LIMIT 1),
        CASE WHEN NOT EXISTS (SELECT FROM s) THEN profile ->> 'status_captured' END),
    'status_labels', coalesce((SELECT jsonb_object_agg(s.value, s.label) FROM s), '{}'),
    'status_refused', to_jsonb(ARRAY(
        SELECT r FROM unnest(bcpaid.refused_statuses()) r
        UNION SELECT s.words FROM s WHERE s.every && bcpaid.refused_statuses() ORDER BY 1)))
$$;
COMMENT ON FUNCTION bcpaid.status_values(jsonb) IS 'type of the status column, its value for Captured, and the values that refuse';

/* Native brings its own columns, so they are missing from nothing. */
CREATE FUNCTION bcpaid.effective(profile_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fit jsonb := (SELECT jsonb_strip_nulls(to_jsonb(p)) FROM bcpaid.profile p WHERE p.name = profile_name);
    missing text[];
    stores bigint;
BEGIN
    IF fit IS NULL THEN
        RETURN NULL;
    END IF;
    fit := jsonb_strip_nulls(bcpaid.discover(fit));
    missing := ARRAY(
        SELECT DISTINCT CASE WHEN to_regclass(format('%I.%I', bcpaid.odoo_schema(), n.odoo_table)) IS NULL
                             THEN n.odoo_table ELSE n.odoo_table || '.' || n.odoo_column END
        FROM bcpaid.needed_columns(fit) n
        WHERE bcpaid.column_type(n.odoo_table, n.odoo_column) IS NULL
          AND NOT (n.odoo_table = 'sale_order' AND fit -> 'adds_columns' ? n.odoo_column)
        ORDER BY 1);
    IF missing = '{}' AND fit ? 'store_table' THEN
        stores := (SELECT (r ->> 'n')::bigint FROM bcpaid.as_owner(format('SELECT count(*) AS n FROM %I.%I cs WHERE %s',
            bcpaid.odoo_schema(), fit ->> 'store_table', bcpaid.store_condition(fit, 'cs'))) r);
    END IF;
    RETURN fit || bcpaid.status_values(fit)
        || jsonb_build_object('missing', to_jsonb(missing), 'stores', stores);
END $$;
COMMENT ON FUNCTION bcpaid.effective(text) IS 'a profile as it is in this database: columns found, values, what is missing';

/* The facts in words, for a person to confirm. */
CREATE FUNCTION bcpaid.evidence(fit jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE WHEN fit -> 'missing' <> '[]' THEN 'missing: ' || (
        SELECT string_agg(m, ', ') FROM jsonb_array_elements_text(fit -> 'missing') m)
    ELSE concat_ws('; ',
        format('link %s.%s ', fit ->> 'link_table', fit ->> 'link_remote_column')
            || coalesce(bcpaid.column_type(fit ->> 'link_table', fit ->> 'link_remote_column'), 'to be added'),
        fit ->> 'stores' || ' BigCommerce store(s) in ' || (fit ->> 'store_table'),
        (SELECT string_agg(format('%s %s, labelled %s', k, fit ->> k, fit #> ARRAY['discover', k, 'label']), '; ' ORDER BY k)
         FROM jsonb_object_keys(fit -> 'discover') k WHERE fit ? k),
        CASE WHEN NOT fit ? 'status_column' THEN 'status in bcpaid.link'
             ELSE format('status %s.%s, Captured is %s', fit ->> 'status_table', fit ->> 'status_column',
                         coalesce(quote_literal(fit ->> 'status_captured'), 'no value of it')) END,
        'hazard: ' || (fit ->> 'hazard')) END
$$;
COMMENT ON FUNCTION bcpaid.evidence(jsonb) IS 'what was found for a profile, or what is missing, in one line';

CREATE FUNCTION bcpaid.fits(fit jsonb) RETURNS bool
LANGUAGE sql IMMUTABLE
RETURN fit -> 'missing' = '[]' AND coalesce((fit ->> 'stores')::bigint > 0, true);
COMMENT ON FUNCTION bcpaid.fits(jsonb) IS 'nothing is missing, and the connector has a BigCommerce store';

CREATE FUNCTION bcpaid.detect(OUT profile text, OUT fits bool, OUT evidence text) RETURNS SETOF record
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bcpaid.check_owner();
    RETURN QUERY
        SELECT p.name, bcpaid.fits(e.found), bcpaid.evidence(e.found)
        FROM bcpaid.profile p, LATERAL (SELECT bcpaid.effective(p.name) OFFSET 0) e (found)
        ORDER BY bcpaid.fits(e.found) DESC, p.adds_columns <> '{}', p.name;
END $$;
COMMENT ON FUNCTION bcpaid.detect() IS 'which connectors'' profiles fit this database, with the evidence';
REVOKE ALL ON FUNCTION bcpaid.detect() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bcpaid.detect() TO pg_database_owner;
