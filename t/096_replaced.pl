# Goal: who owns a database may drop the extension, and make a schema bcpaid of
# his own, at any moment: nothing in that one is taken for ours, or runs as superuser.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('replaced', conf => <<'CONF');
autovacuum = off
max_connections = 60
bcpaid.idle_timeout = '100ms'
bcpaid.request_timeout = '60s'
log_min_messages = debug1
CONF
my $node = $shop->{node};

# What a caller gives each SECURITY DEFINER function; a new one needs a row here.
my %arguments = (
	attach => '', detach => '', detect => '', doctor => '', sweep => '', confirm_environment => '', export_ledger => '',
	environment_is_confirmed => '', set_store => "1, name => 'x'", set_token => "1, 'x'", set_token_from_file => "1, '/nowhere'",
	pause => '1', resume => '1', want_test => '1', retry => '1', retry_store => '1', approve => '1', cancel => '1',
	settle_by_hand => "1, 'x'", orders_query => '', profile_in_use => '', set_link => "1, 1, '501'", backfill => "'2020-01-01'", capture_state => '1', import_ledger => q('{"link": {"order_id": 1}}'));
my @definers = split /\n/, $shop->sql(q{SELECT p.proname FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
WHERE p.pronamespace = 'bcpaid'::regnamespace AND p.prosecdef AND t.typname <> 'trigger' ORDER BY 1});
is_deeply([ sort keys %arguments ], \@definers, 'every SECURITY DEFINER function is called below');
is($shop->sql(q{SELECT string_agg(p.proname, ' ') FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'bcpaid'::regnamespace AND p.prosecdef AND l.lanname <> 'bcpaid'}), '', 'each is in the language that holds the extension');

my $decoys = decoys();
my @everything = (map({ "bcpaid.$_($arguments{$_})" } @definers), 'bcpaid_can_mark(1)', 'bcpaid_can_mark(ARRAY[1])', 'bcpaid_why_not(1)', 'bcpaid_mark(1)');

# ---- a database that never had the extension, visited after a start ----

$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE DATABASE mine OWNER tenant');
$node->safe_psql('mine', $decoys, extra_params => [ '-U', 'tenant' ]);
my $since = $shop->log_size;
my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'mine'");
$node->restart;
$shop->wait_until('the database was visited', sub {
	my $log = $shop->log_since($since);
	my @exits = $log =~ /background worker "bcpaid worker" \(PID \d+\) (?:exited|was terminated)/g;
	$log =~ /starting background worker process "bcpaid worker for database $oid"/ &&
	  @exits == (() = $log =~ /starting background worker process "bcpaid worker/g) });
nothing_gained('a schema bcpaid in a database of a tenant, visited', 'mine');
$shop->sql('DROP DATABASE mine', dbname => 'postgres');

# ---- dropped by what Odoo's role planted, in the middle of our own call ----

$shop->odoo("CREATE TABLE decoy (sql text); INSERT INTO decoy VALUES (\$decoy\$$decoys\$decoy\$)");
$shop->odoo(<<'SQL');
CREATE SEQUENCE tried;
CREATE SEQUENCE gained MINVALUE 0;
CREATE FUNCTION replace() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('public.tried');
    EXECUTE 'DROP EXTENSION bcpaid';
    EXECUTE (SELECT sql FROM public.decoy);
    RETURN true;
EXCEPTION WHEN object_in_use THEN
    RETURN true;
END $$;
SQL
my ($order) = $shop->open_order(10, 501);
planted('ENABLE', 'FORCE');
foreach my $caller ('odoo', $node->safe_psql('postgres', 'SELECT current_user'))
{
	$shop->try_odoo("BEGIN; SELECT $_; ROLLBACK", user => $caller) for map { s/\b1\b/$order/r } @everything;
	nothing_gained("what is planted and drops the extension, when $caller calls");
}
cmp_ok($shop->sql('SELECT last_value FROM tried'), '>', 20, 'it did try');
is($shop->sql("SELECT count(*) FROM pg_extension WHERE extname = 'bcpaid'"), '1', 'the extension stayed');

$shop->sql("ALTER SEQUENCE tried RESTART; SET session_replication_role = replica; SELECT fixture.pay((SELECT max(id) FROM account_move))");
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.sweep()');
$shop->wait_for_state($order, 'applied', because => 'the worker goes on');
cmp_ok($shop->sql('SELECT last_value FROM tried'), '>', 5, 'it tried in the worker, too');
nothing_gained('what is planted and drops the extension, when the worker comes');
is($shop->captures(501), 1, 'and the order has its capture');
planted('DISABLE', 'NO FORCE');

# ---- dropped by another session, between the look-up of a function and its first statement ----

my $person = $node->background_psql('odoo', extra_params => [ '-U', 'odoo' ]);
$person->query('SELECT pg_advisory_lock(7)');
my @sessions = map { waiting_session($_) } map { s/\b1\b/$order/r } @everything;
$shop->wait_until('all sessions wait', sub { $shop->sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == @sessions });

# And a worker is busy, too: it has claimed an order, and its store hangs.
$shop->fault(do => 'hang', seconds => 60, then => 'close', match => { method => 'GET', order => 502 });
my $busy = $shop->paid_order(10, 502);
$shop->wait_for_state($busy, 'claimed', because => 'the store hangs');
$shop->odoo("BEGIN; DROP EXTENSION bcpaid; $decoys; COMMIT");
$person->query('SELECT pg_advisory_unlock(7)');
$_->quit for @sessions;
nothing_gained('a schema that took the place of ours before a function began');
$shop->control('POST', 'release', {});
$shop->wait_until('the worker is gone', sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
nothing_gained('a schema that took the place of ours under a worker');
is($shop->captures(502), 0, 'nothing was sent for a ledger that is gone');
unlike($shop->log_since($since), qr/terminated by signal/, 'no process crashed');
$person->quit;

$shop->store_is_content;
$shop->stop;
done_testing();

# A schema bcpaid in which every name of ours is taken, and tells when a
# superuser falls for it; a sequence, because a rollback does not undo that.
sub decoys
{
	my $sql = <<'SQL';
CREATE SEQUENCE IF NOT EXISTS public.gained MINVALUE 0;
CREATE FUNCTION public.ran() RETURNS bool LANGUAGE sql AS $$
    SELECT pg_catalog.nextval('public.gained') > 0 FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper
$$;
CREATE SCHEMA bcpaid;
SQL
	$sql .= $shop->sql(<<'SQL');
SELECT format('CREATE FUNCTION bcpaid.%I(%s) RETURNS %s LANGUAGE plpgsql AS $d$ BEGIN PERFORM public.ran(); RETURN %s; END $d$;',
           p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid),
           CASE WHEN NOT p.proretset AND p.prorettype <> 'void'::regtype AND NOT coalesce(p.proargmodes && '{o,t}'::"char"[], false) THEN 'NULL' END)
FROM pg_proc p
WHERE p.pronamespace = 'bcpaid'::regnamespace AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'language_handler'::regtype)
  AND pg_get_function_arguments(p.oid) || pg_get_function_result(p.oid) NOT LIKE '%bcpaid.%'
UNION ALL
SELECT format('CREATE VIEW bcpaid.%I AS SELECT %s WHERE public.ran();', c.relname,
    (SELECT string_agg(format('NULL::%s AS %I', format_type(a.atttypid, a.atttypmod), a.attname), ', ' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c WHERE c.relnamespace = 'bcpaid'::regnamespace AND c.relkind IN ('r', 'v');
SQL
	return $sql;
}

sub planted
{
	my ($enable, $force) = @_;
	$shop->odoo("DROP POLICY IF EXISTS replace ON $_; ALTER TABLE $_ $enable ROW LEVEL SECURITY; ALTER TABLE $_ $force ROW LEVEL SECURITY;"
		  . ($enable eq 'ENABLE' ? "CREATE POLICY replace ON $_ USING (replace())" : ''))
	  for qw(sale_order account_move ir_config_parameter ir_model_fields);
	return;
}

# One that has called the function before, and has begun to call it again.
sub waiting_session
{
	my ($call) = @_;
	my $session = $node->background_psql('odoo', extra_params => [ '-U', 'odoo' ], on_error_stop => 0);

	$session->query("SET client_min_messages = error; BEGIN; SELECT $call; ROLLBACK;");
	$session->{stdin} .= "SELECT pg_advisory_lock_shared(7), $call;\n";
	$session->{run}->pump_nb;
	return $session;
}

sub nothing_gained
{
	my ($what, $dbname) = @_;
	my $gained = $shop->sql(q{SELECT coalesce((SELECT last_value FROM pg_sequences WHERE sequencename = 'gained'), 0)}, dbname => $dbname || 'odoo');
	is($gained, 0, "$what: nothing of it ran as superuser");
	return;
}
