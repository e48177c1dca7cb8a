# Goal: four times as many orders judged again are four times the work, and not sixteen times: each is compared with its own capture.
#
# A payment of thousands of invoices notes each of them more than once, and all but the first find their captures queued.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('judge_again', conf => "autovacuum = off\nbcpaid.enabled = off");
my $orders = 1200;
# What waits to be eligible again is woken; what is captured is asked whether it is paid still.
my %states = (queued => 'due = now()', waiting => "due = 'infinity'", captured => 'captured_at = now()', applied => "due = 'infinity'");

$shop->odoo("SELECT fixture.pay(fixture.invoice(fixture.order(10, n::text))) FROM generate_series(1, $orders) n");
$shop->wait_until('all are queued', sub { $shop->sql("SELECT count(*) FROM bcpaid.capture WHERE state = 'queued'") eq $orders });
$shop->sql('VACUUM ANALYZE sale_order, sale_order_line, account_move, account_move_line');

for my $analyzed (0, 1)
{
	$shop->sql('VACUUM ANALYZE bcpaid.capture') if $analyzed;
	for my $state (sort keys %states)
	{
		my ($few, $many) = map { rows_looked_at($state, $_) } $orders / 4, $orders;
		cmp_ok($few, '>=', $orders / 4, "$state: the rows are counted");
		cmp_ok($many / $few, '<', 8, "$state, analyzed $analyzed: $few rows for a quarter of the orders, $many for all");
	}
}
$shop->stop;
done_testing();

# What all nodes of all plans returned or threw away when so many orders with captures of this state were judged.
sub rows_looked_at
{
	my ($state, $count) = @_;
	my ($code, $out, $log) = $shop->{node}->psql($shop->{dbname}, <<"SQL");
BEGIN;
UPDATE bcpaid.capture SET state = '$state', $states{$state};
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_timing = off;
SET auto_explain.log_nested_statements = on;
SET client_min_messages = log;
SELECT bcpaid.queue_judge(ARRAY(SELECT order_id FROM bcpaid.capture ORDER BY id LIMIT $count), 'payment');
ROLLBACK;
SQL
	my ($sum, $loops) = (0, 1);

	is($code, 0, "$state: $count are judged") or diag $log;
	for (split /\n/, $log)
	{
		$loops = $2, $sum += $1 * $2 if /actual rows=(\d+) loops=(\d+)/;
		$sum += $1 * $loops if /Rows Removed by .*: (\d+)/;
	}
	return $sum;
}
