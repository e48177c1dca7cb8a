/*
 * doctor(): everything that must be right before a capture can be sent.
 */

CREATE FUNCTION bcpaid.doctor_server() RETURNS TABLE ("check" text, ok boolean, detail text, hint text)
LANGUAGE sql STABLE AS $$
    SELECT 'library', bcpaid.sender_is_ready(),
           CASE WHEN bcpaid.sender_is_ready() THEN 'loaded at the start of the server'
                ELSE 'not loaded at the start of the server: payments are noted, nobody sends' END,
           'Add bcpaid to shared_preload_libraries and restart the server.'
     UNION ALL
    SELECT 'launcher', l.runs,
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'this is a standby: it sends after its promotion'
                WHEN l.runs THEN 'the process that starts workers'
                ELSE 'the process that starts workers does not run: payments are noted, nobody sends' END,
           'Look for "bcpaid launcher" in the server''s log.'
      FROM (SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type = 'bcpaid launcher')) AS l (runs)
     UNION ALL
    SELECT 'worker processes', NOT bcpaid.waits_for_slot(),
           CASE WHEN bcpaid.waits_for_slot() THEN 'max_worker_processes is used up: what is due waits for one to end'
                ELSE 'there is one when it is needed' END,
           'Increase max_worker_processes and restart the server.'
     UNION ALL
    SELECT 'enabled', pg_catalog.current_setting('bcpaid.enabled')::boolean,
           'bcpaid.enabled is ' || pg_catalog.current_setting('bcpaid.enabled'),
           'Set bcpaid.enabled = on in postgresql.conf and reload.'
     UNION ALL
    SELECT 'dry run', NOT pg_catalog.current_setting('bcpaid.dry_run')::boolean,
           'bcpaid.dry_run is ' || pg_catalog.current_setting('bcpaid.dry_run'),
           'Set bcpaid.dry_run = off in postgresql.conf and reload.'
     UNION ALL
    SELECT 'environment', bcpaid.environment_problem() IS NULL,
           COALESCE(bcpaid.environment_problem(), 'confirmed'),
           'Run SELECT bcpaid.confirm_environment(), if this is not a copy.'
     UNION ALL
    SELECT 'instance file', pg_catalog.current_setting('bcpaid.instance_file') <> '',
           CASE pg_catalog.current_setting('bcpaid.instance_file')
                WHEN '' THEN 'not set: a physical copy of this server cannot be told from it'
                ELSE 'set' END,
           'Recommended: set bcpaid.instance_file to a file outside the data directory whose content is this server''s own, then confirm.'
$$;
COMMENT ON FUNCTION bcpaid.doctor_server() IS 'part of doctor(): the server';

CREATE FUNCTION bcpaid.doctor_odoo() RETURNS TABLE ("check" text, ok boolean, detail text, hint text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    odoo regclass := bcpaid.odoo_table();
    owner regrole;
    fit jsonb;
    differing text;
    problem text;
BEGIN
    RETURN QUERY SELECT 'odoo', odoo IS NOT NULL, COALESCE(odoo::text, 'no table sale_order'),
        'Connect to Odoo''s database, with the Sales and Invoicing apps installed.';
    IF odoo IS NULL THEN
        RETURN;
    END IF;
    SELECT c.relowner INTO owner FROM pg_catalog.pg_class c WHERE c.oid = odoo;
    RETURN QUERY SELECT 'owner', r.rolcanlogin AND NOT r.rolsuper
               AND pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT'),
           pg_catalog.format('the worker runs as %s%s%s%s', owner,
               CASE WHEN NOT r.rolcanlogin THEN ', which may not log in: no worker can start' ELSE '' END,
               CASE WHEN r.rolsuper THEN ', a superuser: Odoo should not be one' ELSE '' END,
               CASE WHEN NOT pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT')
                    THEN ', which may not connect to this database' ELSE '' END),
           pg_catalog.format('ALTER ROLE %s LOGIN NOSUPERUSER; GRANT CONNECT ON DATABASE %I TO %s.',
                             owner, pg_catalog.current_database(), owner)
      FROM pg_catalog.pg_roles r WHERE r.oid = owner;

    SELECT a.found INTO fit FROM bcpaid.attachment a;
    RETURN QUERY SELECT 'attached', fit IS NOT NULL,
           COALESCE(pg_catalog.format('profile %s', fit ->> 'name'), 'no profile is attached'),
           'Run SELECT bcpaid.attach().';
    IF fit IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 'columns', bcpaid.missing_column() IS NULL,
           COALESCE('gone: ' || bcpaid.missing_column(), 'all there'), 'Run SELECT bcpaid.attach() again.';
    SELECT pg_catalog.string_agg(w.name, ', ' ORDER BY w.name) INTO differing
      FROM bcpaid.wanted_triggers(fit) AS w
     WHERE NOT EXISTS (SELECT FROM bcpaid.existing_triggers() AS e WHERE ROW (e.*) IS NOT DISTINCT FROM ROW (w.*));
    RETURN QUERY SELECT 'triggers', differing IS NULL,
           COALESCE('missing, changed or disabled: ' || differing, 'all there'), 'Run SELECT bcpaid.attach() again.';
    BEGIN
        PERFORM bcpaid.judge('{0}'), bcpaid.unswept(2147483646, 2147483647);
    EXCEPTION WHEN OTHERS THEN
        problem := SQLERRM;
    END;
    RETURN QUERY SELECT 'queries', problem IS NULL, COALESCE(problem, 'run'), 'Run SELECT bcpaid.attach() again.';
END $$;
COMMENT ON FUNCTION bcpaid.doctor_odoo() IS 'part of doctor(): Odoo';

CREATE FUNCTION bcpaid.doctor_stores() RETURNS TABLE ("check" text, ok boolean, detail text, hint text)
LANGUAGE sql STABLE AS $$
    SELECT 'stores', EXISTS (SELECT FROM bcpaid.store WHERE mark_order_as_paid),
           pg_catalog.count(*) || ' set, ' || pg_catalog.count(*) FILTER (WHERE mark_order_as_paid) || ' switched on',
           'SELECT bcpaid.set_store(name => ''...'', hash => ''...'', mark_order_as_paid => true).'
      FROM bcpaid.store
     UNION ALL
    SELECT 'store ' || s.id, h.problem IS NULL, COALESCE(h.problem, 'ready'), h.hint
      FROM bcpaid.store s
     CROSS JOIN LATERAL (
           SELECT CASE
               WHEN COALESCE(bcpaid.store_hash(s.id), '') = '' THEN 'no store hash'
               WHEN COALESCE(bcpaid.connector_token(s.id),
                             (SELECT t.token FROM bcpaid.token t WHERE t.store_id = s.id), '') = ''
                   THEN 'no access token (a restored backup has none)'
               WHEN s.stopped_reason IS NOT NULL THEN 'stopped: ' || s.stopped_reason
               WHEN s.paused THEN 'paused'
               WHEN s.warning IS NOT NULL THEN s.warning
               WHEN s.retry_at > pg_catalog.now() AND s.failures > 0 THEN 'not well since ' || s.failures || ' calls'
           END AS problem,
           CASE WHEN COALESCE(bcpaid.store_hash(s.id), '') = '' THEN 'SELECT bcpaid.set_store(' || s.id || ', hash => ''...'').'
                ELSE 'Set a token: COPY bcpaid.token_inbox FROM STDIN; then SELECT bcpaid.resume(' || s.id || ').'
           END AS hint) AS h
     WHERE s.mark_order_as_paid
     UNION ALL
    SELECT 'captures', NOT COALESCE(pg_catalog.bool_or(c.state IN ('held', 'refused', 'unknown') OR c.taken_back_at IS NOT NULL
                                                        OR c.warning IS NOT NULL), false),
           pg_catalog.format('%s held, %s refused, %s of unknown outcome, %s with a payment taken back, %s with a warning',
               pg_catalog.count(*) FILTER (WHERE c.state = 'held'), pg_catalog.count(*) FILTER (WHERE c.state = 'refused'),
               pg_catalog.count(*) FILTER (WHERE c.state = 'unknown'),
               pg_catalog.count(*) FILTER (WHERE c.taken_back_at IS NOT NULL),
               pg_catalog.count(*) FILTER (WHERE c.warning IS NOT NULL)),
           'SELECT * FROM bcpaid.captures; then bcpaid.retry(), approve(), cancel() or settle_by_hand().'
      FROM bcpaid.capture c
$$;
COMMENT ON FUNCTION bcpaid.doctor_stores() IS 'part of doctor(): stores and captures';

CREATE FUNCTION bcpaid.doctor() RETURNS TABLE ("check" text, ok boolean, detail text, hint text)
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
        SELECT d."check", d.ok, d.detail, CASE WHEN NOT d.ok THEN d.hint END
          FROM (SELECT * FROM bcpaid.doctor_server()
                 UNION ALL SELECT * FROM bcpaid.doctor_odoo()
                 UNION ALL SELECT * FROM bcpaid.doctor_stores()) AS d;
END $$;
COMMENT ON FUNCTION bcpaid.doctor() IS 'everything that must be right, checked, with what to do about it';
