# Goal: no setting of a role, a database, or a role in a database changes what
# the worker does, how durable its intent is, or what the button answers; no
# path leads to anything but our own functions.  Payments: t/092_sessions.pl.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Calls;
use Bcpaid::Settings;
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('settings', conf => "autovacuum = off\nbcpaid.idle_timeout = '50ms'\n");
my $node = $shop->{node};

# A session of the test's says what it needs; a worker has no client that could.
my $sane = join ' ', map { "-c $_" } 'default_transaction_isolation=read\ committed', qw(statement_timeout=0 lock_timeout=0
  idle_in_transaction_session_timeout=0 idle_session_timeout=0 default_transaction_read_only=off session_replication_role=origin
  search_path=public client_encoding=UTF8 exit_on_error=off role=none row_security=on standard_conforming_strings=on);

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE harmless; GRANT harmless TO odoo;
SQL
my @settings = hostile_settings($node);
cmp_ok(scalar @settings, '>', 65, scalar(@settings) . ' settings');

# ---- what an intent sees, told from inside its own transaction ----

$shop->sql(<<'SQL');
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE watched (order_id int, name text, value text) USING heap;
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.watched SELECT NEW.order_id, s, pg_catalog.current_setting(s, true) FROM pg_catalog.unnest(ARRAY['synchronous_commit', 'transaction_isolation',
        'transaction_read_only', 'transaction_deferrable', 'session_replication_role', 'statement_timeout', 'lock_timeout',
        'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout', 'search_path', 'row_security', 'role', 'exit_on_error',
        'transform_null_equals', 'TimeZone', 'plan_cache_mode', 'jit']) AS s;
    RETURN NEW;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON bcpaid.capture FOR EACH ROW WHEN (NEW.state = 'sending') EXECUTE FUNCTION watch();
ALTER TABLE bcpaid.capture ENABLE ALWAYS TRIGGER watch;
SQL
my $timeout = (grep { $_->[0] eq 'transaction_timeout' } @settings) ? '0' : '';
my $remote = 100;
foreach my $whom ('ROLE odoo', 'DATABASE odoo', 'ROLE odoo IN DATABASE odoo', 'ROLE ALL')
{
	my ($order, $invoice) = $shop->open_order(10, ++$remote);
	my $seen;

	no_worker();
	$node->safe_psql('postgres', alter_settings($whom, grep { $_->[0] ne 'local_preload_libraries' || $whom eq 'ROLE odoo' } @settings));    # it would end our own sessions
	local $ENV{PGOPTIONS} = $sane;
	$shop->sql("SELECT fixture.pay($invoice)");
	$shop->wait_for_state($order, 'applied', because => "settings of $whom");
	$node->safe_psql('postgres', "ALTER $whom RESET ALL");
	is($shop->captures($remote), 1, "$whom: the store has one capture");
	is($shop->status_of($order), 'Captured', 'and the order shows it');
	is($shop->sql("SELECT string_agg(DISTINCT name || '=' || coalesce(value, ''), ', ') FROM watched WHERE order_id = $order"),
		'TimeZone=UTC, exit_on_error=off, idle_in_transaction_session_timeout=0, idle_session_timeout=0, jit=off, lock_timeout=500ms, plan_cache_mode=force_generic_plan, '
		  . 'role=none, row_security=on, search_path=pg_catalog, pg_temp, session_replication_role=origin, statement_timeout=0, synchronous_commit=on, '
		  . "transaction_deferrable=off, transaction_isolation=read committed, transaction_read_only=off, transaction_timeout=$timeout, transform_null_equals=off",
		'what its intent was committed with');
}

# ---- the button, and the calls of people, under each setting by itself ----

my ($open, $open_invoice) = $shop->open_order(20, 200);
my $paid = $shop->paid_order(30, 201);
$shop->wait_for_state($paid, 'applied');
$shop->sql('SELECT bcpaid.pause(1)');
my $marked = $shop->paid_order(40, 202);
my $ask = q{SELECT md5(concat((SELECT string_agg(c::text, ' ' ORDER BY order_id) FROM bcpaid_can_mark(ARRAY(SELECT id FROM sale_order)) c),
    (SELECT string_agg(concat_ws(' ', o.id, bcpaid_can_mark(o.id), w.condition, w.met, w.detail), ';' ORDER BY o.id, w.ctid_) FROM sale_order o, LATERAL
        (SELECT *, row_number() OVER () AS ctid_ FROM bcpaid_why_not(o.id)) w), (SELECT count(*) FROM bcpaid.export_ledger() WHERE export_ledger ? 'capture')))};
$shop->wait_until('the payment is judged', sub { $shop->state_of($marked) eq 'queued' });
my @try = grep { $_->[0] !~ /timeout|^role$|_libraries$|read_only|min_messages|verbosity|^log_|^debug_print|^track|^vacuum|^commit/ } @settings;
my @answers = split /\n/, $shop->sql(join '', "SET client_min_messages = error; SET log_min_messages = fatal; $ask;\n",
	map { "DISCARD PLANS; SET $_->[0] = " . ($_->[0] eq 'search_path' ? 'public' : "'$_->[1]'") . "; $ask;\nRESET $_->[0];\n" } @try);
is(scalar @answers, 1 + @try, 'asked under each setting');
is_deeply([ map { $answers[$_] eq $answers[0] ? () : $try[ $_ - 1 ][0] } 1 .. $#answers ], [], 'the answers are the same under each');
is($shop->sql("SET standard_conforming_strings = off; SET default_table_access_method = other; SET quote_all_identifiers = on; SET array_nulls = off;
SET client_min_messages = error; SELECT bcpaid.detach(), bcpaid.attach(); SELECT string_agg(\"check\", ' ') FROM bcpaid.doctor() WHERE NOT ok") =~ s/^\|\n?//r,
	'instance file store 1', 'attached anew under them, all is well but what it was before');
$shop->sql("CREATE DATABASE other OWNER odoo", dbname => 'postgres');
is($shop->sql("CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler; SET default_table_access_method = other; CREATE EXTENSION bcpaid;
SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = 'bcpaid.candidate'::regclass", dbname => 'other'), 'heap',
	'notes are appended to a heap, whatever the default is');

# ---- a path that leads to somebody else's functions first ----

$shop->odoo(<<'SQL');
CREATE SEQUENCE lured;
CREATE SCHEMA evil;
CREATE FUNCTION evil.lure() RETURNS bigint LANGUAGE sql AS 'SELECT pg_catalog.nextval(''public.lured'')';
DO $do$
DECLARE
    f record;
BEGIN
    -- Every function and operator of PostgreSQL's that our sources name, with the same arguments.
    FOR f IN SELECT DISTINCT ON (p.oid) p.proname, pg_get_function_identity_arguments(p.oid) AS args, format_type(p.prorettype, NULL) AS result, p.proretset
             FROM pg_proc p JOIN pg_proc b ON b.pronamespace IN ('bcpaid'::regnamespace, 'public'::regnamespace) AND b.prosrc ~ ('\m' || p.proname || '\s*\(')
             WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname ~ '^[a-z_]+$'
               AND NOT p.proargtypes::oid[] && '{cstring,internal}'::regtype[]::oid[] AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype)
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.lure(); RETURN %s; END $f$',
                f.proname, f.args, CASE WHEN f.proretset THEN 'SETOF ' END, f.result, CASE WHEN NOT f.proretset AND f.result <> 'void' THEN 'NULL' END);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR f IN SELECT o.oprname, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r FROM pg_operator o
             WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '+', '-', '||', '~', '!~', '~~', '!~~', '->', '->>', '#>>', '?', '&&', '<@', '@>') AND o.oprleft <> 0
               AND concat(o.oprleft::regtype, ' ', o.oprright::regtype) !~ 'any|record|cstring|internal'
    LOOP
        BEGIN
            EXECUTE format('CREATE OR REPLACE FUNCTION evil.operate(%s, %s) RETURNS bool LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.lure(); RETURN NULL; END $f$', f.l, f.r);
            EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.operate)', f.oprname, f.l, f.r);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR f IN SELECT relname FROM pg_class WHERE relnamespace = 'bcpaid'::regnamespace AND relkind IN ('r', 'v')
             UNION ALL SELECT unnest('{pg_class,pg_proc,pg_roles,pg_namespace,pg_attribute,pg_trigger,pg_database,pg_index,sale_order}'::text[])
    LOOP
        EXECUTE format('CREATE VIEW evil.%I AS SELECT evil.lure()', f.relname);
    END LOOP;
    CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.lure() IS NOT NULL);
    CREATE DOMAIN evil.timestamptz AS pg_catalog.timestamptz CHECK (evil.lure() IS NOT NULL);
    CREATE TYPE evil.regrole AS ENUM ('x'); CREATE TYPE evil.regclass AS ENUM ('x'); CREATE TYPE evil.jsonb AS ENUM ('x');
END $do$;
GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT ALL ON SEQUENCE lured TO PUBLIC;
SQL
cmp_ok($shop->sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace"), '>', 150, 'lures are laid');

# What a superuser calls finds an order to be marked and a capture that is held, for all but the procedures, which change neither, are rolled back.
$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($open_invoice); UPDATE bcpaid.capture SET state = 'held' WHERE order_id = $marked");
my $held = $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $marked");
my $file = PostgreSQL::Test::Utils::tempdir . '/token';
append_to_file($file, "demo-token\n");
my @lured;
foreach my $call (calls_of_everything($shop, order => $open, invoice => $open_invoice, remote => 200, held => $held, file => $file))
{
	my ($begin, $end) = $call =~ /^CALL/ ? ('', '') : ('BEGIN;', 'ROLLBACK;');
	foreach my $path ('evil, pg_catalog', 'evil, pg_temp')
	{
		my ($code, undef, $messages) = $node->psql('odoo', "SET client_min_messages = error; SET statement_timeout = '$shop->{timeout}s'; $begin SET search_path = $path;\n$call;\n$end");
		push @lured, "$call with $path: $messages" if $code != 0 || $shop->sql('SELECT is_called FROM lured') eq 't';
		$shop->sql('ALTER SEQUENCE lured RESTART');
	}
}
is(join("\n", @lured), '', 'every call does its work, and none was lured');

# What fires as a trigger, for Odoo's role and committed: a token, the ledger and the queries of a restore, a payment.
$shop->odoo('SELECT bcpaid.resume(1)');
foreach my $path ('evil, pg_catalog', 'evil, pg_temp')
{
	my ($order, $invoice) = $shop->open_order(50, ++$remote);
	my $residual = $shop->sql("SELECT amount_residual FROM account_move WHERE id = $invoice");
	$shop->sql('DELETE FROM bcpaid.token');
	is(tempted($path, "COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n"), '', "with $path: a token is taken,");
	is($shop->sql('SELECT * FROM bcpaid.token'), '1|demo-token', 'and kept');
	like(tempted($path, "INSERT INTO bcpaid.baseline VALUES ($order, 1)"), qr/^psql:<stdin>:\d+: ERROR:  table bcpaid\.baseline is written by bcpaid only$/m, 'the ledger is guarded');
	$shop->sql('DELETE FROM bcpaid.environment; CREATE TABLE restored AS TABLE bcpaid.attachment; GRANT SELECT ON restored TO odoo; DELETE FROM bcpaid.attachment');
	is(tempted($path, "INSERT INTO bcpaid.attachment SELECT * FROM public.restored; INSERT INTO bcpaid.link VALUES (99999)"), '', 'but not from a restore');
	is($shop->sql('DROP TABLE restored; DELETE FROM bcpaid.link RETURNING order_id'), '99999', 'which loads it');
	$shop->odoo('SELECT bcpaid.confirm_environment()');
	# Odoo's last statement alone, for what the fixtures are made of would be lured itself.
	$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($invoice); UPDATE account_move SET payment_state = 'not_paid', amount_residual = $residual WHERE id = $invoice");
	is(tempted($path, "UPDATE public.account_move SET payment_state = 'paid', amount_residual = 0 WHERE id OPERATOR(pg_catalog.=) $invoice"), '', 'a payment is made');
	$shop->wait_for_state($order, 'applied', because => "paid with $path");
	is($shop->captures($remote) . $shop->sql("SELECT origin FROM bcpaid.capture WHERE order_id = $order"), '1payment', 'noted, and captured once');
}
$shop->sql('SET search_path = evil, pg_catalog; SELECT 1 WHERE 1 = 1::bigint AND now() IS NULL');
is($shop->sql('SELECT is_called FROM lured'), 't', 'which would have been seen');

$shop->store_is_content;
$shop->stop;
done_testing();

# As Odoo's role with a path: what went wrong, and whether it was lured.
sub tempted
{
	my ($path, $sql) = @_;
	my (undef, undef, $messages) = $shop->try_odoo("SET search_path = $path;\n$sql;\n");
	my $lured = $shop->sql('SELECT is_called FROM lured') eq 't' ? 'lured' : '';
	$shop->sql('ALTER SEQUENCE lured RESTART');
	return $lured . $messages;
}

sub no_worker
{
	$shop->wait_until_quiet;
	$shop->wait_until('no worker runs', sub {
		$node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'}) eq '0' });
	return;
}
