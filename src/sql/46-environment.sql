/*
 * Where we are: a restored, duplicated or neutralised database sends nothing
 * until a person says that it may (promise 5).
 */

/*
 * What tells this database from its copies.  A streaming replica has the same
 * fingerprint, so that a failover needs nobody.
 */
CREATE FUNCTION bcpaid.fingerprint() RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    odoo regclass := bcpaid.odoo_table();
    file text := NULLIF(pg_catalog.current_setting('bcpaid.instance_file', true), '');
    schema text;
    result jsonb;
BEGIN
    SELECT pg_catalog.jsonb_build_object(
               'system', c.system_identifier::text, 'database', d.oid::text, 'name', d.datname)
      INTO result
      FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d
     WHERE d.datname = pg_catalog.current_database();
    IF file IS NOT NULL THEN
        result := result || pg_catalog.jsonb_build_object(
            'instance', COALESCE(pg_catalog.pg_read_file(file, 0, 1000, true), 'missing'));
    END IF;

    SELECT n.nspname INTO schema
      FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
     WHERE t.oid = odoo;
    IF schema IS NOT NULL
        AND pg_catalog.to_regclass(pg_catalog.format('%I.ir_config_parameter', schema)) IS NOT NULL THEN
        SELECT result || COALESCE(pg_catalog.jsonb_object_agg(p ->> 'key', p ->> 'value'), '{}')
          INTO result
          FROM bcpaid.as_owner(pg_catalog.format(
               'SELECT key, value FROM %I.ir_config_parameter'
               ' WHERE key IN (''database.uuid'', ''database.is_neutralized'')', schema)) AS p;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION bcpaid.fingerprint() IS 'what tells this database from a copy of it';

/* Why nothing may be sent from here; NULL if it may. */
CREATE FUNCTION bcpaid.environment_problem() RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    here jsonb;
    confirmed jsonb := (SELECT fingerprint FROM bcpaid.environment);
    differs text := bcpaid.judging_problem();
BEGIN
    IF differs IS NOT NULL THEN
        RETURN differs;
    END IF;
    here := bcpaid.fingerprint();
    IF pg_catalog.lower(here ->> 'database.is_neutralized') NOT IN ('', 'false', 'f', '0') THEN
        RETURN 'this database is neutralised';
    END IF;
    IF confirmed IS NULL THEN
        RETURN 'this environment is not confirmed: run SELECT bcpaid.confirm_environment()';
    END IF;
    SELECT pg_catalog.string_agg(k, ', ' ORDER BY k) INTO differs
      FROM (SELECT pg_catalog.jsonb_object_keys(here || confirmed)) AS keys (k)
     WHERE here -> k IS DISTINCT FROM confirmed -> k;
    IF differs IS NOT NULL THEN
        RETURN pg_catalog.format('this is a copy or another server (%s changed): run SELECT bcpaid.confirm_environment() if it may send', differs);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION bcpaid.environment_problem() IS 'why nothing may be sent from this database, NULL if it may';

CREATE FUNCTION bcpaid.environment_is_confirmed() RETURNS boolean
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN bcpaid.environment_problem() IS NULL;
END $$;
COMMENT ON FUNCTION bcpaid.environment_is_confirmed() IS 'may this database send?';

CREATE FUNCTION bcpaid.confirm_environment() RETURNS text
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here jsonb;
BEGIN
    PERFORM bcpaid.check_owner();
    here := bcpaid.fingerprint();
    IF lower(here ->> 'database.is_neutralized') NOT IN ('', 'false', 'f', '0') THEN
        RAISE EXCEPTION 'this database is neutralised'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Remove the system parameter database.is_neutralized first, if this is no test database.';
    END IF;
    INSERT INTO bcpaid.environment (fingerprint, confirmed_by) VALUES (here, bcpaid.caller()::text)
        ON CONFLICT (one) DO UPDATE
       SET fingerprint = EXCLUDED.fingerprint, confirmed_by = EXCLUDED.confirmed_by, confirmed_at = now();
    PERFORM bcpaid.wake();
    RETURN format('database %s may send from now on', current_database());
END $$;
COMMENT ON FUNCTION bcpaid.confirm_environment() IS
    'let this restored, copied or moved database send; SQLSTATE 55000 if it is neutralised, 42501 if not called by the owner of sale_order';

/* Until then a restore, which runs as Odoo's role, loads them (src/guard.c). */
CREATE FUNCTION bcpaid.guard() RETURNS trigger
    AS 'MODULE_PATHNAME', 'bcpaid_guard' LANGUAGE C;
COMMENT ON FUNCTION bcpaid.guard() IS 'trigger: nobody but bcpaid writes its tables once the environment is confirmed';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{profile,attachment,store,candidate,capture,history,attempt,baseline,link,progress,environment}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON bcpaid.%I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION bcpaid.guard()', name);
    END LOOP;
END $$;

/*
 * A restore loads queries, and they run as the owner of sale_order: so whoever
 * loads them must be able to act as that role anyway.
 */
CREATE FUNCTION bcpaid.guard_queries() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT coalesce(pg_has_role((
        SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = NEW.odoo_schema AND c.relname = 'sale_order'), 'USAGE'),
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) THEN
        RAISE EXCEPTION 'must be owner of %.sale_order', NEW.odoo_schema
            USING ERRCODE = 'insufficient_privilege', DETAIL = 'The queries in bcpaid.attachment run as that role.',
                  HINT = 'Restore as the role that Odoo works as, or run SELECT bcpaid.attach() as that role.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION bcpaid.guard_queries() IS 'trigger: queries are loaded only by who can act as the role that they run as';
CREATE TRIGGER guard_queries BEFORE INSERT OR UPDATE ON bcpaid.attachment
    FOR EACH ROW EXECUTE FUNCTION bcpaid.guard_queries();
