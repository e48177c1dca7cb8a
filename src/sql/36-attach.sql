/*
 * attach: columns, indexes, rights, triggers, queries, baseline, in this order
 * and in one transaction.  A second call repairs what Odoo's upgrade, or
 * anybody, took away since, and changes nothing else.
 */

/* pg_database_owner has these rights from CREATE EXTENSION on; an Odoo role that does not own its database gets them here. */
CREATE FUNCTION bcpaid.grant_to_owner() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = bcpaid.odoo_table());
    g record;
BEGIN
    IF pg_has_role(owner, 'pg_database_owner', 'USAGE') THEN
        RETURN;                 /* and a GRANT would be in Odoo's backups */
    END IF;
    FOR g IN
        SELECT format('SCHEMA %I', n.nspname) AS object, a.privilege_type
        FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'bcpaid' AND a.grantee = 'pg_database_owner'::regrole
        UNION ALL
        SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass), a.privilege_type
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'bcpaid'::regnamespace AND a.grantee = 'pg_database_owner'::regrole
        UNION ALL
        SELECT format('%s %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure), a.privilege_type
        FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.pronamespace = 'bcpaid'::regnamespace AND a.grantee = 'pg_database_owner'::regrole
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', g.privilege_type, g.object, owner::regrole);
    END LOOP;
END $$;
COMMENT ON FUNCTION bcpaid.grant_to_owner() IS 'gives the owner of sale_order what the owner of the database may do';

CREATE FUNCTION bcpaid.drop_index(index_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass(format('%I.%I', bcpaid.odoo_schema(), index_name)) IS NOT NULL THEN
        PERFORM bcpaid.as_owner(format('DROP INDEX %I.%I', bcpaid.odoo_schema(), index_name));
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.drop_index(text) IS 'drops an index of ours on a table of Odoo''s, if it is there';

/*
 * An index of ours on a table of Odoo's, made again when it is gone or was made
 * for another column.  DEPENDS ON EXTENSION: DROP EXTENSION takes it along.  An
 * ALTER TYPE rebuilds it without that dependency: then it is made anew here.
 */
CREATE FUNCTION bcpaid.ensure_index(index_name text, odoo_table text, odoo_column text, expression text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    existing oid := to_regclass(format('%I.%I', bcpaid.odoo_schema(), index_name));
BEGIN
    IF EXISTS (SELECT FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
               JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
               WHERE i.indexrelid = existing AND i.indisvalid AND a.attname = odoo_column
                 AND d.refobjid = to_regclass(format('%I.%I', bcpaid.odoo_schema(), odoo_table)))
       AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = existing AND d.deptype = 'x') THEN
        RETURN;
    END IF;
    PERFORM bcpaid.drop_index(index_name);
    PERFORM bcpaid.as_owner(format('CREATE INDEX %I ON %I.%I (%s) WHERE %I IS NOT NULL',
        index_name, bcpaid.odoo_schema(), odoo_table, expression, odoo_column));
    PERFORM bcpaid.as_owner(format('ALTER INDEX %I.%I DEPENDS ON EXTENSION bcpaid', bcpaid.odoo_schema(), index_name));
END $$;
COMMENT ON FUNCTION bcpaid.ensure_index(text, text, text, text) IS 'makes a partial index on a column of Odoo''s unless it is there';

CREATE FUNCTION bcpaid.has_index(odoo_table text, odoo_column text) RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT EXISTS (
    SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(format('%I.%I', bcpaid.odoo_schema(), odoo_table))
      AND a.attname = odoo_column AND i.indisvalid AND NOT starts_with(c.relname, 'bcpaid_'))
$$;
COMMENT ON FUNCTION bcpaid.has_index(text, text) IS 'has Odoo an index of its own that starts with this column?';

/*
 * Without these three a single order costs a scan of a whole table: who else
 * carries this remote order (no connector is known to index its link), the rows
 * of a binding table for an order, and, up to Odoo 14, the credit notes that
 * reverse an invoice.
 */
CREATE FUNCTION bcpaid.make_indexes(fit jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    link text := fit ->> 'link_table';
BEGIN
    PERFORM bcpaid.ensure_index('bcpaid_remote_order', link, fit ->> 'link_remote_column',
        '(' || bcpaid.link_words(quote_ident(fit ->> 'link_remote_column')) || ')');
    IF NOT link = 'sale_order' AND NOT bcpaid.has_index(link, fit ->> 'link_order_column') THEN
        PERFORM bcpaid.ensure_index('bcpaid_linked_order', link, fit ->> 'link_order_column',
            quote_ident(fit ->> 'link_order_column'));
    END IF;
    IF NOT bcpaid.has_index('account_move', 'reversed_entry_id') THEN
        PERFORM bcpaid.ensure_index('bcpaid_reversed_entry', 'account_move', 'reversed_entry_id', 'reversed_entry_id');
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.make_indexes(jsonb) IS 'makes the indexes that the queries rest on, where Odoo has none';

/* The profile in use, or else the one connector that fits, or else native. */
CREATE FUNCTION bcpaid.choose_profile() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fitting text[];
BEGIN
    IF EXISTS (SELECT FROM bcpaid.attachment) THEN
        RETURN (SELECT a.profile FROM bcpaid.attachment a);
    END IF;
    fitting := ARRAY(SELECT p.name FROM bcpaid.profile p
                     WHERE p.adds_columns = '{}' AND bcpaid.fits(bcpaid.effective(p.name)) ORDER BY p.name);
    IF cardinality(fitting) > 1 THEN
        RAISE EXCEPTION 'more than one profile fits: %', array_to_string(fitting, ', ')
            USING ERRCODE = 'ambiguous_parameter',
                  HINT = 'Look at SELECT * FROM bcpaid.detect(), then name one: SELECT bcpaid.attach(''NAME'').';
    END IF;
    RETURN coalesce(fitting[1], 'native');
END $$;
COMMENT ON FUNCTION bcpaid.choose_profile() IS 'the profile to attach when none is named';

CREATE FUNCTION bcpaid.check_profile(profile_name text, fit jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking text := (
        SELECT string_agg(c, ', ') FROM unnest(bcpaid.query_columns(fit)) c
        WHERE bcpaid.column_type(split_part(c, '.', 2), split_part(c, '.', 3)) IS NULL
          AND NOT (split_part(c, '.', 2) = 'sale_order' AND fit -> 'adds_columns' ? split_part(c, '.', 3)));
BEGIN
    IF fit IS NULL THEN
        RAISE EXCEPTION 'there is no profile "%"', profile_name
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM bcpaid.detect() lists the profiles.';
    ELSIF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'profile "%" does not fit this database', profile_name
            USING ERRCODE = 'undefined_column', DETAIL = format('Missing: %s.', lacking),
                  HINT = 'Odoo needs the apps Sales and Invoicing; SELECT * FROM bcpaid.detect() shows what fits.';
    ELSIF fit ? 'status_column' AND NOT fit ? 'status_captured' THEN
        RAISE EXCEPTION 'no value of %.% means Captured', fit ->> 'status_table', fit ->> 'status_column'
            USING ERRCODE = 'undefined_object', DETAIL = 'None of its keys is labelled "Captured".',
                  HINT = 'Name the value in column status_captured of the profile''s row in bcpaid.profile.';
    ELSIF fit ->> 'status_table' NOT IN ('sale_order', fit ->> 'link_table') THEN
        RAISE EXCEPTION 'profile "%" keeps the status in table %', profile_name, fit ->> 'status_table'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A status is a column of sale_order or of the table of the links.';
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.check_profile(text, jsonb) IS 'raises unless the profile, as found, can be attached to this database';

/* Links that detach put away come back, unless the order has got one since. */
CREATE FUNCTION bcpaid.restore_links(fit jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    store text := quote_ident(fit ->> 'link_store_column');
    remote text := quote_ident(fit ->> 'link_remote_column');
    status text := quote_ident(fit ->> 'status_column');
BEGIN
    IF fit -> 'adds_columns' = '{}' OR NOT EXISTS (SELECT FROM bcpaid.link k WHERE k.remote_order_id IS NOT NULL) THEN
        RETURN;
    END IF;
    PERFORM bcpaid.as_owner(format(
        'UPDATE %1$I.sale_order o SET %2$s = k.store_id::%5$s, %3$s = k.remote_order_id::%6$s, '
        '%4$s = coalesce(o.%4$s, k.payment_status::%7$s) FROM bcpaid.link k '
        'WHERE k.order_id = o.id AND k.remote_order_id IS NOT NULL AND o.%3$s IS NULL',
        fit ->> 'schema', store, remote, status,
        bcpaid.column_type('sale_order', fit ->> 'link_store_column'),
        bcpaid.column_type('sale_order', fit ->> 'link_remote_column'), fit ->> 'status_type'));
    DELETE FROM bcpaid.link k WHERE k.remote_order_id IS NOT NULL;
END $$;
COMMENT ON FUNCTION bcpaid.restore_links(jsonb) IS 'puts the links that detach kept back into the columns of profile native';

/*
 * What is eligible now is the past: for a person or a backfill.  set_store calls
 * this, too, after it switched a store on.  Written in one go and analyzed at
 * once, for plans made while the table was empty would read all of it each time.
 */
CREATE FUNCTION bcpaid.record_baseline(of_store int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    batch int[];
    first_id int := bcpaid.order_after(0);
    last_id int;
    past bcpaid.baseline[] := '{}';
BEGIN
    WHILE first_id IS NOT NULL LOOP
        last_id := least(first_id::bigint + 10000, 2147483647);
        batch := ARRAY(SELECT u FROM bcpaid.unswept(first_id - 1, last_id) u);
        first_id := bcpaid.order_after(last_id);
        past := past || ARRAY(
            SELECT ROW (j.order_id, j.store_id, now())::bcpaid.baseline FROM bcpaid.judge(batch) j
            WHERE j.automatic AND (of_store IS NULL OR j.store_id = of_store));
    END LOOP;
    IF past = '{}' THEN
        RETURN 0;
    END IF;
    INSERT INTO bcpaid.baseline SELECT p.* FROM unnest(past) p ON CONFLICT DO NOTHING;
    ANALYZE bcpaid.baseline;
    RETURN cardinality(past);
END $$;
COMMENT ON FUNCTION bcpaid.record_baseline(int) IS 'records the orders that are eligible now, of one store or of all that are switched on; returns how many';

CREATE FUNCTION bcpaid.report_attachment(fit jsonb, triggers int, baseline int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stores text;
BEGIN
    RAISE NOTICE 'attached to %.sale_order with profile "%"', fit ->> 'schema', fit ->> 'name'
        USING DETAIL = format('%s; %s triggers made, %s orders recorded as eligible before.',
            bcpaid.evidence(fit), triggers, coalesce(baseline::text, 'no'));
    IF (fit ->> 'stores')::bigint = 0 THEN
        RAISE WARNING 'table % has no BigCommerce store', fit ->> 'store_table'
            USING HINT = 'SELECT * FROM bcpaid.detect() shows what else fits.';
    END IF;
    IF fit ? 'hazard' THEN
        RAISE WARNING 'this connector may book what bcpaid sends once more' USING DETAIL = fit ->> 'hazard';
    END IF;
    IF fit ? 'own_switch' AND bcpaid.column_type(fit ->> 'store_table', fit ->> 'own_switch') = 'boolean' THEN
        SELECT r ->> 'names' INTO stores FROM bcpaid.as_owner(format(
            'SELECT string_agg(coalesce(%s, cs.id::text), '', '' ORDER BY cs.id) AS names FROM %I.%I cs WHERE cs.%I AND %s',
            CASE WHEN fit ? 'store_name_column' THEN bcpaid.name_sql(format('cs.%I', fit ->> 'store_name_column'),
                bcpaid.column_type(fit ->> 'store_table', fit ->> 'store_name_column')) ELSE 'NULL' END,
            fit ->> 'schema', fit ->> 'store_table', fit ->> 'own_switch', bcpaid.store_condition(fit, 'cs'))) r;
        IF stores IS NOT NULL THEN
            RAISE WARNING 'the connector marks orders as paid itself for: %', stores
                USING DETAIL = 'Both would send a capture for the same order.',
                      HINT = format('Turn off %s.%s there before you switch a store on in bcpaid.',
                                    fit ->> 'store_table', fit ->> 'own_switch');
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.report_attachment(jsonb, int, int) IS 'says what attach found, and what to beware of';

/*
 * A second attach records no baseline: what was paid since the first one and is
 * not yet captured is the sweep's to find, not the past.  ALTER TABLE and CREATE
 * TRIGGER wait for Odoo's transactions while everybody else waits for them, so
 * they give up soon.
 */
CREATE FUNCTION bcpaid.attach(profile text DEFAULT NULL) RETURNS void
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS $$
DECLARE
    chosen text;
    fit jsonb;
    col record;
    triggers int;
    baseline int;
    is_new bool;                /* nothing restored or imported: then this is no copy */
BEGIN
    PERFORM bcpaid.check_owner();
    LOCK TABLE bcpaid.attachment IN SHARE ROW EXCLUSIVE MODE;
    is_new := NOT EXISTS (SELECT FROM bcpaid.environment) AND NOT EXISTS (SELECT FROM bcpaid.attachment)
        AND NOT EXISTS (SELECT FROM bcpaid.store) AND NOT EXISTS (SELECT FROM bcpaid.capture);
    PERFORM bcpaid.grant_to_owner();
    chosen := coalesce(attach.profile, bcpaid.choose_profile());
    fit := bcpaid.effective(chosen) || jsonb_build_object('schema', bcpaid.odoo_schema());
    PERFORM bcpaid.check_profile(chosen, fit);
    FOR col IN SELECT c.key AS name, c.value AS type FROM jsonb_each_text(fit -> 'adds_columns') c
               WHERE bcpaid.column_type('sale_order', c.key) IS NULL
    LOOP
        PERFORM bcpaid.as_owner(format('ALTER TABLE %I.sale_order ADD COLUMN %I %s', fit ->> 'schema', col.name, col.type));
    END LOOP;
    fit := jsonb_strip_nulls(fit || bcpaid.status_values(fit));
    PERFORM bcpaid.restore_links(fit);
    PERFORM bcpaid.make_indexes(fit);
    triggers := bcpaid.make_triggers(fit);
    baseline := bcpaid.store_attachment(fit);
    IF is_new THEN
        PERFORM bcpaid.confirm_environment();
    END IF;
    PERFORM bcpaid.wake();
    PERFORM bcpaid.report_attachment(fit, triggers, baseline);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'could not attach: Odoo is busy'
        USING ERRCODE = 'lock_not_available', DETAIL = format('%s, for 10 s.', SQLERRM),
              HINT = 'Try again; nothing was changed.';
END $$;
COMMENT ON FUNCTION bcpaid.attach(text) IS 'find the connector (or take the named profile) and listen to Odoo; repeat after an Odoo upgrade';
REVOKE ALL ON FUNCTION bcpaid.attach(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bcpaid.attach(text) TO pg_database_owner;

/*
 * With another profile the ids of stores are those of other rows: a switch that
 * was turned on for one store must not send for another, nor its token go there.
 */
CREATE FUNCTION bcpaid.disown_stores(of_profile text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    others int[] := ARRAY(SELECT s.id FROM bcpaid.store s WHERE s.profile <> of_profile ORDER BY s.id);
BEGIN
    IF others = '{}' THEN
        RETURN;
    END IF;
    UPDATE bcpaid.store s SET mark_order_as_paid = false, hash = NULL, read_back = false, no_transactions = false,
                              profile = of_profile
     WHERE s.id = ANY (others);
    DELETE FROM bcpaid.token t WHERE t.store_id = ANY (others);
    RAISE WARNING 'stores were switched off, and lost hash and token: %', array_to_string(others, ', ')
        USING DETAIL = 'They were made for another profile: with this one the same ids mean other stores.',
              HINT = 'Set up each store that is to send with bcpaid.set_store().';
END $$;
COMMENT ON FUNCTION bcpaid.disown_stores(text) IS 'switches off what another profile''s stores were told';

/* Returns how many orders the baseline got, NULL when this profile was attached before. */
CREATE FUNCTION bcpaid.store_attachment(fit jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known bool := EXISTS (SELECT FROM bcpaid.attachment a WHERE a.profile = fit ->> 'name');
    new_row bcpaid.attachment := jsonb_populate_record(NULL::bcpaid.attachment, bcpaid.query_texts(fit)
        || jsonb_build_object('one', true, 'profile', fit ->> 'name', 'found', fit, 'odoo_schema', fit ->> 'schema',
                              'columns', bcpaid.query_columns(fit), 'attached_at', now()));
BEGIN
    DELETE FROM bcpaid.attachment;
    INSERT INTO bcpaid.attachment SELECT new_row.*;
    PERFORM bcpaid.disown_stores(fit ->> 'name');
    RETURN CASE WHEN NOT known THEN bcpaid.record_baseline() END;
END $$;
COMMENT ON FUNCTION bcpaid.store_attachment(jsonb) IS 'keeps the profile as found and its queries; a new one gets a baseline';
