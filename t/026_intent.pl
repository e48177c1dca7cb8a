# Goal: what changes in Odoo or here while the store is looked at stops the
# write: the last word is spoken in the transaction that commits the intent.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('intent', conf => "bcpaid.request_timeout = '30s'");

# Pay an order, change something while its look hangs, let the look go on.
sub change_while_looking
{
	my ($remote, $change) = @_;
	my ($order, $invoice) = $shop->open_order(10, $remote);
	my $fault = $shop->fault(do => 'hang', then => 'answer', taken => JSON::PP::true,
		match => { call => 'transactions_get', order => $remote });

	$shop->pay($invoice);
	$shop->control('POST', 'wait', { timeout_ms => 30000,
		requests => { count => 1, match => { call => 'transactions_get', order => $remote } } });
	is($shop->state_of($order), 'claimed', "$remote: the store is being looked at");
	$change->($order, $invoice);
	$shop->control('POST', 'release', { fault => $fault });
	return ($order, $invoice);
}

sub writes
{
	my ($remote) = @_;
	return $shop->control('GET', "requests?method=POST&order=$remote")->{count};
}

my ($unpaid, $invoice) = change_while_looking(501, sub {
	$shop->odoo("UPDATE account_move SET payment_state = 'not_paid', amount_residual = amount_total WHERE id = $_[1]") });
$shop->wait_for_state($unpaid, 'waiting');
like($shop->reason_of($unpaid), qr/not eligible any more: settled/, 'a payment taken back meanwhile is seen');
is(writes(501), 0, 'and nothing is sent');
$shop->odoo("UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = $invoice");
$shop->wait_for_state($unpaid, 'applied');
is($shop->captures(501), 1, 'paid again, it is captured');

my ($relinked) = change_while_looking(502, sub {
	$shop->odoo("UPDATE sale_order SET bcpaid_remote_order_id = '9502' WHERE id = $_[0]") });
$shop->wait_until('the old link is cancelled', sub {
	$shop->sql('SELECT state FROM bcpaid.capture WHERE remote_order_id = 502') eq 'cancelled' });
is(writes(502), 0, 'a link changed meanwhile: nothing is sent to the old one');

my ($paused) = change_while_looking(503, sub { $shop->odoo('SELECT bcpaid.pause(1)') });
$shop->wait_for_state($paused, 'queued');
is(writes(503), 0, 'a store paused meanwhile: nothing is sent');
$shop->odoo('SELECT bcpaid.resume(1)');
$shop->wait_for_state($paused, 'applied');

my ($cancelled) = change_while_looking(504, sub {
	$shop->odoo("SELECT bcpaid.cancel((SELECT id FROM bcpaid.captures WHERE order_id = $_[0]))") });
$shop->wait_until_quiet;
$shop->wait_for_state($shop->paid_order(10, 505), 'applied', because => 'the worker has gone on');
is($shop->state_of($cancelled), 'cancelled', 'cancelled meanwhile: it stays so');
is(writes(504), 0, 'and nothing is sent');

my ($copied) = change_while_looking(506, sub {
	$shop->odoo("UPDATE ir_config_parameter SET value = 'another' WHERE key = 'database.uuid'") });
$shop->wait_for_state($copied, 'waiting');
like($shop->reason_of($copied), qr/copy or another server \(database\.uuid changed\)/, 'another environment meanwhile is seen');
is(writes(506), 0, 'and nothing is sent');
$shop->odoo('SELECT bcpaid.confirm_environment(); SELECT bcpaid.retry(id) FROM bcpaid.captures WHERE remote_order_id = 506');
$shop->wait_for_state($copied, 'applied');

$shop->store_is_content;
$shop->stop;
done_testing();
