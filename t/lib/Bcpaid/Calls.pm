# What the extension grants to anybody, or runs for anybody as a trigger: a
# statement for each function, procedure and view, for the tests that go through
# all of them.
#
# The list is compared with the catalog: what has no line here fails the test, so
# that none is forgotten.

package Bcpaid::Calls;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(calls_of_everything operators_calls);

# Each succeeds when a superuser calls it, committed or not, in this order (nothing works between detach and attach).
# `order`, eligible, its `invoice`, and `remote`, its number at the store; `held`, a capture; `file`, with the token on the server.
sub calls_of_everything
{
	my ($shop, %with) = @_;
	my ($order, $held) = @with{qw(order held)};
	my @calls = (
		[ 'public.bcpaid_can_mark(integer)', "SELECT public.bcpaid_can_mark($order)" ],
		[ 'public.bcpaid_can_mark(integer[])', "SELECT * FROM public.bcpaid_can_mark(ARRAY[$order])" ],
		[ 'public.bcpaid_why_not(integer)', "SELECT * FROM public.bcpaid_why_not($order)" ],
		[ 'bcpaid.backfill(date, boolean)', "SELECT * FROM bcpaid.backfill('2020-01-01')" ],
		[ 'bcpaid.backfill(date, boolean)', "SELECT * FROM bcpaid.backfill('2020-01-01', false)" ],
		[ 'public.bcpaid_mark(integer)', "SELECT public.bcpaid_mark($order)" ],
		[ 'bcpaid.set_link(integer, integer, text)', "SELECT bcpaid.set_link($order, 1, '$with{remote}')" ],
		[ 'bcpaid.orders_query()', 'SELECT bcpaid.orders_query()' ],
		[ 'bcpaid.profile_in_use()', 'SELECT * FROM bcpaid.profile_in_use()' ],
		[ 'bcpaid.detect()', 'SELECT * FROM bcpaid.detect()' ],
		[ 'bcpaid.doctor()', 'SELECT * FROM bcpaid.doctor()' ],
		[ 'bcpaid.sender_is_ready()', 'SELECT bcpaid.sender_is_ready()' ],
		[ 'bcpaid.environment_is_confirmed()', 'SELECT bcpaid.environment_is_confirmed()' ],
		[ 'bcpaid.confirm_environment()', 'SELECT bcpaid.confirm_environment()' ],
		[ 'bcpaid.sweep()', 'SELECT bcpaid.sweep()' ],
		(map { [ 'bcpaid.set_store(integer, text, text, boolean, text[], text[], numeric, text, real)', "SELECT bcpaid.set_store(1, $_)" ] }
			"name => 'x'", 'mark_order_as_paid => false', 'mark_order_as_paid => true'),
		[ 'bcpaid.set_token(integer, text)', "SELECT bcpaid.set_token(1, 'demo-token')" ],
		[ 'bcpaid.set_token_from_file(integer, text)', "SELECT bcpaid.set_token_from_file(1, '$with{file}')" ],
		[ 'bcpaid.pause(integer)', 'SELECT bcpaid.pause(1)' ],
		[ 'bcpaid.resume(integer)', 'SELECT bcpaid.resume(1)' ],
		[ 'bcpaid.capture_state(bigint)', "SELECT * FROM bcpaid.capture_state($held)" ],
		[ 'bcpaid.wait(bigint, interval, text)', "CALL bcpaid.wait($held)" ],
		[ 'bcpaid.retry(bigint)', "SELECT bcpaid.retry($held)" ],
		[ 'bcpaid.retry_store(integer)', 'SELECT bcpaid.retry_store(1)' ],
		[ 'bcpaid.approve(bigint)', "SELECT bcpaid.approve($held)" ],
		[ 'bcpaid.cancel(bigint)', "SELECT bcpaid.cancel($held)" ],
		[ 'bcpaid.settle_by_hand(bigint, text)', "SELECT bcpaid.settle_by_hand($held, 'x')" ],
		[ 'bcpaid.want_test(integer)', 'SELECT bcpaid.want_test(1)' ],
		[ 'bcpaid.test_store(integer, boolean, text)', 'CALL bcpaid.test_store(1)' ],
		[ 'bcpaid.export_ledger()', 'SELECT bcpaid.export_ledger()' ],
		[ 'bcpaid.import_ledger(jsonb)', 'SELECT bcpaid.import_ledger(l) FROM bcpaid.export_ledger() l' ],
		[ 'bcpaid.import_ledger(jsonb)', q(SELECT bcpaid.import_ledger('{"link": {"order_id": 99999}}')) ],
		(map { [ "view bcpaid.$_", "SELECT * FROM bcpaid.$_" ] } qw(attempts captures news status stores)),
		[ 'bcpaid.take_tokens()', "COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n" ],
		[ 'bcpaid.guard()', 'UPDATE bcpaid.profile SET description = description' ],
		(map { [ "bcpaid.$_()", 'UPDATE bcpaid.attachment SET profile = profile' ] } qw(guard_queries attachment_changed)),
		[ 'bcpaid.note()', "UPDATE public.account_move SET payment_state = 'in_payment' WHERE id OPERATOR(pg_catalog.=) $with{invoice}" ],
		[ 'bcpaid.attach(text)', 'SELECT bcpaid.attach()' ],
		[ 'bcpaid.detach()', 'SELECT bcpaid.detach()' ],
		[ 'bcpaid.attach(text)', 'SELECT bcpaid.attach()' ]);
	my %called = map { $_->[0] => 1 } @calls;

	is_deeply([ sort keys %called ], [ sort split /\n/, $shop->sql(<<'SQL') ], 'each function, procedure and view that is granted to anybody is called, and each trigger function fired');
SELECT format('%s.%s(%s)', p.pronamespace::regnamespace, p.proname, oidvectortypes(p.proargtypes))
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'bcpaid')
   AND (p.prorettype = 'trigger'::regtype
        OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner))
 UNION ALL
SELECT format('view %s', c.oid::regclass)
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'bcpaid') AND c.relkind = 'v'
   AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
SQL
	my %seen;
	return grep { !/^UPDATE/ || !$seen{$_}++ } map { $_->[1] } @calls;
}

# The names of what README.md says is an operator's to call, and a superuser's to grant.
sub operators_calls
{
	return map { /`(bcpaid\.\w+)\(/g } grep { /^\|[^|]+\| operator/ } split /\n/, slurp_file('README.md');
}

1;
