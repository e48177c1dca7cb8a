# Goal: at the same time or cancelled in the middle, for real: one capture at the store for each paid order, one wake-up for each commit.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('concurrency',
	conf => "autovacuum = off\nbcpaid.idle_timeout = '100ms'\nlog_min_messages = debug1");
my $node = $shop->{node};
my @odoo = (extra_params => [ '-U', 'odoo' ], on_error_stop => 0);
my $one = $node->background_psql('odoo', @odoo);
my $two = $node->background_psql('odoo', @odoo);
my $person = $node->background_psql('odoo', on_error_stop => 0);
my $begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ';

sub wait_until_worker_left
{
	$shop->wait_until('the worker has left', sub {
		$shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
	return;
}

# ---- two invoices of one order, paid at the same time ----

my $remote = 500;
for my $first ($one, $two)
{
	my $second = $first == $one ? $two : $one;
	my ($order, $a) = $shop->open_order(100, ++$remote);
	my $b = $shop->odoo("SELECT fixture.invoice($order, 30)");

	$shop->odoo("UPDATE account_move SET amount_total = 70, amount_residual = 70 WHERE id = $a");
	$shop->odoo("UPDATE account_move_line SET price_total = 70 WHERE move_id = $a AND price_total = 100");
	$one->query("$begin; SELECT fixture.pay($a)");
	$two->query("$begin; SELECT fixture.pay($b)");
	$first->query('COMMIT');
	$shop->wait_until('the first payment is judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' }) if $first == $two;
	$second->query('COMMIT');
	$shop->wait_for_state($order, 'applied');
	is($shop->captures($remote), 1, 'write skew: one capture, ' . ($first == $one ? 'both at once' : 'the first one judged before the second'));
}

# The same with thirty orders and two processes that race each other.
my @raced = map { [ $shop->open_order(100, ++$remote) ] } 1 .. 30;
$_->[2] = $shop->odoo("UPDATE account_move SET amount_total = 70, amount_residual = 70 WHERE id = $_->[1];
UPDATE account_move_line SET price_total = 70 WHERE move_id = $_->[1] AND price_total = 100;
SELECT fixture.invoice($_->[0], 30)") for @raced;
my $race = sub {
	my ($session, $column) = @_;
	$session->{stdin} .= join '', map { "$begin; SELECT fixture.pay($_->[$column]); COMMIT;\n" } @raced;
	$session->{run}->pump_nb;
};
$race->($one, 1);
$race->($two, 2);
$_->query('SELECT 1') for $one, $two;
$shop->wait_for_state($_->[0], 'applied') for @raced;
is(join(' ', map { $shop->captures($_) } $remote - 29 .. $remote), join(' ', (1) x 30), 'thirty orders, raced: one capture each');

# ---- a person marks what is being paid ----

my ($order, $invoice) = $shop->open_order(10, ++$remote);
$one->query("$begin; SELECT fixture.pay($invoice); SELECT bcpaid_mark($order)");
$one->query('COMMIT');
$shop->wait_for_state($order, 'applied');
is($shop->captures($remote), 1, 'paid and marked in one transaction: one capture');

# ---- one wake-up for each transaction, at commit ----

sub starts_of
{
	my ($since, $database) = @_;
	my $oid = $shop->sql("SELECT oid FROM pg_database WHERE datname = '$database'");
	return scalar(() = $shop->log_since($since) =~ /starting background worker process "bcpaid worker for database $oid"/g);
}

# Another database's commit is seen by the launcher after whatever came before.
$shop->make_database('fence');
my $fence_order = $shop->odoo("SELECT fixture.order(5, 'x')", dbname => 'fence');
sub fence
{
	for (1, 2)
	{
		wait_until_worker_left();
		my $log = $shop->log_size;

		$shop->odoo("UPDATE sale_order SET state = CASE state WHEN 'sale' THEN 'draft' ELSE 'sale' END WHERE id = $fence_order", dbname => 'fence');
		$shop->wait_until('the fence was noticed', sub { starts_of($log, 'fence') > 0 });
	}
	wait_until_worker_left();
	return;
}

sub wakes
{
	my ($sql) = @_;

	$shop->wait_until_quiet;
	fence();
	my $log = $shop->log_size;
	$one->query($sql);
	fence();
	$one->query('COMMIT');
	$shop->wait_until_quiet;
	fence();
	return starts_of($log, 'odoo');
}

($order, $invoice) = $shop->open_order(10, ++$remote);
$shop->wait_until_quiet;
$person->query("SET session_replication_role = replica; SELECT fixture.pay($invoice); RESET session_replication_role");
is($shop->state_of($order), '', 'paid and not noted');
is(wakes("$begin; SELECT bcpaid_mark($order); ROLLBACK; BEGIN;"), 0, 'marked, rolled back: no wake-up');
is(wakes("$begin; SELECT bcpaid_mark($order);"), 1, 'marked: one wake-up');
my @invoices = map { ($shop->open_order(10, ++$remote))[1] } 1 .. 20;
my $pay_all = join ' ', map { "SELECT fixture.pay($_, 1);" } @invoices;
is(wakes("$begin; $pay_all ROLLBACK; BEGIN;"), 0, 'rolled back: no wake-up');
is(wakes("$begin; SAVEPOINT a; $pay_all ROLLBACK TO a;"), 0, 'savepoint rolled back: no wake-up');
is(wakes("$begin; $pay_all"), 1, 'committed: one wake-up for twenty payments, and none before the commit');

# ---- two-phase commit wakes nobody; the sweep finds it ----

($order, $invoice) = $shop->open_order(10, ++$remote);
$shop->wait_until_quiet;
$one->query("$begin; SELECT fixture.pay($invoice); PREPARE TRANSACTION 'of_odoo'");
wait_until_worker_left();
is($shop->state_of($order), '', 'a prepared payment is not yet one');
$node->append_conf('postgresql.conf', "bcpaid.sweep_interval = '1s'");
$shop->odoo("COMMIT PREPARED 'of_odoo'");
$node->reload;
$shop->odoo('SELECT bcpaid.set_store(1)');	# a wake-up, so that the new interval is known
$shop->wait_for_state($order, 'applied');
wait_until_worker_left();
($order, $invoice) = $shop->open_order(10, ++$remote);
$shop->wait_until_quiet;
$one->query("$begin; SELECT fixture.pay($invoice); PREPARE TRANSACTION 'of_odoo'");
$shop->odoo("COMMIT PREPARED 'of_odoo'");
$shop->wait_for_state($order, 'applied');
is($shop->captures($remote), 1, 'a payment by two-phase commit is found by the clock');
$node->append_conf('postgresql.conf', "bcpaid.sweep_interval = '900s'");
$node->reload;

# ---- COPY and replication: missed, and swept ----

($order, $invoice) = $shop->open_order(10, ++$remote);
$shop->wait_until_quiet;
$person->query("SET session_replication_role = replica; SELECT fixture.pay($invoice); RESET session_replication_role");
$shop->odoo('SELECT bcpaid.sweep()');
$shop->wait_for_state($order, 'applied');
is($shop->sql("SELECT origin FROM bcpaid.capture WHERE order_id = $order"), 'sweep', 'a payment that came by replication is swept');

# ---- interrupted in the middle of the flush ----

# The flush reads the catalogs anew after our table was changed; whoever holds
# pg_attribute can make it wait there, and nothing of Odoo's.
sub commit_that_waits
{
	my ($settings) = @_;

	($order, $invoice) = $shop->open_order(10, ++$remote);
	$shop->wait_until_quiet;
	wait_until_worker_left();
	my $pid = $one->query('SELECT pg_backend_pid()');
	$one->query("$begin; UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = $invoice; $settings");
	$person->query('ALTER TABLE bcpaid.candidate SET (fillfactor = 100)');
	$person->query('BEGIN; LOCK TABLE pg_attribute');
	$one->{stderr} = '';
	$one->query_until(qr/sent/, "\\echo sent\nCOMMIT;\n\\echo over\n");
	return $pid;
}

sub until_it_waits
{
	my ($pid) = @_;
	$shop->wait_until('the commit waits', sub {
		$person->query("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") eq '1' });
	return;
}

sub paid { return $shop->sql("SELECT payment_state FROM account_move WHERE id = $invoice"); }

my $pid = commit_that_waits('');
until_it_waits($pid);
$person->query("SELECT pg_cancel_backend($pid)");
$one->query_until(qr/over/, '');
$person->query('ROLLBACK');
like($one->{stderr}, qr/ERROR:  canceling statement due to user request/, 'a cancel during the flush is passed on');
is(paid(), 'not_paid', 'and ends the transaction');
$one->{stderr} = '';
is($one->query("SELECT 'in ' || count(*) FROM pg_class WHERE relname = 'account_move'"), 'in 1', 'the session is in no transaction');
is($one->query('BEGIN; SELECT 1; COMMIT'), '1', 'and begins another');
is($one->query('SELECT pg_backend_pid()') . $one->{stderr}, $pid, 'it is the same session, without a complaint');
$one->query("$begin; SELECT fixture.pay($invoice); COMMIT");
$shop->wait_for_state($order, 'applied');
is($shop->captures($remote), 1, 'Odoo pays again, and there is one capture');

$pid = commit_that_waits("SET LOCAL lock_timeout = '100ms';");
$one->query_until(qr/over/, '');
$person->query('ROLLBACK');
like($one->{stderr}, qr/\A\S+ WARNING:  bcpaid could not note this payment: canceling statement due to lock timeout/, 'a lock timeout during the flush is a warning');
is(paid(), 'paid', 'and the payment commits');
$shop->wait_for_state($order, 'applied');
is($shop->captures($remote), 1, 'and is captured once');

$pid = commit_that_waits('');
until_it_waits($pid);
$person->query("SELECT pg_terminate_backend($pid)");
$shop->wait_until('the session is gone', sub { !kill 0, $pid });
$person->query('ROLLBACK');
is(paid(), 'not_paid', 'a termination during the flush ends the transaction');
$shop->wait_until_quiet;
is($shop->captures($remote), 0, 'and nothing is captured');

# A timeout that is too short for anything is no problem of the flush.
my ($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay(fixture.invoice(fixture.order(1))) FROM generate_series(1, 200);
SET LOCAL statement_timeout = '1ms'; COMMIT; SELECT 1");
unlike($messages, qr/bcpaid/, 'a statement timeout of 1 ms leaves no warning of ours');

eval { $_->quit } for $one, $two, $person;
$shop->store_is_content;
$shop->stop;
done_testing();
