# Goal: asked about order after order in one statement, bcpaid_can_mark() answers for each as that statement sees it, and what it keeps open meanwhile is in nobody's way.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

# Nobody sends: what is asked about stays as it is.  One session without the library preloaded is like one with it.
my $shop = Bcpaid::Shop->new('questions', conf => "bcpaid.enabled = off");
my $node = $shop->{node};
my @paid = map { ($shop->paid_order(10 + $_, 300 + $_))[0] } 0 .. 2;
my ($unpaid, $invoice) = $shop->open_order(20, 310);
my ($draft) = $shop->odoo(q{SELECT fixture.order(30, '320', state => 'draft')});
my $open = q{(SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'PortalContext' AND ident LIKE 'bcpaid %')};

# Captured as they are queued: switched off and on again they are left to people, and can be marked.
$shop->wait_until('all are judged', sub { $shop->sql('SELECT (SELECT count(*) FROM bcpaid.candidate), swept_at IS NOT NULL FROM bcpaid.progress') eq '0|t' });
$shop->sql('DELETE FROM bcpaid.capture');

# ---- answers ----

is($shop->odoo("SELECT string_agg(bcpaid_can_mark(id)::text, ' ' ORDER BY n) FROM unnest(ARRAY[$paid[0], $unpaid, 99999, $paid[1], NULL, $draft, $paid[0], 0]) WITH ORDINALITY u (id, n)"),
	'true false false true false false true false', 'each order of a list has its own answer, in any order');
is($shop->odoo("SELECT string_agg(c::text, ' ' ORDER BY order_id) FROM bcpaid_can_mark(ARRAY[$paid[1], $unpaid, NULL, 99999, $paid[1], $draft]) c"),
	join(' ', map { "($_->[0],$_->[1])" } sort { $a->[0] <=> $b->[0] } [ $paid[1], 't' ], [ $unpaid, 'f' ], [ $draft, 'f' ]),
	'the set form has one row for each that is an order, once');
is($shop->sql("SELECT said, CASE WHEN said IS NOT NULL THEN $open END FROM (SELECT bool_and(bcpaid_can_mark(id)) AS said FROM unnest(ARRAY[@{[ join ', ', @paid ]}]) id) q"),
	't|2', 'two questions are open while a list is asked');
is($shop->sql("BEGIN; SELECT bcpaid_can_mark($paid[0]); SELECT $open; COMMIT"), "t\n0", 'and none after the statement');

# ---- the snapshot is the statement's ----

$shop->odoo(<<'SQL');
CREATE FUNCTION ask_pay_ask(o int, invoice int, pays text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text := bcpaid_can_mark(o);
BEGIN
    EXECUTE pays USING invoice;
    RETURN said || ' ' || bcpaid_can_mark(o);
END $$;
SQL
is($shop->odoo("BEGIN; SELECT ask_pay_ask($unpaid, $invoice, 'SELECT fixture.pay(\$1)'); ROLLBACK"), 'false true',
	'a function sees what it changed between two calls');
is($shop->odoo("BEGIN; SELECT bcpaid_can_mark($unpaid), fixture.pay($invoice) IS NOT NULL, bcpaid_can_mark($unpaid); ROLLBACK"), 'f|t|f',
	'one statement sees what was before it');
is($shop->odoo("BEGIN; DECLARE c CURSOR FOR SELECT bcpaid_can_mark($unpaid) FROM generate_series(1, 3); FETCH c; SELECT fixture.pay($invoice) IS NOT NULL; FETCH c; SELECT bcpaid_can_mark($unpaid); ROLLBACK"),
	"f\nt\nf\nt", 'a cursor goes on as it began');

# A rule makes several statements of one, each of which sees what those before it did, in one snapshot.
$shop->odoo(<<"SQL");
CREATE TABLE first_said (id int, said bool); CREATE TABLE then_said (id int, said bool); CREATE TABLE paid (invoice int);
CREATE RULE also AS ON INSERT TO first_said DO ALSO (
    INSERT INTO paid SELECT fixture.pay($invoice) WHERE NEW.id = $unpaid; INSERT INTO then_said SELECT NEW.id, bcpaid_can_mark(NEW.id));
SQL
my $said = "SELECT string_agg(said::text, ' ' ORDER BY id) FROM";
my $insert = "INSERT INTO first_said SELECT id, bcpaid_can_mark(id) FROM unnest(ARRAY[$paid[0], $unpaid]) id";
for my $statement ($insert, "DO \$\$ BEGIN $insert; END \$\$")
{
	is($shop->odoo("BEGIN; $statement; $said first_said; $said then_said; ROLLBACK"), "true false\ntrue true", "a rule's statements see one another: " . substr $statement, 0, 6);
}

# ---- in nobody's way ----

is($shop->odoo("BEGIN; SELECT ask_pay_ask($paid[0], NULL, 'ALTER TABLE sale_order ADD COLUMN one int'); ROLLBACK"), 'true true',
	'a function alters the table between two calls');
is($shop->odoo("DO \$\$ DECLARE said bool; BEGIN said := bcpaid_can_mark($paid[0]); ALTER TABLE sale_order ADD COLUMN two int; ASSERT said AND bcpaid_can_mark($paid[0]);
  COMMIT; ASSERT bcpaid_can_mark($paid[1]); EXECUTE 'CLOSE ALL'; ASSERT bcpaid_can_mark($paid[1]); ALTER TABLE sale_order DROP COLUMN two; END \$\$; SELECT 'done'"),
	'done', 'so does a block, which commits and closes all cursors as well');

# ---- errors ----

$shop->odoo(<<"SQL");
CREATE FUNCTION plant(id int) RETURNS bool LANGUAGE plpgsql AS \$\$ BEGIN
    IF current_setting('plant.does', true) = 'fail' AND id = $paid[1] THEN RAISE EXCEPTION 'planted'; END IF;
    IF current_setting('plant.does', true) = 'ask' AND id = $paid[1] THEN RETURN public.bcpaid_can_mark($paid[2]); END IF;
    RETURN true; END \$\$;
CREATE POLICY plant ON sale_order_line USING (plant(order_id));
ALTER TABLE sale_order_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE sale_order_line FORCE ROW LEVEL SECURITY;
SQL
my $each = "SELECT string_agg(bcpaid_can_mark(id)::text, ' ' ORDER BY n) FROM unnest(ARRAY[$paid[0], $paid[1], $paid[2], $paid[1], $paid[0]]) WITH ORDINALITY u (id, n)";
is($shop->odoo($each), 'true true true true true', 'with a policy of Odoo\'s role in between');
is($shop->odoo("SET plant.does = 'fail'; $each"), 'true false true false true', 'an error is the answer for its order alone');
is($shop->odoo("BEGIN; SET plant.does = 'fail'; $each; SAVEPOINT s; $each; ROLLBACK TO s; SET plant.does = ''; $each; COMMIT"),
	"true false true false true\ntrue false true false true\ntrue true true true true", 'also in savepoints');
is($shop->odoo("SET plant.does = 'ask'; $each"), 'true true true true true', 'what our query calls may ask, too');

# Asked while its own query is planned, which calls what is immutable.
$shop->odoo(<<"SQL");
ALTER TABLE sale_order_line DISABLE ROW LEVEL SECURITY;
CREATE FUNCTION asks() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN
    IF current_setting('plant.does', true) = 'ask' THEN
        PERFORM set_config('plant.does', '', false);
        PERFORM public.bcpaid_can_mark(id) FROM unnest(ARRAY[@{[ join ', ', @paid ]}]) AS id;
    END IF;
    RETURN true; END \$\$;
CREATE POLICY plant ON sale_order USING (asks());
ALTER TABLE sale_order ENABLE ROW LEVEL SECURITY;
ALTER TABLE sale_order FORCE ROW LEVEL SECURITY;
SQL
is($shop->sql("BEGIN; SET plant.does = 'ask'; SELECT bcpaid_can_mark($paid[0]); SELECT $open; ALTER TABLE sale_order ADD COLUMN one int; ROLLBACK"), "t\n0",
	'asked while it is planned, it leaves nothing open');

# ---- without the library preloaded ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is($shop->odoo("BEGIN; SELECT ask_pay_ask($paid[0], NULL, 'ALTER TABLE sale_order ADD COLUMN one int'); ROLLBACK"), 'true true',
	'the same in a session that loads the library late');

$shop->stop;
done_testing();
