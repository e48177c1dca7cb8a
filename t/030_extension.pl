# Goal: CREATE and DROP EXTENSION, by whom, where, among hostile objects; Odoo
# is afterwards as it was.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('extension', no_database => 1, attach => 0);
my $node = $shop->{node};
my ($code, $out, $messages);

# --- Where, and by whom ---

# An empty database, as a restore finds it: by a superuser, by its owner.
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
foreach my $by ($superuser, 'odoo')
{
	my $user = $by eq 'odoo' ? 'owner' : 'superuser';

	$shop->sql("CREATE DATABASE empty OWNER odoo", dbname => 'postgres');
	($code, $out, $messages) = $shop->try_odoo('CREATE EXTENSION bcpaid', dbname => 'empty', user => $by);
	is("$code$messages", '0', "empty database, by $user: created without a word");
	is($shop->odoo('SELECT bcpaid_can_mark(1), (SELECT count(*) FROM bcpaid_can_mark(ARRAY[1]))', dbname => 'empty'),
		'f|0', 'an order of no Odoo cannot be marked');
	like($shop->odoo('SELECT bcpaid_why_not(1)', dbname => 'empty'), qr/no table sale_order/, 'and why');
	foreach my $call ('bcpaid.attach()', 'bcpaid.detect()', 'bcpaid.detach()', 'bcpaid.confirm_environment()')
	{
		($code, $out, $messages) = $shop->try_odoo("\\set VERBOSITY verbose\nSELECT $call", dbname => 'empty');
		like($messages, qr/ERROR:  55000: this database has no Odoo.*DETAIL: .*HINT:/s, "$call says that Odoo is missing");
	}
	($code, $out, $messages) = $shop->try_odoo("DROP EXTENSION bcpaid; SELECT count(*) FROM pg_namespace WHERE nspname = 'bcpaid'",
		dbname => 'empty', user => $by);
	is("$code$out$messages", '00', 'dropped, without CASCADE');
	$shop->sql('DROP DATABASE empty', dbname => 'postgres');
}

$shop->make_database('plain');
my $before = schema_of('plain');

$shop->sql('CREATE ROLE stranger LOGIN', dbname => 'postgres');
($code, $out, $messages) = $shop->try_odoo('CREATE EXTENSION bcpaid', dbname => 'plain', user => 'stranger');
like($messages, qr/permission denied/, 'not by somebody who may not create in this database');

# Into another schema, also one that needs quotes.
foreach my $schema ('tools', 'Odd "Name')
{
	(my $quoted = $schema) =~ s/"/""/g;
	next if $schema =~ /"/;    # PostgreSQL itself refuses such a name for @extschema@
	$shop->odoo(qq{SET client_min_messages = warning;
CREATE SCHEMA "$quoted"; CREATE EXTENSION bcpaid SCHEMA "$quoted"; SELECT bcpaid.attach();
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);}, dbname => 'plain');
	my $order = $shop->odoo("SELECT fixture.paid_order(10, '1')", dbname => 'plain');
	is($shop->odoo(qq{SELECT n.nspname, count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname LIKE 'bcpaid\\_%' GROUP BY 1}, dbname => 'plain'), "$schema|4", "into schema $schema: all four functions");
	like($shop->odoo(qq{SELECT string_agg(condition || ' ' || met, ', ') FROM "$quoted".bcpaid_why_not($order)}, dbname => 'plain'),
		qr/^switch true, link true, invoiced true, settled true/, 'which work there');
	$shop->odoo(qq{DROP EXTENSION bcpaid; DROP SCHEMA "$quoted"}, dbname => 'plain');
}

# psql is told what to do instead, and does nothing.
my $installed = $node->config_data('--sharedir') . '/extension/bcpaid--1.0.sql';
($code, $out, $messages) = $shop->try_odoo("\\i $installed", dbname => 'plain');
like($out, qr/^Use "CREATE EXTENSION bcpaid" to load this file\.$/, 'psql does not run the install script');
is($shop->sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'bcpaid'", dbname => 'plain'), '0', 'nothing of it');

# --- DROP EXTENSION leaves Odoo as it was ---

my @native = qw(bcpaid_store_id bcpaid_remote_order_id bcpaid_payment_status);
my $prepare = q{SET client_min_messages = warning; CREATE EXTENSION bcpaid; SELECT bcpaid.attach();};
$shop->odoo('ALTER TABLE sale_order ' . join(', ', map { "DROP COLUMN IF EXISTS $_" } @native), dbname => 'plain');
is(schema_of('plain'), $before, 'the other schema left nothing behind');

$shop->odoo("$prepare SELECT bcpaid.detach(); DROP EXTENSION bcpaid", dbname => 'plain');
is(schema_of('plain'), $before, 'detached and dropped, nothing linked: Odoo is as it was');

$shop->odoo($prepare, dbname => 'plain');
isnt(schema_of('plain'), $before, 'the comparison sees triggers and indexes');
$shop->odoo('DROP EXTENSION bcpaid', dbname => 'plain');
is(without_native(schema_of('plain')), $before, 'dropped while attached: Odoo is as it was, but for three columns');
is($shop->sql(q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'bcpaid%'}, dbname => 'plain'), '0', 'no trigger is left');
is($shop->sql(q{SELECT count(*) FROM pg_class WHERE relname LIKE 'bcpaid%'}, dbname => 'plain'), '0', 'no index is left');

# After a capture, with the worker there or not: the links stay in Odoo, and work again.
$shop->{attach} = 1;
$shop->make_database('used');
my $order = $shop->paid_order(69.84, 218, dbname => 'used');
$shop->wait_for_state($order, 'applied', dbname => 'used');
$shop->odoo('DROP EXTENSION bcpaid', dbname => 'used');
is(without_native(schema_of('used')), $before, 'dropped after a capture: Odoo is as it was, but for three columns');
is($shop->odoo("SELECT concat_ws(' ', bcpaid_store_id, bcpaid_remote_order_id, bcpaid_payment_status) FROM sale_order", dbname => 'used'),
	'1 218 Captured', 'which hold what Odoo shows');
is($shop->odoo("BEGIN; SELECT fixture.paid_order(5, '219'); COMMIT; SELECT 'fine'", dbname => 'used'), "2\nfine", 'Odoo goes on');

$shop->odoo("$prepare SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);", dbname => 'used');
is($shop->odoo('SELECT bcpaid_can_mark(1), bcpaid_can_mark(2)', dbname => 'used'), 'f|t',
	'created again: the captured order is known by its status, the other can be marked');

# Links that detach put away come back with attach.
$shop->odoo('SET client_min_messages = warning; SELECT bcpaid.detach()', dbname => 'used');
is(without_native(schema_of('used')), $before, 'detached: Odoo is as it was, but for columns with data');
$shop->odoo('UPDATE sale_order SET bcpaid_remote_order_id = NULL, bcpaid_store_id = NULL; SET client_min_messages = warning; SELECT bcpaid.attach()', dbname => 'used');
is($shop->odoo("SELECT string_agg(bcpaid_store_id || ' ' || bcpaid_remote_order_id, ', ' ORDER BY id) FROM sale_order", dbname => 'used'),
	'1 218, 1 219', 'attached again: links that were lost meanwhile are back');

# --- Hostile objects in public, before CREATE EXTENSION by a superuser ---

# An operator or function of an attacker's that fits better than PostgreSQL's
# own gets called by whoever does not fix the path, and says as whom it ran.
$shop->{attach} = 0;
$shop->make_database('hostile');
$shop->odoo('ALTER TABLE sale_order ADD bcpaid_store_id int4, ADD bcpaid_remote_order_id varchar', dbname => 'hostile');
my ($paid, $invoice) = $shop->open_order(12, 300, dbname => 'hostile');
$shop->odoo(hostile_objects(), dbname => 'hostile');
$shop->sql("SELECT 1::numeric >= 0, format('%s', current_user::text), '1'::jsonb #>> '{}'", dbname => 'hostile');
is(caught(), "$superuser|function format\n$superuser|operator jsonb, jsonb\n$superuser|operator numeric, integer",
	'and they catch who is careless');
$shop->sql('TRUNCATE trap', dbname => 'hostile');

$shop->sql('SET client_min_messages = warning; CREATE EXTENSION bcpaid; SELECT bcpaid.attach();', dbname => 'hostile');
is($shop->sql(<<'SQL', dbname => 'hostile'), '', 'nothing of bcpaid rests on an object of theirs');
SET search_path = pg_catalog;
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_depend d
LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
JOIN pg_depend e ON e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
WHERE 'public'::regnamespace IN (p.pronamespace, o.oprnamespace)
SQL
$shop->sql(<<'SQL', dbname => 'hostile');
SET client_min_messages = error;
SELECT bcpaid.detect();
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true, tolerance => 0.5, quota_reserve => 0.2);
SELECT bcpaid.set_token(1, 'demo-token');
SELECT * FROM bcpaid.doctor();
SELECT bcpaid.sweep();
SELECT bcpaid.backfill('2020-01-01', dry_run => false);
SELECT count(*) FROM bcpaid.export_ledger();
SELECT * FROM bcpaid.captures, bcpaid.attempts, bcpaid.stores, bcpaid.status;
SQL
$shop->odoo("UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = $invoice", dbname => 'hostile');
$shop->wait_for_state($paid, 'applied', dbname => 'hostile');
$shop->sql(<<"SQL", dbname => 'hostile');
SELECT * FROM bcpaid_why_not($paid);
SELECT bcpaid_can_mark($paid);
SELECT bcpaid_mark($paid);
CALL bcpaid.wait(1);
CALL bcpaid.test_store(1);
SQL
is(caught(), '', 'none of them ran, neither as a superuser nor as the worker');
is($shop->captures(300), 1, 'and the payment was captured');

$shop->store_is_content;
$shop->stop;
done_testing();

# The definitions in a database, but for what depends on the moment.
sub schema_of
{
	my ($database) = @_;
	my $dump = $node->backup_dir . "/$database.sql";

	mkdir $node->backup_dir unless -d $node->backup_dir;
	PostgreSQL::Test::Utils::system_or_bail('pg_dump', '-s', '-U', 'odoo', '-h', $node->host, '-p', $node->port, '-f', $dump, $database);
	return join "\n", grep { !/^--|^\\(?:un)?restrict|^$|EXTENSION .*bcpaid/ } split /\n/, PostgreSQL::Test::Utils::slurp_file($dump);
}

sub without_native
{
	my ($definitions) = @_;

	# The last column of a table has no comma.
	$definitions =~ s/,\n    (?:bcpaid_store_id integer|bcpaid_remote_order_id character varying|bcpaid_payment_status character varying)(?=,?\n)//g;
	return $definitions;
}

sub caught
{
	return $shop->sql("SELECT who, what FROM trap WHERE who <> 'odoo' GROUP BY who, what ORDER BY what", dbname => 'hostile');
}

sub hostile_objects
{
	return <<'SQL';
CREATE TABLE trap (who name, what text);
GRANT ALL ON trap TO PUBLIC;
SET search_path = pg_catalog;
DO $do$
DECLARE
    types text[] := '{jsonb,text,numeric,real,integer,bigint,boolean,text[],integer[],timestamptz,interval}';
    l text;
    r text;
    op text;
    body text;
    n int;
BEGIN
    FOREACH l IN ARRAY types LOOP
        FOREACH r IN ARRAY types LOOP
            EXECUTE format($f$CREATE FUNCTION public.trap_op(%s, %s) RETURNS %s LANGUAGE plpgsql AS
                $b$ BEGIN INSERT INTO public.trap VALUES (current_user, 'operator %s, %s'); RETURN NULL; END $b$ $f$, l, r,
                CASE l WHEN 'jsonb' THEN 'jsonb' ELSE 'text' END, l, r);
            EXECUTE format($f$CREATE FUNCTION public.trap_is(%s, %s) RETURNS bool LANGUAGE plpgsql AS
                $b$ BEGIN INSERT INTO public.trap VALUES (current_user, 'operator %s, %s'); RETURN NULL; END $b$ $f$, l, r, l, r);
            FOREACH op IN ARRAY '{||,->,->>,#>,#>>,+,-,*,/,%,&}'::text[] || '{=,<>,<,>,<=,>=,~,!~,~~,!~~,@>,<@,&&,?,?|}'::text[] LOOP
                CONTINUE WHEN EXISTS (SELECT FROM pg_operator o WHERE o.oprname = op AND o.oprnamespace = 'pg_catalog'::regnamespace
                    AND o.oprleft = l::regtype AND o.oprright = r::regtype);
                EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)', op, l, r,
                    CASE WHEN op IN ('=', '<>', '<', '>', '<=', '>=', '~', '!~', '~~', '!~~', '@>', '<@', '&&', '?', '?|')
                         THEN 'public.trap_is' ELSE 'public.trap_op' END);
            END LOOP;
        END LOOP;
    END LOOP;
    -- Exact matches where PostgreSQL's own are variadic or polymorphic.
    FOREACH body IN ARRAY '{format,concat,concat_ws,jsonb_build_object,jsonb_build_array,json_build_object,num_nulls}'::text[] LOOP
        FOR n IN 1 .. 8 LOOP
            EXECUTE format($f$CREATE FUNCTION public.%s(%s) RETURNS %s LANGUAGE plpgsql AS
                $b$ BEGIN INSERT INTO public.trap VALUES (current_user, 'function %s'); RETURN NULL; END $b$ $f$,
                body, array_to_string(array_fill('text'::text, ARRAY[n]), ', '),
                CASE WHEN body LIKE 'jsonb%' THEN 'jsonb' ELSE 'text' END, body);
        END LOOP;
    END LOOP;
    FOREACH body IN ARRAY '{unnest(text[]),unnest(integer[]),unnest(bigint[]),cardinality(text[]),cardinality(integer[]),array_to_string(text[]\, text),to_jsonb(text[]),to_jsonb(text),array_agg(text),array_agg(integer),max(bool),count(integer),count(text),array_append(text[]\, text),array_remove(text[]\, text),quote_literal(integer),jsonb_populate_record(jsonb\, jsonb),array_length(text[]\, integer),array_position(text[]\, text),current_setting(text\, text),nextval(text),lower(varchar),upper(varchar),btrim(varchar),replace(varchar\, varchar\, varchar),left(varchar\, integer),set_config(text\, text\, text),now(text),length(varchar)}'::text[] LOOP
        EXECUTE format($f$CREATE FUNCTION public.%s RETURNS %s LANGUAGE plpgsql AS
            $b$ BEGIN INSERT INTO public.trap VALUES (current_user, 'function %s'); RETURN %s; END $b$ $f$,
            body, CASE WHEN body LIKE 'unnest(text%' THEN 'SETOF text' WHEN body LIKE 'unnest(int%' THEN 'SETOF integer'
            WHEN body LIKE 'unnest%' THEN 'SETOF bigint' WHEN body LIKE '%jsonb%' THEN 'jsonb'
            WHEN body LIKE 'card%' THEN 'integer' WHEN body LIKE 'array\_%' THEN 'text[]' ELSE 'text' END,
            body, CASE WHEN body NOT LIKE 'unnest%' THEN 'NULL' END);
    END LOOP;
END $do$;
SQL
}
