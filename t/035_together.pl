# Goal: orders are set to Captured together, more from one transaction to the next while these stay short, up to 32; one that
# Odoo refuses neither holds back nor undoes another, and after a slow trigger of somebody's there is one order in a transaction.
#
# Which orders shared a transaction their rows tell: it is their xmin.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use List::Util qw(max);
use Test::More;

use constant AT_MOST => 32;
# Fewer go into the time that a transaction takes up more in where the machine is slow or busy; fewer yet with script/check's tools.
use constant MANY => $ENV{BCPAID_SLOWER} ? 4 : AT_MOST / 2;

# One worker for all, which knows how many it took last; what is refused is not tried again before we have looked.
my $shop = Bcpaid::Shop->new('together', conf => "autovacuum = off\nbcpaid.idle_timeout = '10min'\nbcpaid.retry_base = '1h'\nbcpaid.retry_cap = '1h'\n");
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'};
my @orders = map { { name => "order $_", nowhere => 1 } } 0 .. 99;
my $middle = 50;
my $wrong = 0;    # orders without their capture, or more than once

# No store is asked: that they are captured, the test says.
$shop->odoo('SELECT bcpaid.pause(1)');
$shop->place(@orders);
$shop->pay_all(@orders);
$shop->wait_until('all are enqueued', sub { $shop->sql(q{SELECT count(*) FROM bcpaid.capture WHERE state = 'queued'}) == @orders });
my $pid = $shop->sql($worker);
like($pid, qr/^\d+$/, 'a worker waits');

# ---- more from one to the next ----

my @sizes = apply();
is($sizes[0], 1, 'the first transaction has one order');
is_deeply([ grep { $sizes[$_] > 2**$_ || $sizes[$_] > AT_MOST } 0 .. $#sizes ], [], "each next at most twice as many as may be in the one before: @sizes");
$shop->wait_until('a transaction has ' . MANY, sub { max(@sizes = apply()) >= MANY }, sub { "the last ones had @sizes" });
cmp_ok(max(@sizes), '<=', AT_MOST, "never more: @sizes");

# ---- one is refused ----

my ($refused, $next) = @orders[ $middle, $middle + 1 ];
trigger("RAISE 'not today'", "NEW.id = $refused->{order}");
@sizes = apply($refused);
is(of($refused, "state || failures || reason"), 'captured1Odoo refused the status: not today', 'it is refused once, and says why');
is($shop->status_of($refused->{order}), '', 'Odoo does not show it');
is(wrote_also($refused, 'count(*)', 'bcpaid.capture'), 1, 'a transaction of its own wrote that down');
cmp_ok(wrote_also($next, 'count(*)'), '<=', 2, "after it they begin anew: @sizes");

# ---- one is slow ----

trigger('PERFORM pg_sleep(0.03)', "NEW.id = $refused->{order}");
$shop->wait_until('more than one come before a slow one', sub { @sizes = apply(); wrote_also($refused, 'count(*)') > 1 }, sub { "@sizes" });
is(wrote_also($refused, 'max(id)'), $refused->{order}, 'a slow one is the last of its transaction');
is(wrote_also($next, 'count(*)'), 1, "and the next one is alone: @sizes");

# ---- all are slow ----

trigger('PERFORM pg_sleep(0.03)', 'true');
@orders = @orders[ 0 .. 19 ];
is(join(' ', apply()), join(' ', (1) x @orders), 'where all are slow each is alone');

is($wrong, 0, 'each time each order changed once, together with its capture');
is($shop->sql($worker), $pid, 'it was one worker');
$shop->stop;
done_testing();

# All orders are captured, and become due one after the other; how many were then set to Captured by each transaction.
sub apply
{
	my ($not) = @_;
	my $ids = join ',', map { $_->{order} } @orders;
	my @applied = grep { !$not || $_ != $not } @orders;
	my $last = $shop->sql('SELECT coalesce(max(id), 0) FROM bcpaid.history');

	# No trigger sees it.
	$shop->sql(<<"SQL");
BEGIN; SET LOCAL session_replication_role = replica;
UPDATE sale_order SET bcpaid_payment_status = NULL WHERE id IN ($ids);
UPDATE bcpaid.capture c SET state = 'captured', captured_by = 'bcpaid', failures = 0, due = now() - interval '1 s' + o.n * interval '1 ms'
  FROM unnest(ARRAY[$ids]) WITH ORDINALITY o (id, n) WHERE c.order_id = o.id;
SELECT bcpaid.wake(); COMMIT;
SQL
	$shop->wait_until('they are applied', sub {
		$shop->sql("SELECT count(*) FROM bcpaid.capture WHERE state = 'applied' AND order_id IN ($ids)") == @applied && (!$not || of($not, 'failures')) });
	$wrong += abs(@applied - $_) for split /\|/, $shop->sql(<<"SQL");
SELECT (SELECT count(*) FROM sale_order o JOIN bcpaid.capture c ON c.order_id = o.id AND c.xmin = o.xmin
         WHERE o.id IN ($ids) AND c.state = 'applied' AND o.bcpaid_payment_status = 'Captured'),
       (SELECT count(*) FROM bcpaid.history WHERE id > $last AND state = 'applied')
SQL
	return split /\n/, $shop->sql("SELECT count(*) FROM sale_order WHERE bcpaid_payment_status = 'Captured' AND id IN ($ids) GROUP BY xmin ORDER BY xmin::text::bigint");
}

# Of somebody's, in place of the last one.
sub trigger
{
	my ($does, $when) = @_;
	return $shop->odoo(<<"SQL");
CREATE OR REPLACE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $does; RETURN NEW; END \$\$;
CREATE OR REPLACE TRIGGER theirs BEFORE UPDATE OF bcpaid_payment_status ON sale_order FOR EACH ROW WHEN ($when) EXECUTE FUNCTION theirs();
SQL
}

sub of { my ($order, $columns) = @_; return $shop->sql("SELECT $columns FROM bcpaid.capture WHERE order_id = $order->{order}") }

# Of the transaction that wrote the order's row last.
sub wrote_also
{
	my ($order, $what, $table) = @_;
	my $key = $table ? 'order_id' : 'id';
	$table ||= 'sale_order';
	return $shop->sql("SELECT $what FROM $table WHERE xmin::text = (SELECT xmin::text FROM $table WHERE $key = $order->{order})");
}
