/*
 * detach: Odoo as it was.  Links and statuses that are in columns of ours go to
 * bcpaid.link first, and come back with the next attach.
 */

CREATE FUNCTION bcpaid.keep_links(fit jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept int;
BEGIN
    INSERT INTO bcpaid.link (order_id, store_id, remote_order_id, payment_status)
    SELECT (r ->> 'id')::int, (r ->> 'store')::int, r ->> 'remote', r ->> 'status'
    FROM bcpaid.as_owner(format(
        'SELECT o.id, %s AS store, o.%3$I::text AS remote, o.%4$I::text AS status '
        'FROM %2$I.sale_order o WHERE o.%3$I IS NOT NULL',
        bcpaid.to_id(format('o.%I', fit ->> 'link_store_column'),
                     bcpaid.column_type('sale_order', fit ->> 'link_store_column')),
        fit ->> 'schema', fit ->> 'link_remote_column', fit ->> 'status_column')) r
    ON CONFLICT (order_id) DO UPDATE SET store_id = EXCLUDED.store_id,
        remote_order_id = EXCLUDED.remote_order_id, payment_status = EXCLUDED.payment_status;
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END $$;
COMMENT ON FUNCTION bcpaid.keep_links(jsonb) IS 'copies links and statuses from the columns of profile native to bcpaid.link; returns how many';

/* A column with data stays, and so does one that is a field of the addon: Odoo drops it with the addon. */
CREATE FUNCTION bcpaid.drop_own_columns(fit jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    col text;
    is_used bool;
BEGIN
    FOR col IN SELECT k FROM jsonb_object_keys(fit -> 'adds_columns') k
               WHERE bcpaid.column_type('sale_order', k) IS NOT NULL ORDER BY k
    LOOP
        is_used := (SELECT (r ->> 'used')::bool FROM bcpaid.as_owner(format(
            'SELECT EXISTS (SELECT FROM %I.sale_order o WHERE o.%I IS NOT NULL) AS used', fit ->> 'schema', col)) r)
            OR bcpaid.column_type('ir_model_fields', 'model') IS NOT NULL
            AND EXISTS (SELECT FROM bcpaid.as_owner(format(
                'SELECT f.id FROM %I.ir_model_fields f WHERE f.model = ''sale.order'' AND f.name = $1', fit ->> 'schema'), col));
        IF is_used THEN
            RAISE NOTICE 'column sale_order.% holds data or belongs to an addon, and stays', col;
        ELSE
            PERFORM bcpaid.as_owner(format('ALTER TABLE %I.sale_order DROP COLUMN %I', fit ->> 'schema', col));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION bcpaid.drop_own_columns(jsonb) IS 'drops the columns of profile native that are empty and no field of an addon';

CREATE FUNCTION bcpaid.detach() RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    fit jsonb;
    t record;
    kept int := 0;
BEGIN
    PERFORM bcpaid.check_owner();
    LOCK TABLE bcpaid.attachment IN SHARE ROW EXCLUSIVE MODE;
    fit := (SELECT a.found FROM bcpaid.attachment a);
    IF fit IS NULL THEN
        RAISE NOTICE 'bcpaid is not attached';
        RETURN;
    END IF;
    FOR t IN SELECT e.* FROM bcpaid.existing_triggers() e LOOP
        PERFORM bcpaid.as_owner(format('DROP TRIGGER %I ON %I.%I', t.name, fit ->> 'schema', t.odoo_table));
    END LOOP;
    PERFORM bcpaid.drop_index(i) FROM unnest('{bcpaid_remote_order,bcpaid_linked_order,bcpaid_reversed_entry}'::text[]) i;
    IF fit -> 'adds_columns' <> '{}' THEN
        IF (SELECT count(bcpaid.column_type('sale_order', k)) = count(*) FROM jsonb_object_keys(fit -> 'adds_columns') k) THEN
            kept := bcpaid.keep_links(fit);
        END IF;
        PERFORM bcpaid.drop_own_columns(fit);
    END IF;
    DELETE FROM bcpaid.attachment;
    RAISE NOTICE 'detached from %.sale_order', fit ->> 'schema'
        USING DETAIL = format('%s links are kept in bcpaid.link. The ledger and the settings of the stores stay.', kept);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'could not detach: Odoo is busy'
        USING ERRCODE = 'lock_not_available', DETAIL = format('%s, for 10 s.', SQLERRM),
              HINT = 'Try again; nothing was changed.';
END $$;
COMMENT ON FUNCTION bcpaid.detach() IS 'leave Odoo as it was; links stay in bcpaid.link, the ledger stays';
REVOKE ALL ON FUNCTION bcpaid.detach() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bcpaid.detach() TO pg_database_owner;
