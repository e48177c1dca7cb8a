# Goal: what each role may do with each object of the extension, tried one by
# one.  What has no row here is nobody's: a new object that is granted to
# somebody fails until it gets one.  What the calls then say: t/032_rights.pl.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Calls;
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('roles', no_database => 1, conf => "max_worker_processes = 2\nautovacuum = off\n");    # none is left for a worker
my $node = $shop->{node};

# A landlord owns the database, odoo the tables in it; a superuser granted the operator's calls to the deputy, who works in t/090_deputy.pl.
my @roles = qw(nobody reader maker monitor read_all write_all deputy landlord odoo);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE nobody LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE maker LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE ROLE read_all LOGIN IN ROLE pg_read_all_data; CREATE ROLE write_all LOGIN IN ROLE pg_write_all_data; CREATE ROLE landlord LOGIN; CREATE ROLE deputy LOGIN;
CREATE DATABASE rented OWNER landlord;
SQL
$node->safe_psql('rented', 'GRANT ALL ON SCHEMA public TO odoo, maker; GRANT CREATE ON DATABASE rented TO odoo; CREATE EXTENSION bcpaid');
$shop->odoo_file("t/shape/$_.sql", 'rented') for qw(odoo19 fixtures fixtures-payments);

# A row in each table, so that reading, changing and deleting can be seen.
$node->safe_psql('rented', <<'SQL');
SET client_min_messages = error;
SELECT bcpaid.attach(), bcpaid.set_store(name => 'demo', hash => 'demo');
SET session_replication_role = replica;
INSERT INTO bcpaid.token VALUES (1, 'x'); INSERT INTO bcpaid.token_inbox VALUES (1, 'x');
INSERT INTO bcpaid.candidate VALUES ('o', 1); INSERT INTO bcpaid.link VALUES (1); INSERT INTO bcpaid.baseline VALUES (1, 1);
INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, origin, requested_by, marker) VALUES ('demo', 1, 1, 1, 'payment', 'x', 'x');
INSERT INTO bcpaid.history (capture_id, state, reason, by) VALUES (1, 'held', '', 'x'); INSERT INTO bcpaid.attempt VALUES (1, 1, now(), 'look', 1, 1, 1, 'go', '');
GRANT SELECT ON sale_order TO reader; GRANT USAGE ON SCHEMA bcpaid TO deputy;
SQL
$node->safe_psql('rented', join ';', map { "GRANT EXECUTE ON ROUTINE $_ TO deputy" } operators_calls());

# r read, a add, w change, d delete, D truncate, x refer to, t make triggers, e execute, u use, c create in.
my @matrix = (
	[ 'function', 'e', [@roles], qw(public.bcpaid_can_mark public.bcpaid_why_not public.bcpaid_mark) ],
	[ 'function', 'e', [qw(landlord odoo)], map { "bcpaid.$_" } qw(attach detach detect confirm_environment set_store set_token
		set_token_from_file pause resume want_test retry retry_store approve cancel settle_by_hand sweep backfill
		export_ledger import_ledger note test_store orders_query profile_in_use set_link) ],
	[ 'function', 'e', [qw(monitor landlord odoo)], map { "bcpaid.$_" } qw(sender_is_ready environment_is_confirmed doctor capture_state wait) ],
	[ 'function', 'e', ['deputy'], operators_calls() ],
	[ 'view', 'r', [qw(monitor read_all landlord odoo)], map { "bcpaid.$_" } qw(captures attempts stores news) ],
	[ 'view', 'r', [qw(monitor landlord odoo)], 'bcpaid.status' ],    # it calls functions of a monitor's
	# Written by bcpaid alone, now that the environment is confirmed.
	[ 'table', 'r', [qw(read_all landlord odoo)], map { "bcpaid.$_" } qw(profile attachment store candidate capture history attempt
		baseline link environment progress) ],
	# Read by nobody, not even by pg_read_all_data.
	[ 'table', 'a', [qw(landlord odoo)], 'bcpaid.token_inbox' ],
	[ 'table', 'r', ['read_all'], 'bcpaid.token_inbox' ],    # which is empty
	[ 'table', 'awd', ['write_all'], 'bcpaid.token_inbox' ],
	# A restore sets them.
	[ 'sequence', 'ruw', [qw(landlord odoo)], map { "bcpaid.$_" } qw(store_id_seq capture_id_seq attempt_id_seq history_id_seq) ],
	[ 'sequence', 'r', ['read_all'], map { "bcpaid.$_" } qw(store_id_seq capture_id_seq attempt_id_seq history_id_seq) ],
	[ 'sequence', 'uw', ['write_all'], map { "bcpaid.$_" } qw(store_id_seq capture_id_seq attempt_id_seq history_id_seq) ],
	[ 'schema', 'u', [qw(monitor read_all write_all deputy landlord odoo)], 'bcpaid' ]);

my %expected;
foreach my $row (@matrix)
{
	my ($kind, $letters, $roles, @objects) = @$row;
	for my $object (@objects) { $expected{$_}{"$kind $object"} .= $letters for @$roles }
}

# Every object with what to try on it, by letter.
my @tries = map { [ split /\t/ ] } split /\n/, $node->safe_psql('rented', <<'SQL');
WITH member AS (SELECT d.objid, d.classid FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'bcpaid')),
relation AS (SELECT c.oid, c.oid::regclass::text AS name, c.relkind, (SELECT min(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = 1) AS col
    FROM pg_class c JOIN member m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass)
SELECT concat_ws(E'\t', 'function ' || p.pronamespace::regnamespace || '.' || p.proname, 'e',
    CASE p.prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT ' END || p.pronamespace::regnamespace || '.' || p.proname || '(' || a.names || ')'
    || CASE p.prokind WHEN 'f' THEN coalesce(' FROM (SELECT ' || a.nulls || ' OFFSET 0) x', '') ELSE '' END)
FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
-- From a subquery: of strict functions with a constant NULL the planner makes NULL, without asking who may.
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(CASE WHEN p.provariadic <> 0 AND n = p.pronargs THEN 'VARIADIC ' ELSE '' END
               || CASE p.prokind WHEN 'p' THEN 'NULL' ELSE 'a' || n END, ', ' ORDER BY n), ''),
           string_agg(format('NULL::%s AS a%s', format_type(t, NULL), n), ', ' ORDER BY n)
    FROM unnest(coalesce(CASE WHEN p.prokind = 'p' THEN p.proallargtypes END, p.proargtypes::oid[])) WITH ORDINALITY u (t, n)) a (names, nulls)
WHERE p.prorettype NOT IN ('trigger'::regtype, 'language_handler'::regtype)
UNION ALL
SELECT concat_ws(E'\t', 'function ' || p.oid::regproc, 'e', 'DO $d$ BEGIN IF NOT has_function_privilege(''' || p.oid::regprocedure || ''', ''EXECUTE'') THEN RAISE insufficient_privilege; END IF; END $d$')
FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
WHERE p.prorettype IN ('trigger'::regtype, 'language_handler'::regtype)
UNION ALL
SELECT concat_ws(E'\t', CASE relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || name, t.letter, format(t.statement, name, col))
FROM relation, (VALUES ('r', 'SELECT * FROM %1$s'), ('a', 'INSERT INTO %1$s SELECT (NULL::%1$s).*'), ('w', 'UPDATE %1$s SET %2$I = DEFAULT'),
    ('d', 'DELETE FROM %1$s'), ('D', 'TRUNCATE %1$s'),
    ('x', 'DO $d$ BEGIN IF NOT has_table_privilege(''%1$s'', ''REFERENCES'') THEN RAISE insufficient_privilege; END IF; END $d$'),
    ('t', 'DO $d$ BEGIN IF NOT has_table_privilege(''%1$s'', ''TRIGGER'') THEN RAISE insufficient_privilege; END IF; END $d$')) t (letter, statement)
WHERE relkind = 'r' OR relkind = 'v' AND t.letter IN ('r', 'x', 't')
UNION ALL
SELECT concat_ws(E'\t', 'sequence ' || name, t.letter, format(t.statement, name))
FROM relation, (VALUES ('r', 'SELECT last_value FROM %1$s'), ('u', 'SELECT nextval(''%1$s'')'), ('w', 'SELECT setval(''%1$s'', 5)')) t (letter, statement)
WHERE relkind = 'S'
UNION ALL
SELECT concat_ws(E'\t', 'schema bcpaid', t.letter, t.statement)
FROM (VALUES ('u', 'SELECT ''bcpaid.x''::regclass'), ('c', 'CREATE FUNCTION bcpaid.x() RETURNS int LANGUAGE sql AS ''SELECT 1''')) t (letter, statement)
SQL
cmp_ok(scalar @tries, '>', 200, scalar(@tries) . ' things to try');
my %known = map { $_->[0] => 1 } @tries;
is_deeply([ grep { !$known{$_} } map { keys %{ $expected{$_} } } @roles ], [], 'each row is about an object that is there');

foreach my $role (@roles)
{
	my $sql = <<'SQL';
SET client_min_messages = error;
CREATE FUNCTION pg_temp.may(object text, letter text, statement text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    message text;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE EXCEPTION USING ERRCODE = 'UNDO0', MESSAGE = n;
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN statement ~ '^(CREATE|TRUNCATE|DO|CALL)' OR SQLERRM::bigint > 0 OR statement ~ '^SELECT bcpaid|^SELECT public';
WHEN insufficient_privilege THEN
    -- Of a function only: that it may not be called; what it says when it runs is another matter.
    RETURN letter = 'e' AND SQLERRM !~ ('^(insufficient_privilege|permission denied for (schema|function|procedure) ('
        || regexp_replace(object, '^.*\.', '') || '|bcpaid))$');
WHEN OTHERS THEN
    RETURN true;
END $$;
SQL
	$sql .= "SELECT pg_temp.may('$_->[0]', '$_->[1]', \$q\$$_->[2]\$q\$);\n" for @tries;
	my @may = split /\n/, $node->safe_psql('rented', $sql, extra_params => [ '-U', $role ], timeout => 120);
	my %may;
	is(scalar @may, scalar @tries, "$role tried everything") or diag explain \@may;
	for my $at (grep { $may[$_] eq 't' } 0 .. $#tries)
	{
		my ($object, $letter) = @{ $tries[$at] };
		$may{$object} .= $letter unless ($may{$object} || '') =~ /$letter/;
	}
	is_deeply({ map { $_ => in_order($may{$_}) } keys %may }, { map { $_ => in_order($expected{$role}{$_}) } keys %{ $expected{$role} } }, "what $role may do");
}

# Last, PUBLIC: in the catalog, for every kind of object and column.
is($node->safe_psql('rented', <<'SQL'), 'bcpaid_can_mark EXECUTE,bcpaid_mark EXECUTE,bcpaid_why_not EXECUTE', 'what PUBLIC may do');
SELECT string_agg(DISTINCT o.name || ' ' || a.privilege_type, ',' ORDER BY o.name || ' ' || a.privilege_type)
FROM (SELECT 'pg_class'::regclass AS catalog, oid, relname AS name, coalesce(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner)) AS acl FROM pg_class
      UNION ALL SELECT 'pg_proc'::regclass, oid, proname, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
      UNION ALL SELECT 'pg_namespace'::regclass, oid, nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
      UNION ALL SELECT 'pg_class'::regclass, attrelid, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL) o
JOIN pg_depend d ON d.classid = o.catalog AND d.objid = o.oid AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'bcpaid') AND d.refclassid = 'pg_extension'::regclass,
LATERAL aclexplode(o.acl) a WHERE a.grantee = 0
SQL
is($node->safe_psql('rented', 'SELECT count(*) FROM bcpaid.token'), '1', 'the token is still there');

# A grant that default privileges made opens neither Odoo's rights nor a token.
$node->safe_psql('rented', 'GRANT USAGE ON SCHEMA bcpaid TO nobody; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bcpaid TO nobody; GRANT ALL ON ALL TABLES IN SCHEMA bcpaid TO nobody');
foreach my $try (q{SELECT bcpaid.as_owner('SELECT 1')}, 'SELECT bcpaid.connector_token(1)', 'DELETE FROM bcpaid.environment',
	'DELETE FROM bcpaid.progress', 'DELETE FROM bcpaid.capture', "INSERT INTO bcpaid.token VALUES (2, 'x')", 'SELECT bcpaid.attach()')
{
	like(($node->psql('rented', $try, extra_params => [ '-U', 'nobody' ]))[2], qr/permission denied|written by bcpaid only|row-level security|must be owner/, "with everything granted: $try");
}
is($node->safe_psql('rented', 'SELECT count(*) FROM bcpaid.token', extra_params => [ '-U', 'nobody' ]), '0', 'nor is a token seen');

$shop->stop;
done_testing();

sub in_order { return join '', sort split //, $_[0] }
