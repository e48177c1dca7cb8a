# Goal: a payment registered in Odoo leads to one capture and to Captured.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('walk');

# By itself, when the payment is registered.
my $order = $shop->paid_order(69.84, 218);
$shop->wait_for_state($order, 'applied');
is($shop->captures(218), 1, 'the store has one capture');
is($shop->status_of($order), 'Captured', 'the order shows Captured');

my $asked = $shop->control('GET', 'requests?method=POST&order=218')->{requests}[0];
is($asked->{body},
	'{"event":"capture","method":"offline","amount":69.84,"currency":"USD",'
	  . '"gateway":"custom","gateway_transaction_id":"' . $shop->sql("SELECT marker FROM bcpaid.capture WHERE order_id = $order")
	  . '","status":"ok","test":false,"fraud_review":false,"offline":{"display_name":"Bank Deposit"}}',
	'the store was asked for exactly this');

# In the order of the states, each committed on its own.
is($shop->sql("SELECT string_agg(state, ' ' ORDER BY at) FROM bcpaid.history"),
	'queued claimed sending captured applied', 'every state left its row of history');
$shop->wait_until('the capture was read back', sub { $shop->sql("SELECT count(*) FROM bcpaid.attempts WHERE purpose = 'read back'") eq '1' });
is($shop->sql("SELECT string_agg(purpose || ' ' || outcome, ', ' ORDER BY id) FROM bcpaid.attempts"),
	'look go, send taken, read back taken', 'every conversation left its row');
is($shop->sql('SELECT coalesce(max(warning), \'none\') FROM bcpaid.capture'), 'none', 'nothing strange was seen');

# Marking again is not an error and adds nothing.
my ($code, $out, $messages) = $shop->try_odoo("SELECT bcpaid_mark($order)");
is($code, 0, 'marking a captured order again is no error');
like($messages, qr/order $order has a capture already/, 'and says so');

# By hand, an order from before the store was switched on.
my ($old, $invoice) = $shop->open_order(20, 219);
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => false)');
$shop->pay($invoice);
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => true)');
$shop->wait_until_quiet;
is($shop->state_of($old), '', 'an order from before the switch-on is left alone');
is($shop->odoo("SELECT bcpaid_can_mark($old)"), 't', 'but the button is there');
my $capture = $shop->odoo("SELECT bcpaid_mark($old)");
$shop->wait_for_state($old, 'applied');
is($shop->captures(219), 1, 'and takes it');
is($shop->sql("SELECT origin || ' ' || requested_by FROM bcpaid.capture WHERE id = $capture"),
	'button odoo', 'who pressed it is kept');

# An unpaid order is refused, with the condition and a hint.
my ($unpaid) = $shop->open_order(30, 220);
($code, $out, $messages) = $shop->try_odoo("\\set VERBOSITY verbose\nSELECT bcpaid_mark($unpaid)");
isnt($code, 0, 'an unpaid order cannot be marked');
like($messages, qr/ERROR:  55000: order $unpaid cannot be marked as paid/, 'with its SQLSTATE');
like($messages, qr/DETAIL:  Condition not met: settled: .*30\.00/, 'which condition, and the fact');
like($messages, qr/HINT:  SELECT \* FROM bcpaid_why_not\($unpaid\)/, 'and where to look');

# A payment that is rolled back sends nothing, a savepoint that is, neither.
my ($never, $unpaid_invoice) = $shop->open_order(40, 221);
$shop->wait_until_quiet;
$shop->odoo("BEGIN; SELECT fixture.pay($unpaid_invoice); ROLLBACK");
$shop->odoo("BEGIN; SAVEPOINT a; SELECT fixture.pay($unpaid_invoice); ROLLBACK TO a; COMMIT");
is($shop->sql('SELECT count(*) FROM bcpaid.candidate'), '0', 'nothing was noted');
$shop->wait_until_quiet;
is($shop->state_of($never), '', 'nothing was enqueued');

$shop->store_is_content;
$shop->stop;
done_testing();
