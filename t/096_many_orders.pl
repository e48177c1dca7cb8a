# Goal: 100,000 orders paid in one transaction are noted in one append, judged in bounded time and memory, and leave no bloat.
#
# The library is not preloaded at first, so that the notes stay where they are;
# no store is called.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;
use Time::HiRes qw(time);

my $orders = 100_000;
my $batch = 1000;				# of a savepoint: the last one is rolled back
my $paid = $orders - $batch;
my $shop = Bcpaid::Shop->new('many', conf => "shared_preload_libraries = ''\nbcpaid.enabled = off\nautovacuum = off\nshared_buffers = 256MB");
my $node = $shop->{node};

# As a bulk import, without triggers: an order, its line, its invoice with its line.  The ledger is analyzed
# while it is empty, as by a nightly job: plans for a small one are kept while it grows.
$shop->sql(<<"SQL");
SET session_replication_role = replica;
INSERT INTO sale_order (id, name, state, invoice_status, currency_id, amount_total, bcpaid_store_id, bcpaid_remote_order_id)
SELECT n, 'S' || n, 'sale', 'invoiced', 1, 10, 1, (1000000 + n)::text FROM generate_series(1, $orders) n;
INSERT INTO sale_order_line (id, order_id, product_id, name, product_uom_qty, price_unit, price_total)
SELECT n, n, 1, 'product', 1, 10, 10 FROM generate_series(1, $orders) n;
INSERT INTO account_move (id, name, state, move_type, payment_state, currency_id, amount_total, amount_residual, amount_total_signed)
SELECT n, 'INV/' || n, 'posted', 'out_invoice', 'not_paid', 1, 10, 10, 10 FROM generate_series(1, $orders) n;
INSERT INTO account_move_line (id, move_id, account_id, display_type, product_id, currency_id, balance, price_total)
SELECT n, n, 2, 'product', 1, 1, -10, 10 FROM generate_series(1, $orders) n;
INSERT INTO sale_order_line_invoice_rel SELECT n, n FROM generate_series(1, $orders) n;
RESET session_replication_role;
TRUNCATE bcpaid.candidate;
UPDATE bcpaid.progress SET swept_at = clock_timestamp();
VACUUM ANALYZE;
SQL

# ---- the accountant's transaction ----

my $pay = join '', map {
	my ($from, $to) = ($_ * $batch + 1, ($_ + 1) * $batch);
	"SAVEPOINT s; UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id BETWEEN $from AND $to; "
	  . ($to == $orders ? 'ROLLBACK TO s; ' : 'RELEASE s;') . "\n" } 0 .. $orders / $batch - 1;
my $seen = $shop->sql(<<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
$pay
SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
SELECT extract(epoch FROM clock_timestamp());
COMMIT;
SELECT extract(epoch FROM clock_timestamp());
SQL
my ($bytes, $before, $after) = split /\n/, $seen;
my $commit = sprintf '%.2f', $after - $before;

note "memory of the notes: $bytes bytes; COMMIT: $commit s";
cmp_ok($bytes, '<', 3_000_000, 'notes take eight bytes each, at most doubled');
cmp_ok($commit, '<', 10, 'the commit does not take long');
is($shop->sql('SELECT count(*), count(DISTINCT ref), count(DISTINCT xmin::text), min(ref), max(ref), min(kind), max(kind) FROM bcpaid.candidate'),
	"$paid|$paid|1|1|$paid|m|m", 'what was not rolled back is noted, in one append');
cmp_ok($shop->sql("SELECT pg_relation_size('bcpaid.candidate')"), '<', 50 * $paid, 'each in less than 50 bytes');

# ---- judged by the worker ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'bcpaid'");
$node->restart;
my $begin = time;
my ($peak, $worker) = (0);
$shop->{timeout} *= 5;
$shop->wait_until('all are judged', sub {
	$worker = $shop->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") || $worker;
	if ($worker && open my $status, '<', "/proc/$worker/status")
	{
		my %of = map { /^(\w+):\s+(\d+)/ } <$status>;
		$peak = $of{RssAnon} if ($of{RssAnon} // 0) > $peak;
	}
	$shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });
my $took = sprintf '%.1f', time - $begin;

note "judged in $took s; memory of the worker: $peak kB";
is($shop->sql('SELECT count(*), count(DISTINCT order_id), min(order_id), max(order_id), min(remote_order_id), max(remote_order_id), min(state), max(state), min(origin), max(origin), sum(amount) FROM bcpaid.capture'),
	"$paid|$paid|1|$paid|1000001|" . (1_000_000 + $paid) . '|queued|queued|payment|payment|' . 10 * $paid, 'each paid order is enqueued, once, and no other');
cmp_ok($peak, '<', 100_000, 'in less than 100 MB of memory');
cmp_ok($peak, '>', 1000, 'which was measured');
my $read;
$shop->wait_until('the worker has told what it read', sub {
	$read = $shop->sql("SELECT bcpaid.wake(); SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relid = 'bcpaid.capture'::regclass AND n_tup_ins = $paid") =~ s/^\n//r;
	return $read ne '' });
note "captures read: $read";
cmp_ok($read, '<', 5 * $paid, 'without going through the ledger again and again, which was empty when it began');

# ---- nothing stays of it ----

my $size = "SELECT pg_relation_size('bcpaid.candidate')";
# The worker gives up at once where somebody reads the table, as we do, and tries again with the next news.
$shop->wait_until('no room is taken by what was noted', sub { $shop->sql('SELECT bcpaid.wake()'); $shop->sql($size) eq '0' }, sub { $shop->sql($size) . ' bytes' });
isnt($shop->sql("INSERT INTO bcpaid.candidate SELECT 'o', 0 FROM generate_series(1, 1000); DELETE FROM bcpaid.candidate; VACUUM bcpaid.candidate; $size"),
	0, 'a vacuum cuts nothing off: for that it would lock the table, and whoever pays meanwhile could note nothing');
cmp_ok($shop->sql("VACUUM bcpaid.capture; SELECT pg_relation_size('bcpaid.capture') / $paid"), '<', 400, 'a capture takes less than 400 bytes');
is($shop->sql('SELECT count(*) FROM bcpaid.history'), $paid, 'and has one row of history');
is($shop->sql('SELECT bcpaid.sweep()'), 0, 'a sweep of them all finds nothing more');
is($shop->odoo("SELECT count(*) FROM bcpaid_can_mark(ARRAY(SELECT generate_series(1, $orders))) WHERE can_mark"), 0, 'asked about all at once: none can be marked');

$shop->stop;
done_testing();
