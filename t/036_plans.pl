# Goal: a worker that began with an empty ledger does not go through all of it for each payment once it is large.
#
# The ledger is analyzed while it is empty, and never again: plans for that last until the worker itself makes new ones.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('plans', conf => "autovacuum = off\nbcpaid.idle_timeout = '1min'");
my ($earlier, $later) = (500, 20);
my $captures_read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relid = 'bcpaid.capture'::regclass";
my $next = 1;

$shop->sql('VACUUM ANALYZE bcpaid.capture');
is(pay($_), 10, 'captured, and shown') for (10) x ($earlier / 10);
my $before = read_so_far();
is(pay(1), 1, 'one by one, too') for 1 .. $later;
my $each = (read_so_far() - $before) / $later;
diag "captures read for one payment: $each";
cmp_ok($each, '>', 1, 'what is read is counted');
cmp_ok($each, '<', $earlier / 5, "not all $earlier of the ledger");

$shop->store_is_content;
$shop->stop;
done_testing();

# So many orders in one transaction; returns how many of them are Captured then.
sub pay
{
	my ($n) = @_;
	my ($first, $last) = ($next, $next + $n - 1);

	$next += $n;
	$shop->remote_order($_, 10) for $first .. $last;
	$shop->odoo("SELECT fixture.pay(fixture.invoice(fixture.order(10, n::text))) FROM generate_series($first, $last) n");
	my $captured = "SELECT count(*) FROM sale_order WHERE bcpaid_remote_order_id::bigint BETWEEN $first AND $last AND bcpaid_payment_status = 'Captured'";
	$shop->wait_until('they are applied', sub { $shop->sql($captured) eq $n });    # our ledger is not asked: that would count
	return $shop->sql($captured);
}

# A worker tells what it read with its next transaction, at most once a second.
sub read_so_far
{
	my $seen = -1;

	$shop->wait_until('the counters stand still', sub {
		my $last = $seen;
		select undef, undef, undef, 1.2;
		$shop->sql('SELECT bcpaid.wake()');
		$seen = $shop->sql($captures_read);
		return abs($seen - $last) < $earlier / 5 });    # a round without a payment reads few
	return $seen;
}
