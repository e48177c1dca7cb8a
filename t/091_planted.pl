# Goal: whatever Odoo's role plants on its tables runs with that role's rights
# and no others: in the worker, when a superuser calls us, and when they commit;
# it leaves no setting behind.  Replacing the extension itself: t/096_replaced.pl.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Calls;
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('planted', no_database => 1, conf => "autovacuum = off\n");
my $node = $shop->{node};
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# ---- planted: each kind counts its runs, in a sequence that no rollback undoes ----

my @lives = qw(policy before after statement domain cast index_expression generated cascade child);
my @sleeps = qw(operator overload shadow);    # found by a path alone, so never
my @counted = (@lives, @sleeps, qw(deferred rule view called attacked gained));
$node->safe_psql('postgres', 'CREATE DATABASE odoo OWNER odoo');
$shop->odoo_file('t/shape/odoo19.sql');
$shop->odoo(join '', map { "CREATE SEQUENCE ran_$_ MINVALUE 0;\n" } @counted);
$shop->odoo(<<'SQL');
CREATE TABLE settings (name text, value text);
INSERT INTO settings VALUES ('search_path', 'evil, public, pg_catalog'), ('row_security', 'off'), ('session_replication_role', 'replica'),
    ('standard_conforming_strings', 'off'), ('client_encoding', 'LATIN1'), ('default_transaction_isolation', 'serializable'),
    ('default_transaction_read_only', 'on'), ('default_transaction_deferrable', 'on'), ('transaction_read_only', 'on'), ('synchronous_commit', 'off'),
    ('role', 'odoo'), ('session_authorization', 'odoo'), ('DateStyle', 'SQL, DMY'), ('IntervalStyle', 'sql_standard'), ('TimeZone', 'Pacific/Apia'),
    ('transform_null_equals', 'on'), ('array_nulls', 'off'), ('plan_cache_mode', 'force_custom_plan'), ('work_mem', '64'), ('bytea_output', 'escape'),
    ('extra_float_digits', '-15'), ('quote_all_identifiers', 'on'), ('check_function_bodies', 'off'), ('lock_timeout', '60000'), ('planted.here', 'yes');

CREATE FUNCTION spy(kind text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    called bigint := 1;
    try text;
    s public.settings;
BEGIN
    IF current_setting('spy.off', true) = 'on' OR EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid() AND usename = 'odoo' AND backend_type = 'client backend') THEN
        RETURN true;            -- Odoo's own session, or what the test prepares: no news
    END IF;
    n := nextval(('public.ran_' || kind)::regclass);
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid() AND backend_type = 'bcpaid worker') THEN
        called := nextval('public.ran_called');     -- in a superuser's session, of whose row this role does not see the type
    END IF;
    IF current_user <> 'odoo' OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        PERFORM nextval('public.ran_gained');
    END IF;
    IF n % 17 <> 0 AND called % 17 <> 0 THEN        -- so at the first run of each kind, and the first in a superuser's call
        RETURN true;
    END IF;
    PERFORM nextval('public.ran_attacked') WHERE called % 17 = 0;
    FOREACH try IN ARRAY ARRAY['ALTER ROLE odoo SUPERUSER', 'SELECT token FROM bcpaid.token', 'SELECT bcpaid.connector_token(1)', 'SET ROLE pg_monitor',
        'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'COPY public.settings FROM PROGRAM ''echo x''',
        'SELECT pg_catalog.pg_read_file(''/etc/hostname'')', 'ALTER SYSTEM SET bcpaid.enabled = off', 'UPDATE bcpaid.capture SET approved = ''x''',
        'CREATE TEMP TABLE capture (id int)', 'DECLARE c CURSOR WITH HOLD FOR SELECT public.spy(''deferred'')', 'SELECT bcpaid.as_owner(''SELECT 1'')', 'SELECT bcpaid.attach()']
    LOOP
        BEGIN
            EXECUTE try;
            RAISE WARNING 'gained by %: %', kind, try;
            PERFORM nextval('public.ran_gained');
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    FOR s IN SELECT * FROM public.settings LOOP
        BEGIN
            PERFORM pg_catalog.set_config(s.name, s.value, false);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    RETURN true;
END $$;
CREATE FUNCTION spying() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy(TG_ARGV[0]); RETURN NEW; END $$;
CREATE FUNCTION spied(text, kind text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.spy(kind); RETURN $1; END $$;

SQL
$shop->odoo_file("t/shape/$_.sql") for qw(fixtures fixtures-payments);
$shop->odoo(<<'SQL');
CREATE DOMAIN status AS varchar CHECK (spy('domain'));
CREATE TYPE remote AS ENUM ('1', '2', '3', '4', '5', '6', '7', '8');
CREATE FUNCTION remote_text(r remote) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.spy('cast'); RETURN pg_catalog.enum_out(r); END $$;
CREATE CAST (remote AS text) WITH FUNCTION remote_text(remote) AS IMPLICIT;
CREATE CAST (text AS remote) WITH INOUT AS ASSIGNMENT;
ALTER TABLE sale_order ADD bcpaid_store_id int, ADD bcpaid_remote_order_id remote, ADD bcpaid_payment_status status;
ALTER TABLE sale_order ADD generated text GENERATED ALWAYS AS (spied(bcpaid_payment_status::text, 'generated')) STORED;
CREATE INDEX ON sale_order (spied(bcpaid_payment_status::text, 'index_expression'));
CREATE TRIGGER a BEFORE UPDATE ON sale_order FOR EACH ROW EXECUTE FUNCTION spying('before');
CREATE TRIGGER b AFTER UPDATE ON sale_order FOR EACH ROW EXECUTE FUNCTION spying('after');
CREATE TRIGGER c AFTER UPDATE ON sale_order REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION spying('statement');
ALTER TABLE sale_order ADD UNIQUE (id, bcpaid_payment_status);
CREATE TABLE follower (id int, status status, FOREIGN KEY (id, status) REFERENCES sale_order (id, bcpaid_payment_status) ON UPDATE CASCADE);
CREATE TRIGGER d BEFORE UPDATE ON follower FOR EACH ROW EXECUTE FUNCTION spying('cascade');
CREATE TABLE sale_order_child () INHERITS (sale_order);
CREATE TRIGGER e BEFORE UPDATE ON sale_order_child FOR EACH ROW EXECUTE FUNCTION spying('child');

-- What a path would find first: better matches than PostgreSQL's own.
CREATE SCHEMA evil;
CREATE FUNCTION evil.same(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy('operator'); RETURN true; END $$;
CREATE OPERATOR evil.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = evil.same);
CREATE OPERATOR evil.<> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = evil.same);
CREATE FUNCTION evil.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy('overload'); RETURN pg_catalog.lower($1); END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy('overload'); RETURN pg_catalog.now(); END $$;
CREATE FUNCTION evil.format(text, VARIADIC varchar[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.spy('overload'); RETURN ''; END $$;
CREATE VIEW evil.pg_class AS SELECT c.*, public.spy('shadow') FROM pg_catalog.pg_class c;
CREATE VIEW evil.pg_roles AS SELECT c.*, public.spy('shadow') FROM pg_catalog.pg_roles c;
SET client_min_messages = error;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach(), bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
COPY bcpaid.token_inbox FROM STDIN;
1	demo-token
\.
SQL
like(($shop->try_odoo('CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION spying()'))[2], qr/permission denied/, 'an event trigger cannot be planted');

# An order with a follower, one that lies in the child, one to be marked.
my ($followed, $invoice) = $shop->open_order(10, 1);
my ($child, $child_invoice) = $shop->open_order(20, 2);
my ($marked, $marked_invoice) = $shop->open_order(30, 3);
$shop->sql("SET spy.off = on; UPDATE sale_order SET bcpaid_payment_status = 'Pending' WHERE id = $followed; INSERT INTO follower VALUES ($followed, 'Pending')");
$shop->sql(<<"SQL");
SET spy.off = on;
SET session_replication_role = replica;
INSERT INTO sale_order_child (id, name, state, invoice_status, currency_id, amount_total, bcpaid_store_id, bcpaid_remote_order_id)
SELECT id, name, state, invoice_status, currency_id, amount_total, bcpaid_store_id, bcpaid_remote_order_id FROM ONLY sale_order WHERE id = $child;
DELETE FROM ONLY sale_order WHERE id = $child;
SQL
row_security(1);
$node->safe_psql('postgres', "ALTER ROLE $_ SET search_path = evil, public, pg_catalog") for 'odoo';
reset_counts();

# ---- the worker ----

$shop->pay($_) for $invoice, $child_invoice;
$shop->wait_for_state($_, 'applied', because => 'among spies') for $followed, $child;
is($shop->captures($_), 1, 'the store has one capture') for 1, 2;
is($shop->sql("SELECT string_agg(status, '') FROM follower"), 'Captured', 'and the follower followed');
ran(\@lives, 'in the worker');

# Deferred to the commit, where nobody is fenced in: PostgreSQL refuses to fire it at all.
my $plant_deferred = q{CREATE CONSTRAINT TRIGGER f AFTER UPDATE ON sale_order DEFERRABLE INITIALLY %s FOR EACH ROW EXECUTE FUNCTION spying('deferred')};
$shop->odoo(sprintf $plant_deferred, 'DEFERRED');
reset_counts();
my $deferred = $shop->paid_order(40, 4);
$shop->wait_until('the deferred trigger is refused', sub { $shop->reason_of($deferred) =~ /deferred trigger/ });
is($shop->state_of($deferred), 'captured', 'a deferred trigger: the capture stands, and says why the order does not show it');
is(count('gained'), 0, 'and nothing was gained');
$shop->odoo('DROP TRIGGER f ON sale_order');
$shop->sql("UPDATE bcpaid.capture SET due = now() WHERE state = 'captured'; SELECT bcpaid.sweep()");
$shop->wait_for_state($deferred, 'applied', because => 'the trigger is gone');

# A rule, too, stops the status only; a view in the place of the table stops all, and runs as Odoo.
my $plant_rule = "CREATE RULE r AS ON UPDATE TO sale_order DO ALSO SELECT spy('rule')";
$shop->odoo($plant_rule);
reset_counts();
my $ruled = $shop->paid_order(50, 5);
$shop->wait_until('the rule is refused', sub { $shop->reason_of($ruled) =~ /rules/ });
is(count('gained'), 0, 'a rule: nothing was gained');
$shop->odoo('DROP RULE r ON sale_order');
$shop->sql("UPDATE bcpaid.capture SET due = now() WHERE state = 'captured'; SELECT bcpaid.sweep()");
$shop->wait_for_state($ruled, 'applied', because => 'the rule is gone');

# ---- a superuser calls ----

$shop->sql("SET spy.off = on; SET session_replication_role = replica; SELECT fixture.pay($marked_invoice)");
$shop->sql('SELECT bcpaid.pause(1)');
reset_counts();
my ($other) = $shop->open_order(60, 6);
my $held = $shop->sql("INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker)
	VALUES ('demo', 6, $other, 1, 'held', 'button', 'odoo', bcpaid.marker('demo', 6)) RETURNING id");
my $file = PostgreSQL::Test::Utils::tempdir . '/token';
append_to_file($file, "demo-token\n");
my $prepared = "UPDATE bcpaid.capture SET state = 'held' WHERE id = $held; UPDATE bcpaid.store SET paused = true";    # whatever the call before did
my (%ran, %attacked, @unattacked);
my $snapshot = q{SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)), current_user, session_user, current_setting('planted.here', true) FROM pg_settings};
foreach my $call (calls_of_everything($shop, order => $marked, invoice => $marked_invoice, remote => 3, held => $held, file => $file))
{
	my ($what) = split /\n/, $call;
	reset_counts();
	my ($code, $out, $messages) = $node->psql('odoo', "SET client_min_messages = error; DO \$\$ BEGIN END \$\$; $prepared;\n$snapshot;\n$call;\n$snapshot;\n");
	my @lines = split /\n/, $out;
	is("$code $lines[-1]", "0 $lines[0]", "a superuser's $what leaves no setting behind") or diag $messages;
	my %count = counts();
	is($count{gained}, 0, 'and what was planted gained nothing');
	$ran{$_} += $count{$_} for keys %count;
	$attacked{$1}++ if $count{attacked} > 0 && $what =~ /(\w+)\(/;
	push @unattacked, $what if $count{called} > 0 && $count{attacked} == 0;
}
is_deeply(\@unattacked, [], 'each call that reaches what is Odoo\'s was attacked from there');
is_deeply([ grep { !$attacked{$_} } qw(bcpaid_can_mark bcpaid_why_not bcpaid_mark backfill set_link sweep set_store attach detach doctor) ], [],
	'so were those that read and write it, and not the worker alone');
is_deeply([ grep { !$ran{$_} } qw(policy cast before after statement) ], [], 'all that was planted ran when a superuser called');
is_deeply([ grep { $ran{$_} } @sleeps, 'deferred' ], [], 'but nothing that only a path would find, nor anything later');

# A list is asked in one section: what ran for one order must not choose the names of the query that is opened next.
my @listed = map { [ $shop->open_order(70 + $_, 7 + $_) ] } 0, 1;
# Left to people, whatever a sweep finds.
$shop->sql("SET spy.off = on; SET session_replication_role = replica; INSERT INTO bcpaid.baseline (order_id, store_id) VALUES ($_->[0], 1); SELECT fixture.pay($_->[1])") for @listed;
my $list = join ', ', map { $_->[0] } @listed;
$shop->odoo(<<"SQL");
CREATE TABLE all_settings AS SELECT * FROM settings;
DELETE FROM settings WHERE name <> 'search_path';
INSERT INTO settings VALUES ('jit', 'on'), ('enable_seqscan', 'on');
CREATE FUNCTION asks() RETURNS bool LANGUAGE plpgsql AS \$\$
BEGIN
    IF current_setting('asks.now', true) = 'on' THEN
        PERFORM pg_catalog.set_config('asks.now', 'off', false);
        PERFORM pg_catalog.set_config('asks.answers', (SELECT string_agg(can_mark::text, ' ') FROM bcpaid_can_mark(ARRAY[$list])), false);
    END IF;
    RETURN public.spy('policy');
END \$\$;
ALTER TABLE sale_order_line ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY asks ON sale_order_line USING (asks());
CREATE FUNCTION evil.generate_series(int, bigint) RETURNS SETOF bigint LANGUAGE plpgsql AS \$\$ BEGIN PERFORM public.spy('overload'); RETURN NEXT 1; END \$\$;
SQL
foreach my $case (
	[ 'one order', "SELECT bcpaid_can_mark($listed[0][0])", 't' ],
	[ 'order after order', "SELECT string_agg(bcpaid_can_mark(id)::text, ' ') FROM unnest(ARRAY[$list]) id", 'true true' ],
	[ 'a list', "SELECT string_agg(can_mark::text, ' ') FROM bcpaid_can_mark(ARRAY[$list])", 'true true' ],
	[ 'a list that is asked while a list is', "SELECT set_config('asks.now', 'on', false); SELECT string_agg(can_mark::text, ' ') FROM bcpaid_can_mark(ARRAY[$list])", 'true true' ])
{
	my ($what, $call, $answer) = @$case;
	for (1, 2)    # with a plan to be made, and with one that is kept
	{
		reset_counts();
		my (undef, $out, $messages) = $node->psql('odoo', "SET client_min_messages = error;\n" . "$call;\n" x $_);
		my %count = counts();
		is((split /\n/, $out)[-1], $answer, "$what, $_ times: the answer") or diag $messages;
		cmp_ok($count{attacked}, '>', 0, 'among attacks');
		is_deeply([ grep { $count{$_} } @sleeps, 'gained' ], [], 'nothing ran that only a planted path would find, and nothing was gained');
	}
}
$shop->odoo('DROP POLICY asks ON sale_order_line; ALTER TABLE sale_order_line DISABLE ROW LEVEL SECURITY; DELETE FROM settings; INSERT INTO settings SELECT * FROM all_settings');

# What waits for the commit is refused by PostgreSQL, for what elevate_down() runs is a security-restricted operation; a rule
# runs as odoo.  attach() restores the links that detach() kept, if Odoo's role takes them away in between.
foreach my $case (
	[ 'a deferred trigger', sprintf($plant_deferred, 'DEFERRED'), '' ],
	[ 'a trigger that the caller defers', sprintf($plant_deferred, 'IMMEDIATE'), 'SET CONSTRAINTS ALL DEFERRED' ],
	[ 'a rule', $plant_rule, '' ])
{
	my ($planted, $plant, $first) = @$case;
	my $is_rule = $planted eq 'a rule';
	$shop->odoo($plant);
	foreach my $call ("set_link($marked, 1, '3')", 'attach()')
	{
		$shop->sql('SET client_min_messages = error; SELECT bcpaid.detach()') if $call eq 'attach()';
		$shop->odoo('UPDATE sale_order SET bcpaid_remote_order_id = NULL') if $call eq 'attach()';
		reset_counts();
		my (undef, undef, $messages) = $node->psql('odoo', "SET client_min_messages = error;\nBEGIN; $first;\nSELECT bcpaid.$call;\nCOMMIT");
		my %count = counts();
		like($messages, $is_rule ? qr/^$/ : qr/cannot fire deferred trigger within security-restricted operation/, "$planted: a superuser's $call");
		is("$count{deferred} $count{gained}", '0 0', 'nothing ran at the commit, and nothing was gained');
		is($count{rule} > 0 && $count{attacked} > 0, $is_rule, 'what a rule does was done, and attacked');
	}
	$shop->odoo('DROP RULE IF EXISTS r ON sale_order; DROP TRIGGER IF EXISTS f ON sale_order');
	$shop->sql('SET client_min_messages = error; SELECT bcpaid.attach()');
}
is($shop->sql("SELECT bcpaid_remote_order_id FROM sale_order WHERE id = $marked"), '3', 'the links are there');

# The same where sale_order is a view: read as it is, by Odoo's role, and never written.
$shop->odoo(q{ALTER TABLE sale_order RENAME TO sale_order_table; CREATE VIEW public.sale_order AS SELECT t.* FROM sale_order_table t WHERE spy('view')});
reset_counts();
$shop->sql("SELECT $_") for "bcpaid_can_mark($marked)", "count(*) FROM bcpaid_why_not($marked)", 'count(*) FROM bcpaid.doctor()';
is(count('gained'), 0, 'a view in the place of sale_order: nothing was gained');
cmp_ok(count('view'), '>', 0, 'and it was read');
$shop->odoo('DROP VIEW public.sale_order; ALTER TABLE sale_order_table RENAME TO sale_order');

# ---- tables that belong to a superuser, in a database that does not ----

row_security(0);
$shop->odoo('GRANT ALL ON sale_order TO odoo');
$shop->sql("ALTER TABLE sale_order OWNER TO $superuser; ALTER FUNCTION spy(text) OWNER TO $superuser; GRANT ALL ON sale_order TO odoo");
reset_counts();
is($shop->sql("SELECT bcpaid_can_mark($marked)"), 'f', "a superuser's sale_order in a database of Odoo's: no answer");
like(($node->psql('odoo', 'SELECT bcpaid.attach()'))[2], qr/belongs to a superuser, and this database does not.*ALTER TABLE \.\.\. OWNER TO/s, 'attach says why');
like($shop->sql("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'owner'"), qr/a superuser: Odoo should not be one/, 'and so does doctor');
is(count('gained'), 0, 'nothing ran as that superuser');
$shop->sql('ALTER TABLE sale_order OWNER TO odoo; SELECT bcpaid.resume(1)');

# ---- queries that a restore loads are texts of whoever loads them ----

$node->safe_psql('postgres', 'CREATE ROLE landlord LOGIN; CREATE DATABASE rented OWNER landlord');
$shop->sql('CREATE SCHEMA old; CREATE TABLE old.sale_order (id int); GRANT ALL ON SCHEMA public TO odoo; CREATE EXTENSION bcpaid', dbname => 'rented');
$shop->odoo('CREATE TABLE sale_order (id int)', dbname => 'rented');
my $load = q{INSERT INTO bcpaid.attachment (profile, found, odoo_schema, cheap, plain, judge, explain, resolve, sweep, apply, columns)
VALUES ('native', '{}', '%s', 'SELECT 1', '', '', '', '', 'ALTER ROLE landlord SUPERUSER', '', '{}')};
foreach my $schema ('old', 'public', 'nowhere')
{
	like(($shop->try_odoo(sprintf($load, $schema), dbname => 'rented', user => 'landlord'))[2], qr/must be owner of $schema\.sale_order/,
		"queries that would run as the owner of $schema.sale_order are not the landlord's to load");
}
is($node->safe_psql('postgres', "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"), $superuser, 'nobody became superuser');
unlike($shop->log_since, qr/WARNING:  gained by|terminated by signal/, 'nothing was gained, nothing crashed');

$shop->store_is_content;
$shop->stop;
done_testing();

sub row_security
{
	my ($on) = @_;
	for (qw(sale_order account_move account_move_line ir_config_parameter ir_model_fields))
	{
		$shop->odoo("DROP POLICY IF EXISTS spy ON $_; ALTER TABLE $_ @{[ $on ? 'ENABLE' : 'DISABLE' ]} ROW LEVEL SECURITY, @{[ $on ? '' : 'NO' ]} FORCE ROW LEVEL SECURITY;"
			  . ($on ? "CREATE POLICY spy ON $_ USING (spy('policy'))" : ''));
	}
	return;
}

sub reset_counts { return $shop->sql(join ';', map { "ALTER SEQUENCE ran_$_ RESTART" } @counted) }
sub counts { return map { split /\|/ } split /\n/, $shop->sql("SELECT substr(sequencename, 5), coalesce(last_value + 1, 0) FROM pg_sequences WHERE sequencename LIKE 'ran\\_%'") }
sub count { return { counts() }->{ $_[0] } }

sub ran
{
	my ($kinds, $where) = @_;
	is_deeply([ grep { count($_) == 0 } @$kinds ], [], "$where: all that was planted ran");
	is_deeply([ grep { count($_) > 0 } @sleeps ], [], "$where: but nothing that only a path would find");
	is(count('gained'), 0, "$where: as odoo, and gained nothing");
	return;
}
