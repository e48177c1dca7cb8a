# Goal: what reports in Odoo rest on says where each order stands, links are set where they are ours, and history
# names the person for whom Odoo's role acted.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('orders');

# ---- where orders stand ----

my ($open) = $shop->open_order(10, 301);
my $captured = $shop->paid_order(20, 302);
my ($back, $back_invoice) = $shop->open_order(30, 303);
$shop->pay($back_invoice);
my ($held) = $shop->open_order(40, 304, remote => { payment_method => 'Carrier Pigeon' });
my ($refused) = $shop->open_order(50, 305, remote => { status_id => 5 });
my ($not_ours) = $shop->open_order(60, 306, remote => { payment_status => 'refunded' });
my ($cancelled) = $shop->open_order(70, 307, remote => { payment_method => 'Carrier Pigeon' });
my ($by_others) = $shop->open_order(80, 308);
$shop->pay(invoice_of($_)) for $held, $refused, $not_ours, $cancelled;
my $unlinked = $shop->odoo('SELECT fixture.order(90, NULL)');
$shop->odoo("UPDATE sale_order SET bcpaid_payment_status = 'Captured' WHERE id = $by_others");

$shop->wait_for_state($captured, 'applied');
$shop->wait_for_state($back, 'applied');
$shop->wait_for_state($held, 'held');
$shop->wait_for_state($cancelled, 'held');
$shop->wait_for_state($refused, 'refused');
$shop->wait_for_state($not_ours, 'not_ours');
$shop->odoo('SELECT bcpaid.cancel(id) FROM bcpaid.captures WHERE order_id = ' . $cancelled);
$shop->odoo("UPDATE account_move SET payment_state = 'not_paid', amount_residual = 30 WHERE id = $back_invoice");
$shop->wait_until('the payment is taken back', sub { situation($back) eq 'taken_back' });
$shop->odoo('SELECT bcpaid.pause(1)');
my ($queued, $queued_invoice) = $shop->open_order(95, 309);
$shop->pay($queued_invoice);
$shop->wait_for_state($queued, 'queued');

for my $case ([ 'awaiting', $open, $cancelled ], [ 'under_way', $queued ], [ 'captured', $captured, $by_others ],
	[ 'failed', $held, $refused ], [ 'taken_back', $back ], [ 'none', $unlinked, $not_ours ])
{
	my ($situation, @orders) = @$case;
	is(situation($_), $situation, "order $_ is $situation") for @orders;
}
is(row($captured), "1|302|Captured|applied", 'link, status and last capture of an order');
is(row($unlinked), '1|||', 'an order with a store alone');

# ---- news ----

is($shop->odoo("SELECT event FROM bcpaid.news WHERE order_id IN ($back, $captured) ORDER BY order_id, id"),
	join("\n", 'captured', $captured < $back ? ('captured', 'taken_back') : ('taken_back', 'captured')), 'captured, and taken back');
is($shop->odoo("SELECT event FROM bcpaid.news WHERE order_id IN ($held, $refused) ORDER BY event"), "held\nrefused", 'held and refused');
is($shop->odoo("SELECT count(*) FROM bcpaid.news WHERE order_id IN ($not_ours, $queued, $open)"), 0, 'nothing else is news');
$shop->odoo("UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = $back_invoice");
$shop->wait_until('the payment is there again', sub { situation($back) eq 'captured' });
is($shop->odoo("SELECT count(*) FROM bcpaid.news WHERE order_id = $back"), 2, 'nor that a payment is there again');
is($shop->odoo('SELECT count(*) = count(DISTINCT id) AND count(*) > 20 FROM bcpaid.history'), 't', 'each row of history has an id');

# ---- links ----

my $later = $shop->odoo('SELECT fixture.order(99, NULL)');
my $later_invoice = $shop->odoo("SELECT fixture.invoice($later)");
$shop->remote_order(310, 99);
$shop->pay($later_invoice);
$shop->odoo('SELECT bcpaid.resume(1)');
$shop->wait_for_state($queued, 'applied');
is(situation($later), 'none', 'paid, not linked');
$shop->odoo("SELECT bcpaid.set_link($later, 1, ' 0310 ')");
$shop->wait_for_state($later, 'applied');
is($shop->captures(310), 1, 'linked after it was paid, an order is captured');
is($shop->odoo("SELECT bcpaid_remote_order_id FROM sale_order WHERE id = $later"), '0310', 'the link is what was given');
$shop->odoo("SELECT bcpaid.set_link($unlinked, 1, '311'); SELECT bcpaid.set_link($unlinked, NULL, NULL)");
is(row($unlinked), '|||', 'NULL unlinks');
for my $wrong ('x', '0', '-1', '1e3', '', '9' x 20)
{
	my (undef, undef, $messages) = $shop->try_odoo("\\set VERBOSITY sqlstate\nSELECT bcpaid.set_link($open, 1, '$wrong')");
	$wrong eq '' ? is($messages, '', 'empty is no link') : like($messages, qr/ERROR:  22023$/m, "$wrong is no order number");
}

# ---- for whom ----

my $capture = $shop->odoo("SELECT id FROM bcpaid.captures WHERE order_id = $cancelled");
$shop->odoo("SET bcpaid_for.person = 'Marc Demo'; SELECT bcpaid_mark($cancelled)");
is($shop->odoo("SELECT requested_by FROM bcpaid.captures WHERE id = $capture"), 'odoo for Marc Demo', 'the button, for whom');
$shop->wait_for_state($cancelled, 'held');
$shop->odoo("SET bcpaid_for.person = 'Marc Demo'; SELECT bcpaid.approve($capture)");
is($shop->odoo("SELECT by FROM bcpaid.history WHERE capture_id = $capture AND reason = 'approved'"), 'odoo for Marc Demo', 'and the approval');
$shop->wait_for_state($cancelled, 'applied');

# ---- when nothing can be asked ----

is($shop->odoo('SELECT profile, status_column IS NULL, link_is_ours, problem IS NULL FROM bcpaid.profile_in_use()'), 'native|t|t|t', 'the profile');
$shop->odoo('ALTER TABLE sale_order DROP COLUMN bcpaid_payment_status');
is($shop->odoo('SELECT bcpaid.orders_query() IS NULL'), 't', 'no query over a column that is gone');
like($shop->odoo('SELECT problem FROM bcpaid.profile_in_use()'), qr/bcpaid_payment_status is gone/, 'and why');
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.attach(); SELECT bcpaid.detach()');
is($shop->odoo('SELECT bcpaid.orders_query() IS NULL, profile IS NULL, link_is_ours, problem ~ \'not attached\' FROM bcpaid.profile_in_use()'),
	't|t|f|t', 'nor when nothing is attached');

$shop->store_is_content;
$shop->stop;
done_testing();

sub invoice_of
{
	my ($order) = @_;
	return $shop->odoo("SELECT max(ml.move_id) FROM sale_order_line l JOIN sale_order_line_invoice_rel r ON r.order_line_id = l.id"
		  . " JOIN account_move_line ml ON ml.id = r.invoice_line_id WHERE l.order_id = $order");
}

# The query, as a report runs it: as Odoo's role, in place of a table.
sub report
{
	my ($order, $columns) = @_;
	my $query = $shop->odoo('SELECT bcpaid.orders_query()');
	return $shop->odoo("SELECT $columns FROM ($query) q WHERE q.id = $order");
}

sub situation { return report($_[0], "coalesce(situation, 'none')"); }

sub row { return report($_[0], 'store_id, remote_order_id, payment_status, capture_state'); }
