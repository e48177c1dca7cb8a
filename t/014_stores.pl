# Goal: each store goes its own way: one that is stopped, down, slow or full stops itself and no other, says why, and loses nothing.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('stores', conf => "bcpaid.request_timeout = '1s'\nbcpaid.max_attempts = 1000");
my $good = $shop->another_store('good');
my $n = 0;

sub some { my ($count, $store, %more) = @_; return map { { name => "$store->[1] $_", store => $store, %more } } 1 .. $count }
sub start { my (@cases) = @_; $shop->place(@cases); $shop->pay_all(@cases); return @cases }
sub column { my ($store, $column) = @_; return $shop->sql("SELECT coalesce($column\::text, 'none') FROM bcpaid.stores WHERE id = $store->[0]") }
sub give_token { my ($store, $token) = @_; return $shop->odoo("COPY bcpaid.token_inbox FROM STDIN;\n$store->[0]\t$token\n\\.\n") }
sub said { my ($log, $store) = @_; my @said = $shop->log_since($log) =~ /bcpaid stopped store $store->[0]: .*/g; return scalar @said }

# A store is stopped while it has work; the good one goes on; then a person puts
# it right, and all that it had to do is done.
sub stops
{
	my ($name, $store, $reason, $break, $mend, %more) = @_;
	my $log = $shop->log_size;
	my @cases = some($more{cases} || 12, $store);

	$shop->place(@cases);
	$break->(@cases);
	$shop->pay_all(@cases);
	$shop->wait_until("$name: the store is stopped", sub { column($store, 'stopped_reason') ne 'none' });
	$shop->wait_until("$name: nothing is under way", sub { $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_id = $store->[0] AND state IN ('claimed', 'sending')") eq '0' });
	$shop->come_to_their_end(start(some(2, $good)));
	like(column($store, 'stopped_reason'), $reason, "$name: the store says why");
	my $waits = $more{state} || 'queued';
	like($shop->sql("SELECT string_agg(DISTINCT state, ' ') FROM bcpaid.captures WHERE store_id = $store->[0] AND state <> 'applied'"), qr/^(?:$waits)$/, "$name: what it had to do waits");
	like($shop->sql("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'store $store->[0]' AND NOT ok"), qr/^stopped: |^no access token/, "$name: doctor says so");
	is(said($log, $store), 1, "$name: and the log, once");

	my $asked = $shop->control('GET', "stores/$store->[1]")->{requests};
	push @cases, my @later = start(some(2, $store));
	$shop->come_to_their_end(start(some(1, $good)));
	is($shop->control('GET', "stores/$store->[1]")->{requests}, $asked, "$name: it is asked nothing more");

	$mend->(@cases);
	$shop->come_to_their_end(@cases);
	is(column($store, 'stopped_reason'), 'none', "$name: it goes on");
	return;
}

sub fault_for { my ($store, %fault) = @_; return sub { $shop->fault(match => { store => $store->[1], %{ delete $fault{match} || {} } }, times => 'forever', %fault) } }
sub resumed { my ($store) = @_; return sub { $shop->control('DELETE', 'faults'); $shop->odoo("SELECT bcpaid.resume($store->[0])") } }

# ---- what stops a store ----

my $store = $shop->another_store('token');
stops('401', $store, qr/^the store does not accept the token: HTTP 401/,
	sub { $shop->control('PATCH', 'stores/token', { token => 'another-token' }) }, sub { give_token($store, 'another-token') });
stops('401, then set_token', $store, qr/does not accept the token/,
	sub { $shop->control('PATCH', 'stores/token', { token => 'third-token' }) }, sub { $shop->odoo("SELECT bcpaid.set_token($store->[0], 'third-token')") });

for ([ 'store_v2_orders_read_only', [ 'store_v2_transactions' ] ], [ 'store_v2_transactions_read_only', ['store_v2_orders'] ],
	[ 'store_v2_transactions', [ 'store_v2_orders', 'store_v2_transactions_read_only' ] ])
{
	my ($missing, $scopes) = @$_;
	$store = $shop->another_store('scope' . ++$n, '', scopes => $scopes);
	stops("403: $missing is missing", $store, qr/^the token lacks the scope $missing: HTTP 403/, sub { },
		sub { $shop->control('PATCH', "stores/$store->[1]", { scopes => [ 'store_v2_orders', 'store_v2_transactions' ] }); $shop->odoo("SELECT bcpaid.resume($store->[0])") });
}
$store = $shop->another_store('scopeput', "strategy => 'status'", scopes => [ 'store_v2_orders_read_only', 'store_v2_transactions' ]);
stops('403: way B', $store, qr/lacks the scope store_v2_orders: HTTP 403/, sub { },
	sub { $shop->control('PATCH', 'stores/scopeput', { scopes => [ 'store_v2_orders', 'store_v2_transactions' ] }); $shop->odoo("SELECT bcpaid.resume($store->[0])") });

$store = $shop->another_store('redirectpost');
stops('302 on the write', $store, qr/^the store cannot be asked: HTTP 302: the answer is a redirect, which is not followed/, fault_for($store, match => { method => 'POST' }, do => 'redirect', to => 'http://elsewhere.example/'), resumed($store), state => 'queued unknown|unknown');    # all may be sent before the first answer

$store = $shop->another_store('notoken');
$shop->sql("DELETE FROM bcpaid.token WHERE store_id = $store->[0]");
stops('no token', $store, qr/^the store has no valid hash or access token/, sub { }, sub { give_token($store, 'notoken-token') });

# Stopped right after it was put right, since the new token is as bad: said again.
$store = $shop->another_store('worse');
$shop->control('PATCH', 'stores/worse', { token => 'right-token' });
my ($worse) = start(some(1, $store));
my $log = 0;
$shop->wait_until('it is stopped', sub { column($store, 'stopped_reason') ne 'none' });
give_token($store, 'worse-token-still');
$shop->wait_until('it is stopped again', sub { said(0, $store) == 2 && column($store, 'stopped_reason') ne 'none' });
give_token($store, 'right-token');
$shop->come_to_their_end({ %$worse, name => 'at the third token' });

# ---- new work does not wait behind what is tried again and again ----

$store = $shop->another_store('again');
my @again = some(100, $store);
$shop->place(@again);
$shop->fault(match => { order => $_->{number}, method => 'POST' }, do => 'answer', status => 409, times => 'forever') for @again;
$shop->pay_all(@again);
$shop->wait_until('all of them are tried again', sub {
	$shop->sql("SELECT count(DISTINCT a.order_id) >= 90 FROM bcpaid.attempts a JOIN bcpaid.captures c USING (order_id) WHERE c.store_id = $store->[0] AND a.purpose = 'send'") eq 't' });
{
	my $begun = time;
	$shop->come_to_their_end(start(some(5, $store)));
	cmp_ok(time - $begun, '<=', 10 * ($ENV{BCPAID_SLOWER} || 1), 'new work is not behind retries');
}
$shop->control('DELETE', 'faults');
$shop->come_to_their_end(@again);

# ---- what does not stop a store, nor any other ----

# Each misbehaves for good while another store does its work; then it is well.
for my $case ([ 'down', do => 'answer', status => 503 ], [ 'hanging', do => 'hang', seconds => 30 ], [ 'dropping', do => 'drop' ], [ 'garbage', do => 'garbage' ],
	[ 'throttling', do => 'answer', status => 429 ], [ 'slow', do => 'pass', latency_ms => 300, times => 40 ])
{
	my ($name, %fault) = @$case;
	$store = $shop->another_store($name);
	my @there = some(20, $store);
	$shop->place(@there);
	$shop->fault(match => { store => $name }, times => 'forever', %fault);
	$shop->pay_all(@there);
	$shop->control('POST', 'wait', { requests => { match => { store => $name } }, timeout_ms => 20000 });
	my $begun = time;
	$shop->come_to_their_end(start(some(10, $good)));
	cmp_ok(time - $begun, '<=', 10 * ($ENV{BCPAID_SLOWER} || 1), "beside one that is $name, a store does its work");
	is(column($store, 'stopped_reason'), 'none', "$name: it is not stopped");
	cmp_ok($shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_id = $store->[0] AND state = 'applied'"), '<', 20, "$name: while it has much to do") if $name ne 'slow';
	$shop->control('DELETE', 'faults');
	$shop->control('POST', 'release', {});
	$shop->come_to_their_end(@there);
	is($shop->sql("SELECT max(failures) FROM bcpaid.captures WHERE store_id = $store->[0]"), '0', "$name: no capture is blamed");
}

# ---- a store is put right: all that it refused, at once ----

my @refused = start(some(2, $good, nowhere => 1, state => 'refused', reason => qr/does not exist/));
$shop->come_to_their_end(@refused);
$shop->control('PUT', "stores/good/orders/$_->{number}", { status_id => 7, total_inc_tax => '69.8400' }) for @refused;
is($shop->odoo("SELECT bcpaid.retry_store($good->[0])"), 2, 'retry_store takes up what was refused');
$shop->come_to_their_end(map { { %$_, state => 'applied', reason => undef } } @refused);

# ---- the test of a store ----

sub test_store { my ($id) = @_; return $shop->odoo("CALL bcpaid.test_store($id)") }

$store = $shop->another_store('tested', '', quota => { limit => 150 }, plan => 'plus', name => 'Tested Store');
like(test_store($store->[0]), qr/^t\|the store answered "Tested Store", plan "Plus Store", currency "USD", \d+ of 150 requests left in 30 s$/, 'a test says whose store it is');
is($shop->sql("SELECT test_ok FROM bcpaid.stores WHERE id = $store->[0]"), 't', 'and keeps it');
my @asked = map { "$_->{method} $_->{path}" } @{ $shop->control('GET', 'requests?store=tested')->{requests} };
is("@asked", 'GET /stores/tested/v2/store', 'with one request, that reads');

my %bad = (
	'a bad token' => [ sub { give_token($store, 'bad') }, qr/^f\|the store does not accept the token: HTTP 401/ ],
	'a missing scope' => [ sub { $shop->control('PATCH', 'stores/tested', { scopes => [] }) }, qr/^f\|the token lacks the scope store_v2_information_read_only: HTTP 403/ ],
	'no such store' => [ sub { $shop->control('DELETE', 'stores/tested') }, qr/^f\|the store does not accept the token|^f\|no store has the hash/ ],
	'no token' => [ sub { $shop->sql("DELETE FROM bcpaid.token WHERE store_id = $store->[0]") }, qr/^f\|the store has no valid hash or access token/ ]);
for my $name (sort keys %bad)
{
	$bad{$name}[0]->();
	like(test_store($store->[0]), $bad{$name}[1], "test: $name");
	$shop->control('DELETE', 'faults');
	$shop->control('PUT', 'stores/tested', { token => 'tested-token', plan => 'unlimited' });
	give_token($store, 'tested-token');
}
is(column($store, 'stopped_reason'), 'none', 'a test stops no store');
like(test_store($store->[0]), qr/^t\|/, 'and a test is well again');
my ($code, $out, $messages) = $shop->try_odoo("\\set VERBOSITY verbose\nCALL bcpaid.test_store(999)");
like($messages, qr/ERROR:  42704: there is no store 999/, 'no such store in bcpaid');

$shop->store_is_content;
$shop->stop;
done_testing();
