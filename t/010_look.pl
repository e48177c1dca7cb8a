# Goal: an order is captured only if the look at the store allows it: every row of the table, each fact alone.

use strict;
use warnings FATAL => 'all';

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('look', conf => "bcpaid.retry_base = '30ms'\nbcpaid.retry_cap = '300ms'\nbcpaid.max_attempts = 1000");
my $true = JSON::PP::true;
my $pages = $shop->another_store('pages', '', page_size => 2);
my $named = $shop->another_store('named', "offline_methods => '{Wire Transfer,Invoice}'");
my $exact = $shop->another_store('exact', 'tolerance => 0');

# How an order at the store is told to be; what follows is in come_to_their_end().
sub remote { my ($name, $members, %expected) = @_; return { name => $name, remote => $members, %expected } }
sub with { my ($case, %more) = @_; return { %$case, %more } }

my %by_other = (captures => 0, by => 'somebody else');
my %ours = (captures => 0, by => 'bcpaid');

sub refused { return (state => 'refused', reason => shift) }
sub held { return (state => 'held', reason => shift) }
sub not_ours { return (state => 'not_ours', reason => shift) }
sub waits { return (state => 'waiting', reason => shift) }

my @orders = (
	remote('is_deleted', { is_deleted => $true }, refused(qr/is deleted/)),
	remote('is_deleted is no truth value', { is_deleted => 'maybe' }, refused(qr/no usable is_deleted/)),
	remote('is_deleted is missing', { sandbox => { remove => ['is_deleted'] } }),
	{ name => 'no such order at the store', nowhere => 1, refused(qr/does not exist at the store: HTTP 404/) },
);

# ---- status_id ----

my %status = (0 => { refused(qr/in status 0 /) }, 4 => { not_ours(qr/is refunded/) }, 5 => { refused(qr/in status 5 /) },
	6 => { refused(qr/in status 6 /) }, 12 => { held(qr/manual verification/) }, 13 => { refused(qr/in status 13 /) },
	14 => { not_ours(qr/is refunded/) }, 15 => { refused(qr/in status 15 /) });
push @orders, map { remote("status_id $_", { status_id => $_ }, %{ $status{$_} || {} }) } 0 .. 15;
push @orders, remote('status_id is missing', { sandbox => { remove => ['status_id'] } }, refused(qr/no usable status_id/)),
  remote('status_id as text', { status_id => '7' }, refused(qr/no usable status_id/));

# ---- payment_status, in each spelling ----

my @statuses = (
	[ [ 'pending', 'Pending', 'PENDING', '', undef ] ],
	[ [ 'captured', 'Captured', 'CAPTURED', 'paid', 'Paid' ], %by_other, reason => qr/shows the order as (captured|paid)/ ],
	[ [ 'capture pending', 'Capture Pending', 'capture_pending' ], waits(qr/a capture is pending/) ],
	[ [ 'declined', 'Declined', 'void', 'VOID' ], held(qr/a payment before was (declined|void)/) ],
	[ [ 'authorized', 'Authorized', 'held for review', 'held_for_review', 'void pending', 'Void_Pending' ], not_ours(qr/shows the payment as/) ],
	[ [ 'refunded', 'Refunded', 'partially refunded', 'Partially_Refunded' ], not_ours(qr/is refunded/) ],
	[ [ 'unheard of', 'capturedx', 'pa id' ], refused(qr/the payment status ".*" is not known/) ],
	[ [ 7, { a => 1 } ], refused(qr/no usable payment_status/) ]);
for my $row (@statuses)
{
	my ($spellings, %expected) = @$row;
	push @orders, map { remote('payment_status ' . (defined $_ ? "\"$_\"" : 'null'), { payment_status => $_ }, %expected) } @$spellings;
}
push @orders, remote('payment_status is missing', { sandbox => { remove => ['payment_status'] } });

# ---- payment_method ----

push @orders, map { remote("payment_method $_", { payment_method => $_ }) }
  'Manual', 'Bank Deposit', 'Cash on Delivery', 'Check', 'Money Order', 'Pay in Store', 'Cash', 'BANK DEPOSIT', 'pay in store';
push @orders, map { remote("payment_method $_", { payment_method => $_ }, held(qr/is none of the store's offline payment methods/)) }
  'Credit Card', 'Bank Deposit 2', 'Bank', '', 'Wire Transfer';
push @orders, remote('payment_method is missing', { sandbox => { remove => ['payment_method'] } }, held(qr/offline payment methods/)),
  with(remote('payment_method renamed for its store', { payment_method => 'wire transfer' }), store => $named),
  with(remote('payment_method of the default list, not of its store', { payment_method => 'Cash' }, held(qr/"Cash" is none/)), store => $named);

# ---- transactions ----

# Our marker needs the order's number, so a case's transactions are made by a function of it.
sub transactions
{
	my ($name, $made, %expected) = @_;
	return { name => "transactions: $name", transactions => $made, %expected };
}

sub marker { my ($case) = @_; return 'bcpaid-' . substr(sha256_hex("$case->{store}[1]/$case->{number}"), 0, 32) }

my %card = (gateway => 'stripe', method => 'credit_card', offline => undef);
sub card { return { %card, @_ } }
my @harmless = map { { event => 'authorization', gateway => 'bankdeposit' } } 1 .. 5;

sub mine { my ($case, %members) = @_; return { gateway_transaction_id => marker($case), %members } }

push @orders,
  transactions('our marker', sub { mine(@_) }, %ours, reason => qr/our capture is there/),
  transactions('our marker, but not ok', sub { mine(@_, status => 'error') }, held(qr/not as successful/)),
  transactions('our marker, voided', sub { (mine(@_), mine(@_, event => 'void')) }, held(qr/was voided/)),
  transactions('our marker of another order', sub { mine({ number => 1, store => [ 1, 'demo' ] }) }, %by_other),
  transactions('our marker in payment_provider_id', undef, %ours, provider => 1, reason => qr/carries our marker/),
  transactions('a capture without an id', sub { +{ gateway => 'custom' } }, %by_other, reason => qr/somebody else/),
  transactions('a capture by a card', sub { card() }, %by_other, reason => qr/somebody else/),
  transactions('a purchase', sub { card(event => 'purchase') }, %by_other),
  transactions('settled', sub { card(event => 'settled') }, %by_other),
  transactions('Purchase, spelt otherwise', sub { +{ event => 'PURCHASE', status => 'OK' } }, %by_other),
  transactions('two captures', sub { (card(), { gateway => 'cod' }) }, held(qr/2 captures/)),
  transactions('ours and another', sub { (mine(@_), card()) }, held(qr/2 captures/)),
  transactions('capture and settled of one card', sub { (card(), card(event => 'settled')) }, %by_other),
  transactions('a capture whose outcome is not said', sub { +{ gateway => 'custom', status => 'perhaps' } }, held(qr/not clear/)),
  transactions('a card that failed', sub { card(status => 'error') }, held(qr/through "stripe" failed before/)),
  transactions('an authorization', sub { card(event => 'authorization') }, not_ours(qr/gateway "stripe"/)),
  transactions('an authorization, voided', sub { (card(event => 'authorization'), card(event => 'void')) }, held(qr/failed before/)),
  transactions('a refund', sub { (card(), card(event => 'refund')) }, not_ours(qr/refund/)),
  transactions('a refund of ours', sub { (mine(@_), mine(@_, event => 'refund')) }, not_ours(qr/refund/)),
  transactions('a pending event by an offline gateway', sub { +{ event => 'pending', gateway => 'moneyorder' } }),
  transactions('no gateway, an offline method', sub { +{ event => 'authorization', gateway => undef, method => 'offline' } }),
  transactions('no gateway, a card', sub { +{ event => 'authorization', gateway => undef, method => 'credit_card' } }, not_ours(qr/gateway/)),
  (map { my $gateway = $_; transactions("authorization by $gateway", sub { +{ event => 'authorization', gateway => $gateway } }) }
	  qw(custom bankdeposit cheque cod instore moneyorder)),
  transactions('store credit', sub { +{ event => 'purchase', method => 'store_credit', gateway => 'storecredit' } }, held(qr/store credit or gift certificate/)),
  transactions('of another order', sub { +{ order_id => '1' } }, waits(qr/cannot be read/)),
  with(transactions('harmless, three pages', sub { @harmless }), store => $pages),
  with(transactions('our marker on the last page', sub { (@harmless, mine(@_)) }, %ours), store => $pages),
  with(transactions('a refund on the last page', sub { (@harmless, card(event => 'refund')) }, not_ours(qr/refund/)), store => $pages),
  with(transactions('a capture on the last page', sub { (@harmless, card()) }, %by_other), store => $pages),
  with(transactions('more pages than anybody reads', sub { (@harmless) x 9 }, held(qr/too many transactions/)), store => $pages);

# ---- money ----

my %odd = (held(qr/the store wants .* Odoo settled 69\.84/));
push @orders,
  remote('default_currency_code differs', { default_currency_code => 'EUR' }, held(qr/store wants 69\.84 EUR, Odoo settled 69\.84 USD/)),
  remote('only currency_code differs', { currency_code => 'EUR' }),
  remote('default_currency_code is missing', { sandbox => { remove => ['default_currency_code'] } }, refused(qr/no usable default_currency_code/)),
  remote('amount differs by the tolerance', { total_inc_tax => '69.8900' }, sent => '69.89'),
  remote('amount differs by the tolerance, below', { total_inc_tax => '69.7900' }, sent => '69.79'),
  remote('amount differs by more', { total_inc_tax => '69.9000' }, held(qr/store wants 69\.9 USD, Odoo settled 69\.84 \(tolerance 0\.05\)/)),
  remote('amount differs by more, below', { total_inc_tax => '69.7899' }, %odd),
  with(remote('ten lines, a minor unit each', { total_inc_tax => '69.9400' }, sent => '69.94'), lines => 10),
  with(remote('ten lines, by more', { total_inc_tax => '69.9401' }, %odd), lines => 10),
  with(remote('no tolerance, the same', {}), store => $exact),
  with(remote('no tolerance, a cent', { total_inc_tax => '69.8500' }, %odd), store => $exact),
  with(remote('no tolerance, a hundredth of a cent', { total_inc_tax => '69.8401' }, %odd), store => $exact),
  remote('total_inc_tax is missing', { sandbox => { remove => ['total_inc_tax'] } }, refused(qr/no usable total_inc_tax/)),
  remote('total_inc_tax is no number', { total_inc_tax => '69,84' }, refused(qr/no usable total_inc_tax/)),
  remote('total_inc_tax has an exponent', { total_inc_tax => '6.984e1' }, refused(qr/no usable total_inc_tax/)),
  remote('total_inc_tax is zero', { total_inc_tax => '0.0000' }, refused(qr/nothing is to be paid/)),
  remote('total_inc_tax is negative', { total_inc_tax => '-69.8400' }, refused(qr/nothing is to be paid/)),
  remote('store credit', { store_credit_amount => '1.0000' }, held(qr/store credit or a gift certificate/)),
  remote('gift certificate', { gift_certificate_amount => '0.0100' }, held(qr/store credit or a gift certificate/)),
  remote('gift certificate as a number', { gift_certificate_amount => [5] }, held(qr/store credit or a gift certificate/)),
  remote('refunded_amount proves nothing', { refunded_amount => '69.8400' }),
  remote('several doubts are said at once', { status_id => 12, payment_status => 'void', payment_method => 'PayPal', store_credit_amount => '1.0000',
		total_inc_tax => '1.0000' }, held(qr/verification.*; a payment before was void; "PayPal".*; store credit.*; the store wants 1 USD/));

# ---- answers to the reads that are not conclusive; the others stand in 060_store_faults.pl ----

my $transactions = { method => 'GET', path => '/transactions' };
my $order_read = { method => 'GET', path => '/v2/orders/' };

sub answers { my ($name, $match, $fault, %expected) = @_; return { name => $name, fault => { match => $match, times => 2, do => 'answer', %$fault }, %expected } }

push @orders,
  answers('200 with a cut-off list is not empty', $transactions, { status => 200, body => '{"data":[' }, tries => qr/cannot be read/),
  answers('another order than was asked for', $order_read, { status => 200, body => { id => 1 } }, tries => qr/the store's answer is not order/);

# ---- all at once ----

$shop->place(@orders);
for my $case (@orders)
{
	my $at = "stores/$case->{store}[1]/orders/$case->{number}";

	$shop->control('PATCH', $at, { status_id => 11, payment_provider_id => marker($case) }) if $case->{provider};
	$shop->control('PATCH', $at, { sandbox => { transactions => [ $case->{transactions}->($case) ] } }) if $case->{transactions};
	$shop->fault(%{ $case->{fault} }, match => { %{ $case->{fault}{match} }, order => $case->{number} }) if $case->{fault};
}
$shop->pay_all(@orders);
$shop->come_to_their_end(@orders);

for my $case (@orders)
{
	is($shop->sql("SELECT captured_by FROM bcpaid.capture WHERE order_id = $case->{order}"), $case->{by}, "$case->{name}: by $case->{by}")
	  if $case->{by};
	is($shop->control('GET', "requests?method=POST&order=$case->{number}")->{requests}[0]{body} =~ /"amount":([^,]*),/ ? $1 : undef,
		$case->{sent}, "$case->{name}: the store's own amount was sent")
	  if $case->{sent};
	like($shop->sql("SELECT string_agg(detail, '; ' ORDER BY id) FROM bcpaid.attempts WHERE order_id = $case->{order} AND outcome = 'wait'"),
		$case->{tries}, "$case->{name}: looked again") if $case->{tries};
}

# ---- a capture that is pending waits, and goes the way it turns out ----

my @pending = map { remote("pending, then \"$_->[0]\"", { payment_status => 'capture pending' }, then => $_->[0], %{ $_->[1] }) }
  [ 'captured', \%by_other ], [ '', {} ], [ 'refunded', { not_ours(qr/refunded/) } ], [ 'declined', { held(qr/declined/) } ];
$shop->place(@pending);
$shop->pay_all(@pending);
$shop->wait_for_state($_->{order}, 'waiting') for @pending;
$shop->control('PATCH', "stores/demo/orders/$_->{number}", { payment_status => $_->{then} }) for @pending;
$shop->come_to_their_end(@pending);

# What the order alone decides costs one request.
my ($deleted) = grep { $_->{name} eq 'is_deleted' } @orders;
is($shop->control('GET', "requests?order=$deleted->{number}")->{count}, 1, 'an order that decides alone is one request');

$shop->store_is_content;
$shop->stop;
done_testing();
