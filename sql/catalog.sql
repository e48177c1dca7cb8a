-- Goal: what the catalogs say about bcpaid: comments, bodies, paths, rights, and what a backup carries.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION bcpaid;

-- Everything that belongs to the extension, and what hangs on its tables.
CREATE VIEW pg_temp.member AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) i
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'bcpaid');
SELECT type, count(*) > 0 AS some FROM pg_temp.member GROUP BY type ORDER BY type COLLATE "C";

\echo == without a comment: none
SELECT m.type, m.identity FROM pg_temp.member m
WHERE coalesce(obj_description(m.objid, m.classid::regclass::name), '') = '' ORDER BY 1, 2;
SELECT extname FROM pg_extension e
WHERE extname = 'bcpaid' AND coalesce(obj_description(e.oid, 'pg_extension'), '') = '';

\echo == functions that would not be created again: none
-- CREATE EXTENSION checks no body, so that a misspelt name shows only here.
CREATE FUNCTION pg_temp.bodies() RETURNS TABLE (function regprocedure, message text)
LANGUAGE plpgsql AS $$
DECLARE
    definition text;
BEGIN
    FOR function, definition IN
        SELECT p.oid, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_temp.member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass ORDER BY p.oid::regprocedure::text COLLATE "C"
    LOOP
        BEGIN
            PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
            EXECUTE definition;
        EXCEPTION WHEN OTHERS THEN
            message := SQLERRM;
            RETURN NEXT;
        END;
    END LOOP;
END $$;
SET check_function_bodies = on;
SET plpgsql.extra_errors = 'shadowed_variables';
BEGIN;
SELECT * FROM pg_temp.bodies();
ROLLBACK;
RESET plpgsql.extra_errors;

\echo == SECURITY DEFINER without pg_catalog, pg_temp as its path: none
SELECT p.oid::regprocedure AS function, p.proconfig FROM pg_proc p JOIN pg_temp.member m ON m.objid = p.oid
WHERE m.classid = 'pg_proc'::regclass AND p.prosecdef
  AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}' ORDER BY 1;

\echo == SECURITY DEFINER in a language that does not keep the extension from being replaced: none
SELECT p.oid::regprocedure AS function FROM pg_proc p JOIN pg_temp.member m ON m.objid = p.oid
WHERE m.classid = 'pg_proc'::regclass AND p.prosecdef
  AND p.prolang <> (SELECT l.oid FROM pg_language l WHERE l.lanname = 'bcpaid') ORDER BY 1;

\echo == may be called by somebody, and neither pins a path nor qualifies its names: none
-- Whoever calls these chooses the path: every function named in a body must be qualified.
SELECT p.oid::regprocedure AS function, f.word AS calls
FROM pg_proc p
JOIN pg_temp.member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql', 'bcpaid')
CROSS JOIN LATERAL regexp_matches(coalesce(p.prosrc, ''), '(?<![\w.])([a-z_]\w*)\s*\(', 'g') w
CROSS JOIN LATERAL (SELECT w[1]) f (word)
WHERE NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'
  AND EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner)
  AND EXISTS (SELECT FROM pg_proc x WHERE x.proname = f.word)
ORDER BY 1, 2;

\echo == objects of bcpaid that rest on something outside of pg_catalog and bcpaid: none
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS object,
       pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS rests_on
FROM pg_depend d
JOIN pg_temp.member m ON m.classid = d.classid AND m.objid = d.objid
CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i
WHERE d.deptype <> 'e' AND i.schema NOT IN ('pg_catalog', 'bcpaid') ORDER BY 1, 2;

\echo == what PUBLIC may do
SELECT m.type, m.identity, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type) AS may
FROM pg_temp.member m
LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
LEFT JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
LEFT JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
CROSS JOIN LATERAL aclexplode(CASE
    WHEN c.oid IS NOT NULL THEN coalesce(c.relacl, acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", c.relowner))
    WHEN p.oid IS NOT NULL THEN coalesce(p.proacl, acldefault('f', p.proowner))
    WHEN n.oid IS NOT NULL THEN coalesce(n.nspacl, acldefault('n', n.nspowner)) END) a
WHERE a.grantee = 0 GROUP BY 1, 2 ORDER BY m.type, m.identity COLLATE "C";

\echo == what the owner of the database (o) and monitors (m) may do
SELECT m.type, m.identity,
       string_agg(CASE a.grantee WHEN 'pg_monitor'::regrole THEN 'm:' WHEN 'pg_database_owner'::regrole THEN 'o:'
                  ELSE a.grantee::regrole || ':' END || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END,
                  ' ' ORDER BY a.grantee::regrole::text DESC, a.privilege_type) AS may
FROM pg_temp.member m
LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
LEFT JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
LEFT JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
CROSS JOIN LATERAL aclexplode(CASE WHEN c.oid IS NOT NULL THEN c.relacl WHEN p.oid IS NOT NULL THEN p.proacl
    WHEN n.oid IS NOT NULL THEN n.nspacl END) a
WHERE a.grantee <> 0 AND a.grantee <> coalesce(c.relowner, p.proowner, n.nspowner)
GROUP BY 1, 2 ORDER BY m.type, m.identity COLLATE "C";
SELECT attrelid::regclass AS table, attname AS column_with_rights_of_its_own
FROM pg_attribute WHERE attrelid IN (SELECT objid FROM pg_temp.member WHERE classid = 'pg_class'::regclass) AND attacl IS NOT NULL;

\echo == who reads the tokens: views none, nobody
SELECT DISTINCT v.oid::regclass AS view
FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refobjid IN ('bcpaid.token'::regclass, 'bcpaid.token_inbox'::regclass) AND a.attname = 'token';
SELECT c.oid::regclass AS table, c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = c.oid)
    AS hidden_from_pg_read_all_data
FROM pg_class c WHERE c.oid = 'bcpaid.token'::regclass;
SELECT c.oid::regclass AS table, r.rolname
FROM pg_class c, pg_roles r, unnest('{SELECT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
WHERE c.oid IN ('bcpaid.token'::regclass, 'bcpaid.token_inbox'::regclass) AND NOT r.rolsuper
  AND r.rolname NOT IN ('pg_read_all_data', 'pg_write_all_data') AND has_table_privilege(r.oid, c.oid, p);
SELECT p.oid::regprocedure AS function_that_returns_tokens_and_is_granted FROM pg_proc p, aclexplode(p.proacl) a
WHERE p.pronamespace = 'bcpaid'::regnamespace AND a.grantee <> p.proowner
  AND (p.proname IN ('queue_claim', 'connector_token', 'as_owner', 'keep_token', 'fingerprint')
       OR 'token' = ANY (p.proargnames[coalesce(cardinality(p.proargtypes), 0) + 1:]));

\echo == tables: in a backup or not, logged, guarded
SELECT c.oid::regclass AS table, c.relkind AS kind, c.relpersistence AS logged,
       coalesce(x.condition, 'not dumped') AS condition,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'bcpaid.guard()'::regprocedure
               AND t.tgenabled = 'O' AND t.tgtype = 2 | 4 | 8 | 16 | 32) AS guarded
FROM pg_temp.member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
LEFT JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition FROM pg_extension WHERE extname = 'bcpaid') x
    ON x.oid = c.oid
WHERE c.relkind IN ('r', 'S') ORDER BY 1;
-- What pg_write_all_data may write, a guard or row security protects; but the inbox.
SELECT c.oid::regclass AS writable_by_pg_write_all_data FROM pg_temp.member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
WHERE c.relkind = 'r' AND NOT c.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'bcpaid.guard()'::regprocedure);
-- Statistics are rows of another table, which pg_read_all_data reads.
SELECT attrelid::regclass AS table FROM pg_attribute WHERE attrelid IN ('bcpaid.token'::regclass, 'bcpaid.token_inbox'::regclass)
AND attname = 'token' AND attstattarget = 0 ORDER BY 1;
-- What the owner of the database may write, a backup carries, the guard protects; but the inbox.
SELECT c.oid::regclass AS writable_and_unguarded FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'bcpaid'::regnamespace AND c.relkind = 'r' AND a.grantee = 'pg_database_owner'::regrole
  AND a.privilege_type <> 'SELECT'
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'bcpaid.guard()'::regprocedure);
-- Shipped profiles come with the extension, not with the backup.
SELECT name, shipped FROM bcpaid.profile ORDER BY name;

\echo == what an extension shall be, and where it is
SELECT a.superuser, a.trusted, a.relocatable, a.schema, a.requires FROM pg_available_extension_versions a
JOIN pg_extension e ON (a.name, a.version) = (e.extname, e.extversion) WHERE a.name = 'bcpaid';
SELECT m.type, m.identity FROM pg_temp.member m
WHERE m.identity !~ '^"?bcpaid"?(\.|$)' AND m.identity !~ ' on bcpaid\.' ORDER BY m.type, m.identity COLLATE "C";
-- The row types of a caller's own cannot get in the way: nothing takes "any" or an anyelement.
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_temp.member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
WHERE p.proargtypes::oid[] && ARRAY['anyelement'::regtype, 'anyarray'::regtype, '"any"'::regtype, 'anynonarray'::regtype]::oid[];

-- Settings: none can be changed but in the server's configuration.
SELECT name, context FROM pg_settings WHERE name LIKE 'bcpaid.%' AND context NOT IN ('sighup', 'postmaster') ORDER BY name;
SELECT count(*) > 10 AS has_settings FROM pg_settings WHERE name LIKE 'bcpaid.%' AND short_desc <> '';

DROP EXTENSION bcpaid;
