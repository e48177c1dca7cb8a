# Goal: what the worker does for an order or a capture does not grow with how many it has at hand: no statement compares each with each.
#
# A payment of thousands of invoices notes each of them more than once, and all but the first find their captures queued.
# Looked at are the worker's functions with its settings, by the plans that auto_explain tells, with statistics and without.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('judge_again', conf => "autovacuum = off\nbcpaid.enabled = off");
my $all = 1200;
my $most = 1000;    # rows and pages for one, which each node counts that they go through: some ten lookups
my $ids = 'ARRAY(SELECT id FROM bcpaid.capture ORDER BY id LIMIT %1$d)';
my $judge = 'bcpaid.queue_judge(ARRAY(SELECT order_id FROM bcpaid.capture ORDER BY id LIMIT %1$d), $$payment$$)';
# name => [ captures as they are before, what is called, what it leaves for each ]
my %work = (
	'judge queued' => [ "state = 'queued'", $judge, "state = 'queued'" ],
	'judge waiting' => [ "state = 'waiting', due = 'infinity'", $judge, "state = 'waiting' AND due < 'infinity'" ],
	'judge captured' => [ "state = 'captured', captured_at = now()", $judge, "state = 'captured'" ],
	'judge taken back' => [ "state = 'applied', due = 'infinity', taken_back_at = now()", $judge, "state = 'captured' AND taken_back_at IS NULL" ],
	claim => [ "state = 'queued'", 'bcpaid.queue_claim($${}$$, $${}$$, $${}$$, %1$d, %1$d)', "state = 'claimed'" ],
	move => [ "state = 'queued'", "bcpaid.queue_move($ids, 'claimed', NULL, NULL, 'worker')", "state = 'claimed'" ],
	intend => [ "state = 'claimed'", "bcpaid.queue_intend($ids, array_fill(10::numeric, ARRAY[%1\$d]), array_fill(10::numeric, ARRAY[%1\$d]), "
		  . "array_fill('USD'::text, ARRAY[%1\$d]))", "state = 'sending'" ],
	settle => [ "state = 'sending'", "bcpaid.queue_settle($ids" . join('', map { ", array_fill($_, ARRAY[%1\$d])" }
			"'sending'::text", "'captured'::text", "''::text", '0::bigint', '4::bigint', ("''::text") x 5) . ')', "state = 'captured'" ],
	applied => [ "state = 'captured'", "bcpaid.queue_applied($ids, array_fill('done'::text, ARRAY[%1\$d]), array_fill(''::text, ARRAY[%1\$d]), "
		  . 'array_fill(0::bigint, ARRAY[%1$d]))', "state = 'applied'" ],
);

$shop->odoo("SELECT fixture.pay(fixture.invoice(fixture.order(10, n::text))) FROM generate_series(1, $all) n");
$shop->wait_until('all are queued', sub { $shop->sql("SELECT count(*) FROM bcpaid.capture WHERE state = 'queued'") eq $all });
$shop->sql('VACUUM ANALYZE sale_order, sale_order_line, account_move, account_move_line');

for my $analyzed (0, 1)
{
	$shop->sql('VACUUM ANALYZE bcpaid.capture') if $analyzed;
	for my $name (sort keys %work)
	{
		my ($few, $many) = map { work_for_each($name, $_) } $all / 8, $all;
		ok(1 < $few && $few < $most && $many < 1.5 * $few, "$name, analyzed $analyzed: $few for each of few, $many of many");
	}
}
$shop->stop;
done_testing();

# Rows and pages for each, of all plans, when the function is called for so many.
sub work_for_each
{
	my ($name, $count) = @_;
	my ($before, $call, $after) = @{ $work{$name} };
	my $called = sprintf $call, $count;
	my ($code, $out, $log) = $shop->{node}->psql($shop->{dbname}, <<"SQL");
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
BEGIN;
UPDATE bcpaid.capture SET $before;
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_buffers = on;
SET auto_explain.log_timing = off;
SET auto_explain.log_nested_statements = on;
SET client_min_messages = log;
DO \$do\$ BEGIN PERFORM $called; END \$do\$;
SET auto_explain.log_min_duration = -1;
SELECT count(*) FROM bcpaid.capture WHERE $after;
ROLLBACK;
SQL
	my ($sum, $loops) = (0, 1);

	is("$code $out", '0 ' . ($name eq 'judge queued' || $name eq 'judge captured' ? $all : $count), "$name: $count were done") or diag substr $log, 0, 2000;
	for (split /\n/, $log)
	{
		$loops = $2, $sum += $1 * $2 if /actual rows=([\d.]+) loops=(\d+)/;
		$sum += $1 * $loops if /Rows Removed by .*: (\d+)/;
		$sum += $1 if /Buffers: shared hit=(\d+)/;
	}
	return $sum / $count;
}
