# Goal: who may call what; tokens are read by nobody; what Odoo's role plants
# runs with its rights only; no setting of a role reaches the worker.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

# A log that hides nothing, and a write-ahead log that is slow where it may be.
my $shop = Bcpaid::Shop->new('rights', conf => <<'CONF');
shared_preload_libraries = 'bcpaid,pg_stat_statements'
pg_stat_statements.track = all
log_statement = all
log_min_messages = debug1
log_min_error_statement = debug1
log_error_verbosity = verbose
wal_writer_delay = 10s
wal_writer_flush_after = 100MB
CONF
my $node = $shop->{node};
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# ---------------------------------------------------------------- who may call

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE landlord LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN;
CREATE ROLE monitor LOGIN IN ROLE pg_monitor; CREATE ROLE all_data LOGIN IN ROLE pg_read_all_data, pg_write_all_data;
CREATE DATABASE rented OWNER landlord;
SQL
$node->safe_psql('rented', 'GRANT ALL ON SCHEMA public TO odoo; GRANT CREATE ON DATABASE rented TO odoo; CREATE EXTENSION bcpaid');
$shop->odoo_file("t/shape/$_.sql", 'rented') for qw(odoo19 fixtures fixtures-payments);
$node->safe_psql('rented', 'SET client_min_messages = error; SELECT bcpaid.attach();');
$shop->odoo(<<'SQL', dbname => 'rented');
SET client_min_messages = error;
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
COPY bcpaid.token_inbox FROM STDIN;
1	demo-token
\.
GRANT SELECT ON sale_order TO reader; GRANT SELECT, UPDATE ON sale_order TO writer;
SQL
my $done = $shop->paid_order(10, 901, dbname => 'rented');
$shop->wait_for_state($done, 'applied', dbname => 'rented');
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => false)', dbname => 'rented');
my $order = $shop->paid_order(20, 902, dbname => 'rented');
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.set_store(1, mark_order_as_paid => true); SELECT bcpaid.pause(1)', dbname => 'rented');
$shop->wait_until_quiet(dbname => 'rented');

my @callers = ('nobody', 'reader', 'writer', 'monitor', 'landlord', 'odoo', $superuser);
my $no = 42501;
my @calls = (
	# call                                        nobody  reader  writer  monitor landlord odoo  superuser
	[ "SELECT bcpaid_can_mark($order)",           qw(f    t       t       f       f       t       t) ],
	[ "SELECT bcpaid_can_mark($done)",            qw(f    f       f       f       f       f       f) ],
	[ "SELECT count(*) FROM bcpaid_can_mark(ARRAY[$order, 12345, NULL])", qw(0 1 1 0 0 1 1) ],
	[ "SELECT condition FROM bcpaid_why_not($order) LIMIT 1", qw(access switch switch access access switch switch) ],
	[ "SELECT count(*) > 0 FROM bcpaid_mark($order)", $no, $no, 't', $no, $no, 't',   't' ],
	[ "SELECT bcpaid_mark($done) > 0",            $no,    $no,    't',    $no,    $no,    't',    't' ],
	[ 'SELECT bcpaid_mark(12345)',                $no,    $no,    55000,  $no,    $no,    55000,  55000 ],
	(map { [ "SELECT count(*) >= 0 FROM bcpaid.$_", $no, $no, $no, 't', 't', 't', 't' ] } qw(captures attempts stores status), 'doctor()'),
	[ 'SELECT state FROM bcpaid.capture_state(1)', $no,   $no,    $no,    'applied', 'applied', 'applied', 'applied' ],
	[ 'CALL bcpaid.wait(1)',                      $no,    $no,    $no,    'applied', 'applied', 'applied', 'applied' ],
	[ 'CALL bcpaid.test_store(1)',                $no,    $no,    $no,    $no,    '2D000', '2D000', '2D000' ],
	# The owner's: of sale_order, not of the database.
	(map { [ "SELECT count(*) > 0 FROM bcpaid.$_", $no, $no, $no, $no, $no, 't', 't' ] }
		'attach()', 'detach()', 'detect()', 'confirm_environment()', "set_store(1, name => 'x')", "set_token(1, 'x')"),
	# With it anybody could make captures up: the owner's before the environment is confirmed only.
	[ q{SELECT bcpaid.import_ledger('{"baseline": {"order_id": 5, "store_id": 1, "recorded_at": "2026-01-01"}}')},
		$no, $no, $no, $no, $no, $no, 't' ],
	[ "SELECT bcpaid.set_token_from_file(1, '/nowhere')", $no, $no, $no, $no, $no, $no, '58P01' ],
	# The operator's: both owners'.
	(map { [ "SELECT count(*) >= 0 FROM bcpaid.$_", $no, $no, $no, $no, 't', 't', 't' ] }
		'pause(1)', 'resume(1)', 'retry_store(1)', 'sweep()', "backfill('2020-01-01')", 'export_ledger()', 'want_test(1)'),
	(map { [ "SELECT count(*) > 0 FROM bcpaid.$_", $no, $no, $no, $no, 55000, 55000, 55000 ] }
		'retry(1)', 'approve(1)', 'cancel(1)', "settle_by_hand(1, 'x')"),
	# Nobody's.
	(map { [ "SELECT count(*) >= 0 FROM bcpaid.$_", $no, $no, $no, $no, $no, $no, 't' ] }
		q{as_owner('SELECT 1')}, 'connector_token(1)', 'queue_claim(NULL, NULL, NULL, 1, 1)', "queue_move('{}', 'x', 'x', NULL, 'x')",
		"keep_token(1, 'x')", 'judge(ARRAY[1])', 'fingerprint()', 'environment_problem()', "enqueue_by_hand($order, 'x')",
		'token', 'token_inbox', 'wake()', "move_by_hand(1, '{applied}', 'queued', 'x', 'x')"));

foreach my $at (0 .. $#callers)
{
	my $sql = <<'SQL';
CREATE FUNCTION pg_temp.answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SET LOCAL client_min_messages = error;
    EXECUTE query INTO answer;
    RAISE EXCEPTION USING ERRCODE = 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN answer;
WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SQL
	$sql .= "SELECT pg_temp.answer(\$q\$$_->[0]\$q\$);\n" for @calls;
	my @answers = split /\n/, $node->safe_psql('rented', $sql, extra_params => [ '-U', $callers[$at] ]);
	s/^(t|f)(?:rue|alse)$/$1/ for @answers;
	is_deeply([ map { $answers[$_] eq $calls[$_][ $at + 1 ] ? () : "$calls[$_][0]: $answers[$_], not $calls[$_][ $at + 1 ]" } 0 .. $#calls ],
		[], "what $callers[$at] may call");
}
# Unknown things, by one who may: an SQLSTATE of ours, never an internal error.
my $sql = '';
my @unknown = ('bcpaid.pause(99)', 'bcpaid.resume(NULL)', 'bcpaid.retry_store(99)', 'bcpaid.retry(99)', 'bcpaid.approve(NULL)',
	'bcpaid.cancel(99)', "bcpaid.settle_by_hand(99, 'x')", 'bcpaid.capture_state(99)', "bcpaid.set_token(99, 'x')", "bcpaid.attach('none')");
is(join("\n", map { sqlstate('rented', 'odoo', "SELECT $_") } @unknown), join("\n", (42704) x @unknown), 'what is unknown is said to be');

# -------------------------------------------------------------------- tokens

foreach my $try ('SELECT * FROM bcpaid.token', 'SELECT token FROM bcpaid.token_inbox', 'COPY bcpaid.token_inbox TO STDOUT', 'COPY bcpaid.token TO STDOUT',
	"INSERT INTO bcpaid.token_inbox VALUES (1, 'not-this-one') RETURNING token", "UPDATE bcpaid.token_inbox SET token = ''", 'DELETE FROM bcpaid.token_inbox',
	'TRUNCATE bcpaid.token_inbox', "INSERT INTO bcpaid.token VALUES (1, 'x')", 'BEGIN; LOCK TABLE bcpaid.token', 'CREATE TABLE public.x (LIKE bcpaid.token); SELECT 1/(SELECT 0)',
	'CREATE TRIGGER t BEFORE INSERT ON bcpaid.token_inbox FOR EACH ROW EXECUTE FUNCTION bcpaid.note()',
	'CREATE RULE r AS ON INSERT TO bcpaid.token_inbox DO ALSO NOTHING', 'CREATE POLICY p ON bcpaid.token',
	'ALTER TABLE bcpaid.token_inbox ADD CHECK (public.x(token))', "SELECT lo_export(1, 'x')")
{
	next if $try =~ /LIKE/;
	is(sqlstate('odoo', 'odoo', $try), 42501, "Odoo's role may not: $try");
}
is($node->safe_psql('odoo', 'SELECT count(*) FROM bcpaid.token', extra_params => [ '-U', $superuser ]), '1', 'there is a token');
like(($node->psql('odoo', 'SELECT * FROM bcpaid.token', extra_params => [ '-U', 'all_data' ]))[1] . '', qr/^$/, 'pg_read_all_data finds no token');
$node->safe_psql('postgres', 'GRANT pg_read_all_data TO odoo');
is($shop->odoo('SELECT count(*) FROM bcpaid.token'), '0', 'nor does it give Odoo one');
is($shop->odoo('SELECT count(*) FROM bcpaid.token_inbox'), '0', 'the inbox is empty');
$node->safe_psql('postgres', 'REVOKE pg_read_all_data FROM odoo');

# A mistake in COPY must not print what was copied.
foreach my $line ("99\ts3cret-wrong-store", "1\ts3cret with spaces", "x\ts3cret-no-number", "s3cret-swapped\t1", "\\N\ts3cret-no-store", "1\ts3cret-" . 'x' x 300)
{
	my ($code, $out, $messages) = $shop->try_odoo("COPY bcpaid.token_inbox FROM STDIN;\n$line\n\\.\n");
	isnt($code, 0, 'a line that is wrong is refused');
	unlike($messages, qr/s3cret/, 'and not shown') or diag $messages;
}
is($shop->odoo(q{SELECT count(*) FROM bcpaid.stores s, bcpaid.doctor() d, bcpaid.export_ledger() l
WHERE s::text LIKE '%demo' || '-token%' OR d::text LIKE '%demo' || '-token%' OR l::text LIKE '%demo' || '-token%'}), '0', 'no view and no function shows it');

$node->safe_psql('odoo', 'CREATE EXTENSION pg_stat_statements');
is($node->safe_psql('odoo', q{SELECT CASE WHEN count(*) > 20 THEN 'many ' END || coalesce(max(query) FILTER (WHERE query LIKE '%demo' || '-token%' OR query LIKE '%s3c' || 'ret%'), '')
FROM pg_stat_statements}), 'many ', 'nor is it in pg_stat_statements');

# ------------------------------------------------------ planted in Odoo's tables

my ($spied, $spied_invoice) = $shop->open_order(30, 910);

# Row security runs a function of Odoo's role at each look, a trigger at each change.
$shop->odoo(<<'SQL');
CREATE TABLE spied (who name, gained text);
CREATE SCHEMA evil;
CREATE FUNCTION spy() RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    try text;
BEGIN
    INSERT INTO public.spied VALUES (current_user, '');
    FOREACH try IN ARRAY ARRAY['SELECT token FROM bcpaid.token', 'SELECT bcpaid.connector_token(1)', 'ALTER ROLE odoo SUPERUSER',
        'UPDATE bcpaid.capture SET state = state', 'SET ROLE pg_monitor', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET ROLE',
        'SELECT bcpaid.set_token_from_file(1, ''/etc/debian_version'')',
        'SET bcpaid.enabled = off', 'COPY public.spied FROM PROGRAM ''echo x''']
    LOOP
        BEGIN
            EXECUTE try;
            INSERT INTO public.spied VALUES (current_user, try);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    PERFORM set_config('search_path', 'evil, public, pg_catalog', false), set_config('planted.setting', 'left behind', false),
            set_config('row_security', 'off', false), set_config('synchronous_commit', 'off', false);
    RETURN true;
END $$;
CREATE FUNCTION spying() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy(); RETURN NEW; END $$;
CREATE TRIGGER aaa BEFORE UPDATE OR INSERT ON sale_order FOR EACH ROW EXECUTE FUNCTION spying();
-- What an elevated statement would call if it looked into evil first.
DO $do$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY '{now(),clock_timestamp(),unnest(bigint[]),count(integer),greatest_of(int),lower(text),format(text\, text),current_database()}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION evil.%s RETURNS %s LANGUAGE plpgsql AS
            $b$ BEGIN PERFORM public.spy(); RETURN %s; END $b$', f, CASE WHEN f LIKE 'unnest%' THEN 'SETOF bigint' ELSE 'text' END,
            CASE WHEN f NOT LIKE 'unnest%' THEN 'NULL' END);
    END LOOP;
    EXECUTE 'CREATE FUNCTION evil.is(text, text) RETURNS bool LANGUAGE plpgsql AS $b$ BEGIN PERFORM public.spy(); RETURN false; END $b$';
    EXECUTE 'CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.is)';
END $do$;
CREATE TABLE evil.capture (id bigint); CREATE TABLE evil.store (id int); CREATE TABLE evil.token (store_id int);
SQL
$shop->odoo(<<'SQL');
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{sale_order,sale_order_line,account_move,account_move_line,ir_config_parameter,account_payment,res_currency,ir_model_fields}'::text[] LOOP
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY spy ON public.%I USING (public.spy())', t);
    END LOOP;
END $$;
SQL
my $none = "bcpaid_test: ||$superuser|on|on|\"\$user\", public";
$shop->sql('SELECT bcpaid.pause(1)');
foreach my $call ("bcpaid_can_mark($spied)", "count(*) FROM bcpaid_can_mark(ARRAY[$spied])", "count(*) FROM bcpaid_why_not($spied)",
	'bcpaid.attach()', 'bcpaid.sweep()', "count(*) FROM bcpaid.backfill('2020-01-01')", 'bcpaid.confirm_environment()', 'count(*) FROM bcpaid.doctor()',
	'count(*) FROM bcpaid.detect()', 'bool_or(environment_confirmed) FROM bcpaid.status', "bcpaid.set_store(1, name => 'x')", 'bcpaid.detach()', 'bcpaid.attach()', "bcpaid_mark($spied)")
{
	$node->safe_psql('odoo', 'TRUNCATE spied');
	pay_quietly() if $call =~ /mark\($spied\)$/ && $call =~ /bcpaid_mark/;
	my ($code, $out, $messages) = $node->psql('odoo', <<"SQL");
SET client_min_messages = error;
SELECT $call;
SELECT 'bcpaid_test: |' || coalesce(current_setting('planted.setting', true), '') || '|' || current_user || '|' ||
    current_setting('row_security') || '|' || current_setting('synchronous_commit') || '|' || current_setting('search_path');
SELECT 'seen by: ' || coalesce(string_agg(DISTINCT who, ' '), 'nothing') || coalesce(' ' || nullif(string_agg(DISTINCT gained, '; '), ''), '') FROM public.spied;
SQL
	like($out, qr/\Q$none\E$/m, "a superuser's $call leaves nothing behind") or diag $messages;
	like($out, $call =~ /set_store|attach|detect/ ? qr/^seen by: (?:odoo|nothing)$/m : qr/^seen by: odoo$/m, 'and what was planted ran as odoo, and gained nothing');
}
is($node->safe_psql('postgres', "SELECT rolsuper FROM pg_roles WHERE rolname = 'odoo'"), 'f', 'Odoo is no superuser yet');

# The worker's turn: it judges, sends and applies among all that.
$node->safe_psql('odoo', 'TRUNCATE spied');
$shop->sql('SELECT bcpaid.resume(1)');
$shop->wait_for_state($spied, 'applied', because => 'among spies');
is($shop->captures(910), 1, 'the store has one capture');
is($node->safe_psql('odoo', "SELECT string_agg(DISTINCT who || gained, ', ') FROM spied"), 'odoo', 'all that ran in the worker was odoo, and gained nothing');
$shop->odoo(<<'SQL');
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_policies WHERE policyname = 'spy' LOOP
        EXECUTE format('ALTER TABLE public.%I DISABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END $$;
DROP TRIGGER aaa ON sale_order;
SQL

# A restore loads the queries: texts that Odoo's role could write. They run as
# that role, and a wrong column is an error, not a look into our memory.
$node->safe_psql('postgres', 'CREATE DATABASE loaded OWNER odoo TEMPLATE template0');
$shop->odoo('CREATE EXTENSION bcpaid; CREATE TABLE sale_order (id int)', dbname => 'loaded');
foreach my $lie ("'x'::text", '4096::int8', "'infinity'::float8", "ARRAY[1]")
{
	my $columns = join(', ', ($lie) x 13);
	$node->safe_psql('loaded', 'DELETE FROM bcpaid.attachment');
	$shop->odoo(<<"SQL", dbname => 'loaded');
INSERT INTO bcpaid.attachment (profile, found, odoo_schema, @{[ join ', ', attachment_queries() ]}, columns)
VALUES ('native', '{}', 'public', @{[ join ', ', map { "\$q\$SELECT $columns\$q\$" } attachment_queries() ]}, '{}')
SQL
	my $thirteen = $node->psql('loaded', "SELECT * FROM bcpaid.judge(ARRAY[1])") ;
	is($thirteen, 3, "judge: a row of $lie is an error, and no crash");
	my $three = join ', ', ($lie) x 3;
	$node->safe_psql('loaded', "UPDATE bcpaid.attachment SET explain = \$q\$SELECT $three\$q\$, resolve = 'SELECT $lie', sweep = 'SELECT $lie'") if $lie !~ /'/;
	$node->safe_psql('loaded', "UPDATE bcpaid.attachment SET explain = \$q\$SELECT $three\$q\$, resolve = \$q\$SELECT $lie\$q\$, sweep = \$q\$SELECT $lie\$q\$");
	like($shop->odoo("SELECT bcpaid_can_mark(1), (SELECT string_agg(condition, ' ') FROM bcpaid_why_not(1))", dbname => 'loaded'),
		qr/^f\|profile$/, "can_mark and why_not: $lie is no answer");
	is(scalar $node->psql('loaded', 'SELECT bcpaid.unswept(0, 100)'), 3, "sweep: $lie is an error");
}
foreach my $cheap ('SELECT 1, true WHERE false', 'SELECT 1, NULL::bool')
{
	$node->safe_psql('loaded', "UPDATE bcpaid.attachment SET cheap = '$cheap', plain = 'SELECT 1, true WHERE false'");
	is($shop->odoo('SELECT bcpaid_can_mark(n) FROM generate_series(1, 3) n', dbname => 'loaded'), "f\nf\nf", "can_mark: no row is no answer: $cheap");
}
$node->safe_psql('postgres', 'DROP DATABASE loaded WITH (FORCE)');

# ------------------------------------------------------------------- settings

my @settings = split /\n/, $node->safe_psql('postgres', q{SELECT name || ' ' || setting FROM pg_settings WHERE name LIKE 'bcpaid.%' ORDER BY 1});
my (%answers, @values);
foreach my $user ('odoo', $superuser)
{
	foreach (@settings)
	{
		my ($name, $value) = split / /, $_, 2;
		$answers{ sqlstate('odoo', $user, $_) }++ for "SET $name = '$value'", "SET LOCAL $name = '$value'", "SELECT set_config('$name', '$value', false)",
		  "ALTER ROLE odoo SET $name = '$value'", "ALTER DATABASE odoo SET $name = '$value'";
	}
}
is_deeply(\%answers, { '55P02' => 2 * 5 * @settings }, scalar @settings . ' settings: not by SET, not for a role, not for a database');
isnt($node->psql('odoo', 'SELECT 1', connstr => $node->connstr('odoo') . q{ options='-c bcpaid.dry_run=on'}), 0, 'nor at connecting');
is(sqlstate('odoo', 'odoo', 'SET bcpaid.anything = 1'), 42602, 'nor can new ones be made up');
is(sqlstate('odoo', 'odoo', "SHOW bcpaid.$_"), 42501, "bcpaid.$_ is not shown to everybody") for qw(allowed_hosts proxy ca_file instance_file);

# ---------------------------------------- a role's settings do not reach the worker

$shop->odoo(<<'SQL');
CREATE TABLE observed (name text, setting text);
CREATE FUNCTION observe() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO public.observed SELECT s, current_setting(s) FROM unnest(ARRAY['synchronous_commit', 'transaction_isolation', 'transaction_read_only',
        'statement_timeout', 'lock_timeout', 'session_replication_role', 'role', 'row_security', 'exit_on_error',
        'idle_in_transaction_session_timeout']) s;
    RETURN NULL;
END $$;
CREATE TRIGGER observe AFTER UPDATE ON sale_order FOR EACH ROW
    WHEN (OLD.bcpaid_payment_status IS DISTINCT FROM NEW.bcpaid_payment_status) EXECUTE FUNCTION observe();
ALTER TABLE sale_order ENABLE ALWAYS TRIGGER observe;
SQL
my ($hostile, $hostile_invoice) = $shop->open_order(50, 920);
my ($unseen, $unseen_invoice) = $shop->open_order(60, 921);
end_worker();
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE harmless; GRANT harmless TO odoo;
ALTER ROLE odoo SET synchronous_commit = off;
ALTER ROLE odoo SET default_transaction_read_only = on;
ALTER ROLE odoo SET default_transaction_isolation = serializable;
ALTER ROLE odoo SET default_transaction_deferrable = on;
ALTER ROLE odoo SET statement_timeout = 1;
ALTER ROLE odoo SET lock_timeout = 1;
ALTER ROLE odoo SET idle_in_transaction_session_timeout = 1;
ALTER ROLE odoo SET search_path = evil, public;
ALTER ROLE odoo SET role = harmless;
ALTER ROLE odoo SET row_security = off;
ALTER ROLE odoo SET exit_on_error = on;
ALTER ROLE odoo SET "DateStyle" = 'SQL, DMY';
ALTER ROLE odoo SET "TimeZone" = 'Pacific/Apia';
ALTER ROLE odoo SET "IntervalStyle" = sql_standard;
ALTER ROLE odoo SET extra_float_digits = -15;
ALTER ROLE odoo SET bytea_output = escape;
ALTER ROLE odoo SET client_encoding = 'LATIN1';
ALTER ROLE odoo SET standard_conforming_strings = off;
ALTER ROLE odoo SET array_nulls = off;
ALTER ROLE odoo SET transform_null_equals = on;
ALTER ROLE odoo SET quote_all_identifiers = on;
ALTER ROLE odoo SET force_parallel_mode = on;
ALTER ROLE odoo SET plan_cache_mode = force_generic_plan;
ALTER ROLE odoo SET work_mem = 64;
ALTER ROLE odoo SET jit_above_cost = 0;
ALTER ROLE odoo SET session_replication_role = replica;
ALTER DATABASE odoo SET session_replication_role = replica;
ALTER DATABASE odoo SET synchronous_commit = off;
SQL
$shop->sql("SET session_replication_role = origin; SET synchronous_commit = on; SELECT fixture.pay($hostile_invoice)");
$shop->wait_for_state($hostile, 'applied', because => 'under a hostile role');
is($shop->captures(920), 1, 'a role with the worst settings: the store has one capture');
is($shop->status_of($hostile), 'Captured', 'and the order shows it');
is($shop->sql('SELECT name, setting FROM observed ORDER BY name'), <<'TEXT' =~ s/\n$//r, 'what the worker ran with');
exit_on_error|off
idle_in_transaction_session_timeout|0
lock_timeout|500ms
role|none
row_security|on
session_replication_role|origin
statement_timeout|0
synchronous_commit|on
transaction_isolation|read committed
transaction_read_only|off
TEXT

# The intent outlives a crash right after the request, though the role would not wait for the disk.
$shop->fault(do => 'hang', taken => JSON::PP::true, seconds => 30, match => { method => 'POST', order => 921 });
$shop->sql("SET session_replication_role = origin; SET synchronous_commit = on; SELECT fixture.pay($unseen_invoice)");
$shop->wait_until('the store has taken the capture', sub { $shop->captures(921) == 1 });
$node->stop('immediate');
$node->start;
$shop->wait_for_state($unseen, 'applied', because => 'looked for, and found');
like($shop->sql("SELECT string_agg(h.state, ' ' ORDER BY h.id) FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id WHERE c.order_id = $unseen"),
	qr/claimed sending unknown captured/, 'the intent was on disk before the request went out');
is($shop->captures(921), 1, 'it was not sent twice');

# A setting that was made while the library was not loaded does not count either.
$node->safe_psql('postgres', 'ALTER ROLE odoo RESET ALL; ALTER DATABASE odoo RESET ALL');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$shop->sql("ALTER ROLE odoo SET bcpaid.enabled = off; ALTER ROLE odoo SET bcpaid.dry_run = on; ALTER DATABASE odoo SET bcpaid.allowed_hosts = 'evil.example'");
my $late = $shop->paid_order(70, 930);
$shop->odoo("SET bcpaid.enabled = off; SELECT bcpaid_can_mark($late)");
like(($shop->try_odoo("SELECT bcpaid_mark($late)"))[2], qr/WARNING:  the capture is recorded, but nobody will send it/, 'without the library a mark says that nobody sends');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'bcpaid,pg_stat_statements'");
$node->restart;
$shop->wait_for_state($late, 'applied', because => 'with the settings of the configuration');
is($shop->captures(930), 1, 'settings from before the library was loaded are ignored');

# ------------------------------------------------------------ nothing was written

my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
like($log, qr/COPY bcpaid\.token_inbox/, 'the log has the statements');
unlike($log, qr/demo-token|s3cret/, 'and no token, at any level');
is($shop->sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%demo' || '-token%' AND pid <> pg_backend_pid()}), '0', 'nor has pg_stat_activity');

$shop->store_is_content;
$shop->stop;
done_testing();

sub sqlstate
{
	my ($database, $user, $statement) = @_;
	my ($code, $out, $messages) = $node->psql($database, "\\set VERBOSITY sqlstate\n$statement", extra_params => [ '-U', $user ], on_error_stop => 1);
	return $messages =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : '00000';
}

# Paid without the worker taking it first: what a superuser's mark is to find.
sub pay_quietly
{
	$node->safe_psql('odoo', "SET session_replication_role = replica; SET search_path = public, pg_catalog; SELECT fixture.pay($spied_invoice)");
	return;
}

sub attachment_queries
{
	return split /\n/, $node->safe_psql('odoo', q{SELECT attname FROM pg_attribute WHERE attrelid = 'bcpaid.attachment'::regclass AND attnum > 0
AND NOT attisdropped AND attnotnull AND attname NOT IN ('one', 'profile', 'found', 'odoo_schema', 'columns', 'attached_at') ORDER BY attnum});
}

sub end_worker
{
	$shop->wait_until_quiet;
	$shop->wait_until('no worker runs', sub {
		$node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker' AND datname = 'odoo'}) eq '0' });
	return;
}
