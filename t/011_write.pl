# Goal: whatever the store answers to the one write, there is one capture at most, and a state that says what is known.

use strict;
use warnings FATAL => 'all';

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('write', conf => <<'CONF');
bcpaid.request_timeout = '3s'
bcpaid.retry_base = '30ms'
bcpaid.retry_cap = '300ms'
bcpaid.max_attempts = 1000
CONF
my $true = JSON::PP::true;
$shop->odoo(q{INSERT INTO res_currency (name, symbol, decimal_places) VALUES ('KWD', 'KD', 3)});
$shop->odoo(q{SELECT bcpaid.set_store(1, offline_methods => ARRAY['Bank Deposit', E'\u00dcber "weisung" \\\\']) });
my $by_status = $shop->another_store('bystatus', "strategy => 'status'");
my $both = $shop->another_store('both', "strategy => 'transaction_then_status'");

sub refused { return (state => 'refused', reason => shift) }
sub held { return (state => 'held', reason => shift) }
sub with { my ($case, %more) = @_; return { %$case, %more } }
sub marker { my ($case) = @_; return 'bcpaid-' . substr(sha256_hex("$case->{store}[1]/$case->{number}"), 0, 32) }

# What the store does to a write, and what follows; `writes` is how many were
# made.  Where nothing is said, the order is captured once, and applied.
my @cases;
sub post { my ($name, $fault, %expected) = @_; push @cases, { name => "POST: $name", method => 'POST', fault => $fault, writes => 1, %expected }; return }
sub put { my ($name, $fault, %expected) = @_; push @cases, { name => "PUT: $name", method => 'PUT', store => $by_status, fault => $fault, writes => 1, %expected }; return }
sub plain { my ($name, %expected) = @_; push @cases, { name => $name, method => 'POST', writes => 1, %expected }; return }

sub answer { my ($status, %more) = @_; return { do => 'answer', status => $status, %more } }
sub taken { my ($status, %more) = @_; return answer($status, taken => $true, %more) }

# ---- taken, or lost: what each answer leads to stands in 060_store_faults.pl ----

plain('taken with 201');
post('taken with 200', { do => 'pass', status => 200 });
post('three times lost', { do => 'drop', times => 3 }, writes => 4);
post('taken later, connection lost', { do => 'late', seconds => 0.5 });
post('taken later, 504 at once', { do => 'late', seconds => 0.7, status => 504 });
put('taken later, connection lost', { do => 'late', seconds => 0.5 });
post('answer without its body', { do => 'pass', cut => 0 });

# ---- taken without our marker in the answer: what is shown decides ----

my @vague = ([ 'empty', '' ], [ '{}', {} ], [ '[]', [] ], [ 'no data', { meta => {} } ], [ 'an id alone', { data => { id => 5 } } ],
	[ "somebody's marker", { data => { id => 5, event => 'capture', status => 'ok', gateway_transaction_id => 'x' } } ]);
for (@vague)
{
	post("201 with $_->[0], shown", taken(201, body => $_->[1]));
	post("201 with $_->[0], never shown", answer(201, body => $_->[1]), held(qr/said that it recorded the capture, but does not show it/));
}
post('201 with null, not there', answer(201, body => 'null'), writes => 2);
post('201 with text, shown', taken(201, body => 'thank you'));
post('201 with text, not there', answer(201, body => 'thank you'), writes => 2);
post('201 that says error, not there', { do => 'answer', status => 201, marked => 'error' }, writes => 2);

# ---- reads lag behind writes ----

sub lag { my ($transactions, $status) = @_; return { sandbox => { transaction_lag => $transactions, payment_status_lag => $status } } }

plain('transaction shown late', remote => lag(3, 0));
plain('neither shown late', remote => lag(3, 3));
plain('neither ever shown, but the answer was', remote => lag('never', 'never'));
post('lost, transaction shown at the second read', { do => 'drop', taken => $true }, remote => lag(1, 0));
post('lost, transaction never shown, status follows', { do => 'drop', taken => $true }, remote => lag('never', 0), by => 'somebody else');
post('lost, status never follows', { do => 'drop', taken => $true }, remote => lag(0, 'never'));
post("lost, neither shown at the first $_ reads", { do => 'drop', taken => $true }, remote => lag($_, $_)) for 1, 2;
post('201 without marker, shown at the second read', taken(201, body => ''), remote => lag(1, 1));
post('201 without marker, status follows', taken(201, body => ''), remote => lag('never', 0), by => 'somebody else');

# ---- way B ----

my $b = [ qr/^\{"status_id":11,"payment_provider_id":"bcpaid-[0-9a-f]{32}"\}$/ ];
put('from Awaiting Payment', undef, body => $b->[0], status_id => 11);
put('from Pending', undef, remote => { status_id => 1 }, body => $b->[0], status_id => 11);
put('digital goods', undef, remote => { order_is_digital => $true }, body => qr/"status_id":10,/, status_id => 10);
put("never from $_", undef, remote => { status_id => $_ }, writes => 0, refused(qr/only from 1 or 7, not from $_/)) for 2, 3, 8, 9, 10, 11;
put('200 with another status, taken', taken(200, body => { status_id => 7 }));
put('200 without a body', taken(200, body => ''));

# ---- way A, else way B ----

my @then = map { my $status = $_; my $store = $shop->another_store("then$status", "strategy => 'transaction_then_status'");
	{ name => "$status, then way B", method => 'POST', store => $store, fault => answer($status, times => 'forever'), writes => 1, puts => 1 } } 404, 405, 501;
push @cases, @then;
post("$_, no silent way B", answer($_), store => $both, puts => 0, refused(qr/refused the capture: HTTP $_/)) for 400, 406, 413, 415, 422;
post('503 taken, no way B', taken(503), store => $both, puts => 0);
plain('way A is there', store => $both, puts => 0);

# ---- amounts: the text that was sent ----

for ([ 'JPY', '5000', '5000.0000', '5000' ], [ 'KWD', '1.234', '1.2340', '1.234' ], [ 'USD', '69.84', '69.8400', '69.84' ], [ 'USD', '0.30', '0.3000', '0.3' ],
	[ 'USD', '1000000000000', '1000000000000.0000', '1000000000000' ], [ 'USD', '999999999999.99', '999999999999.9900', '999999999999.99' ],
	[ 'EUR', '0.01', '0.0100', '0.01' ], [ 'USD', '1234.50', '1234.5000', '1234.5' ], [ 'USD', '1.00', '1.0049', '1.0049' ], [ 'USD', '9007199254740993', '9007199254740993.0000', '9007199254740993' ])
{
	my ($currency, $total, $shown, $sent) = @$_;
	plain("$total $currency", total => $total, currency => $currency, body => qr/"amount":\Q$sent\E,"currency":"$currency"/,
		remote => { total_inc_tax => $shown, default_currency_code => $currency });
}
plain('payment method with all that JSON escapes', remote => { payment_method => "\x{dc}ber \"weisung\" \\" }, body => qr/"display_name":".*\\"/);

# ---- error bodies of all shapes: a readable reason, whatever it was ----

my %shape = (
	'v2' => qr/HTTP 422: The sandbox was told to fail$/, 'v3' => qr/HTTP 422: .*amount: |HTTP 422: The sandbox was told to fail$/,
	'v3-detail' => qr/No more is known/, 'v3-instance' => qr/told to fail/, 'v3-errors-array' => qr/message: told to fail|told to fail/,
	'v3-data' => qr/HTTP 422: told to fail/, 'html' => qr/HTTP 422: an HTML page$/, 'text' => qr/HTTP 422: upstream connect error$/,
	'empty' => qr/HTTP 422$/, 'huge' => qr/HTTP 422: the answer is too long/, 'invalid-utf8' => qr/HTTP 422: unreadable JSON$/,
	'personal-data' => qr/HTTP 422: zoe/, 'deep-json' => qr/HTTP 422: unreadable JSON$/, 'number-json' => qr/HTTP 422: 42$|HTTP 422$/,
	'cut-json' => qr/HTTP 422: unreadable JSON$/);
for my $shape (sort keys %shape)
{
	post("422, $shape", answer(422, shape => $shape), refused($shape{$shape}));
	post("500, $shape", answer(500, shape => $shape), writes => 2);
	push @cases, { name => "GET: 500, $shape", method => 'GET', fault => answer(500, shape => $shape) };
}
post('422 with the token in it', answer(422, body => [ { status => 422, message => 'demo-token is no demo-token' } ]), refused(qr/\*\*\* is no \*\*\*/));
post('422 with the token as text', answer(422, body => 'bad token: demo-token', content_type => 'text/plain'), refused(qr/bad token: \*\*\*/));
post('422 that is cut off', answer(422, cut => 10), refused(qr/HTTP 422/));
post('422 with 100 kB of words', answer(422, body => [ { message => 'word ' x 20_000 } ]), refused(qr/HTTP 422: word .*\.\.\.$/));
post('422 that forges a line', answer(422, body => [ { message => "one\nERROR: two\x{202e}" } ]), refused(qr/one ERROR: two$/));

# ---- the first capture of a store is read back ----

sub first_of
{
	my ($name, $warning, %more) = @_;
	my $store = $shop->another_store('first' . ($shop->{firsts} = ($shop->{firsts} || 0) + 1));
	push @cases, { name => "first of a store: $name", method => 'POST', writes => 1, store => $store, warning => $warning, %more };
	return $store;
}

my $content = first_of('all is there', undef);
first_of('status never follows', qr/our capture is there, the order is shown as ""/, remote => lag(0, 'never'));
first_of('transaction never shown', qr/shows the order as captured, and no transaction of ours/, remote => lag('never', 0));
first_of('neither ever shown', qr/no capture is among the order's transactions/, remote => lag('never', 'never'));
first_of('refunded at once', qr/refunded/, sandbox => { captured_status => 'refunded' });
first_of('way B, status never follows', qr/carries our marker/, sandbox => { status_change_sets => undef }, set => "strategy => 'status'", method => 'PUT');

# ---- all at once ----

for my $case (@cases)
{
	$shop->control('PATCH', "stores/$case->{store}[1]", $case->{sandbox}) if $case->{sandbox};
	$shop->odoo("SELECT bcpaid.set_store($case->{store}[0], $case->{set})") if $case->{set};
}
$shop->place(@cases);
for my $case (grep { $_->{fault} } @cases)
{
	my %fault = %{ $case->{fault} };
	my $marked = delete $fault{marked};

	$fault{body} = { data => { id => 7, order_id => "$case->{number}", event => 'capture', gateway_transaction_id => marker($case), status => $marked } } if $marked;
	$fault{body}{id} = $case->{number} if ref $fault{body} eq 'HASH' && $case->{method} eq 'PUT';
	$shop->fault(%fault, match => { method => $case->{method}, order => $case->{number} });
}
$shop->pay_all(@cases);
$shop->come_to_their_end(@cases);
# Which goes on when the order shows Captured already.
$shop->wait_until('the first of each store is read back', sub {
	$shop->sql("SELECT count(DISTINCT c.store_id) = $shop->{firsts} FROM bcpaid.capture c JOIN bcpaid.attempt a ON a.capture_id = c.id WHERE c.store_hash LIKE 'first%' AND a.purpose = 'read back'") eq 't' });

my $log = $shop->control('GET', 'requests')->{requests};
my (%count, %body);
for my $request (@$log)
{
	next unless defined $request->{order};
	$count{"$request->{order} $request->{method}"}++;
	$body{"$request->{order} $request->{method}"} = $request->{body};
}
my $ledger = $shop->captures_of(@cases);
for my $case (@cases)
{
	my $seen = $ledger->{ $case->{order} };
	my $key = "$case->{number} $case->{method}";

	is($count{$key} || 0, $case->{writes}, "$case->{name}: $case->{writes} writes") if defined $case->{writes};
	is($count{"$case->{number} PUT"} || 0, $case->{puts}, "$case->{name}: $case->{puts} status changes") if defined $case->{puts};
	like($body{$key}, $case->{body}, "$case->{name}: what was sent") if $case->{body};
	is($seen->{captured_by}, $case->{by}, "$case->{name}: captured by $case->{by}") if $case->{by};
	is($shop->control('GET', "stores/bystatus/orders/$case->{number}")->{order}{status_id}, $case->{status_id}, "$case->{name}: status at the store") if $case->{status_id};
	next unless exists $case->{warning};
	my $said = $shop->sql("SELECT coalesce(warning, 'none') FROM bcpaid.stores WHERE id = $case->{store}[0]");
	like($seen->{warning} // 'none', $case->{warning} || qr/^none$/, "$case->{name}: said on the capture");
	like($said, $case->{warning} || qr/^none$/, "$case->{name}: said on the store");
}

# ---- remembered: a store that takes no transactions is not asked again ----

my @again = map { { name => "again, $_->{name}", store => $_->{store} } } @then;
my ($steady) = my @steady = ({ name => 'three requests a capture', store => $content });
$shop->place(@again, @steady);
$shop->pay_all(@again, @steady);
$shop->come_to_their_end(@again, @steady);
is(join(' ', map { $_->{method} } @{ $shop->control('GET', "requests?order=$_->{number}")->{requests} }), 'GET GET PUT', "$_->{name}: not asked again") for @again;
is(join(' ', map { $_->{method} } @{ $shop->control('GET', "requests?order=$steady->{number}")->{requests} }), 'GET GET POST', 'three requests a capture');
is($shop->sql('SELECT bool_and(no_transactions = (hash LIKE \'then%\'))::text FROM bcpaid.stores'), 'true', 'and only such a store is remembered');

# ---- when a second write is allowed: not while the first may be on its way, and not after one read ----

my $slower = $ENV{BCPAID_SLOWER} || 1;
$shop->configure("bcpaid.request_timeout = '@{[2 * $slower]}s'", "bcpaid.settle_time = '3s'");
my @late = map { { name => "taken $_" } } 'as late as a request may be on its way', 'between the two reads';
my @release = ("clock_timestamp() > sent_at + interval '@{[1.9 * $slower]} s'", 'absent_reads = 1');
$shop->place(@late);
$_->{held} = $shop->fault(match => { order => $_->{number}, method => 'POST' }, do => 'late', status => 504) for @late;
$shop->pay_all(@late);
for my $case (@late)
{
	my $met = shift @release;
	$shop->wait_until($case->{name}, sub { $shop->sql("SELECT $met FROM bcpaid.capture WHERE order_id = $case->{order} AND state = 'unknown'") eq 't' });
	is($shop->control('GET', "requests?method=POST&order=$case->{number}")->{count}, 1, "$case->{name}: not written again by then");
	$shop->control('POST', 'release', { fault => $case->{held} });
}
$shop->come_to_their_end(@late);

# ---- what is kept of the store's words ----

is($shop->sql(<<'SQL'), 't', 'no reason is longer than anybody reads');
SELECT max(octet_length(coalesce(reason, '')) + octet_length(coalesce(detail, ''))) < 1000 FROM bcpaid.capture, LATERAL (SELECT detail FROM bcpaid.attempt WHERE capture_id = capture.id) a
SQL
is($shop->sql(<<'SQL'), '0', 'no token stands anywhere');
SELECT count(*) FROM (SELECT c::text FROM bcpaid.capture c UNION ALL SELECT a::text FROM bcpaid.attempt a UNION ALL SELECT h::text FROM bcpaid.history h
 UNION ALL SELECT s::text FROM bcpaid.store s) AS t (row) WHERE row LIKE '%-token%'
SQL
unlike($shop->log_since(0) =~ s/^.*(?:statement:|COPY).*$//gmr, qr/demo-token/, 'nor in the log');

$shop->store_is_content;
$shop->stop;
done_testing();
