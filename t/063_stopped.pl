# Goal: a store that is stopped by 401 or 403 says why, once, keeps all that it had in hand in whatever state it was, and
# goes on there; an answer to the token before stops nothing.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('stopped', timeout => 120, conf => "bcpaid.request_timeout = '60s'\nbcpaid.max_attempts = 1000");
my $true = JSON::PP::true;

sub give_token { my ($store, $token) = @_; return $shop->odoo("COPY bcpaid.token_inbox FROM STDIN;\n$store->[0]\t$token\n\\.\n") }
sub stopped { my ($store) = @_; return $shop->sql("SELECT coalesce(stopped_reason, '') FROM bcpaid.stores WHERE id = $store->[0]") }
sub said { my ($log, $store) = @_; return scalar(() = $shop->log_since($log) =~ /bcpaid stopped store $store->[0]: /g) }
sub states { my (@cases) = @_; my $seen = $shop->captures_of(@cases); return join ' ', map { $seen->{ $_->{order} }{state} } @cases }
sub fault { my ($case, %fault) = @_; return $shop->fault(%fault, match => { order => $case->{number}, %{ $fault{match} || {} } }) }

# As if so much time had passed.
sub let_time_pass { return $shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp(), sent_at = sent_at - interval '1 h' WHERE state IN ('waiting', 'unknown') AND due < 'infinity'; UPDATE bcpaid.store SET retry_at = NULL; SELECT bcpaid.wake()") }

# ---- stopped with captures in every state ----

# How a store is stopped, what is said, and how a person lets it go on.
my @ways = (
	[ '401, then COPY of a token', { token => 'new-token' }, qr/^the store does not accept the token: HTTP 401/,
		sub { give_token($_[0], 'new-token') } ],
	[ '401, then set_token', { token => 'new-token' }, qr/^the store does not accept the token: HTTP 401/,
		sub { $shop->odoo("SELECT bcpaid.set_token($_[0][0], 'new-token')") } ],
	[ '403, then resume', { scopes => ['store_v2_transactions'] }, qr/^the token lacks the scope store_v2_orders_read_only: HTTP 403/,
		sub { $shop->control('PATCH', "stores/$_[0][1]", { scopes => [ 'store_v2_orders', 'store_v2_transactions' ] }); $shop->odoo("SELECT bcpaid.resume($_[0][0])") } ],
	[ '403, then retry_store', { scopes => ['store_v2_transactions'] }, qr/^the token lacks the scope store_v2_orders_read_only: HTTP 403/,
		sub { $shop->control('PATCH', "stores/$_[0][1]", { scopes => [ 'store_v2_orders', 'store_v2_transactions' ] }); $shop->odoo("SELECT bcpaid.retry_store($_[0][0])") } ]);

sub stops
{
	my ($n, $what, $break, $reason, $mend) = @_;
	my $store = $shop->another_store("way$n");
	my $log = $shop->log_size;
	my %case = map { $_ => { name => "$what: $_", store => $store } } qw(applied unknown lost waiting captured held looking sending queued1 queued2);
	my @at_first = @case{qw(applied unknown lost waiting captured held)};
	my @later = @case{qw(looking sending queued1 queued2)};

	# One in each state that lasts ...
	$case{held}{remote} = { store_credit_amount => '1.0000' };
	$shop->configure("bcpaid.retry_base = '1h'", "bcpaid.retry_cap = '1h'");
	$shop->place(values %case);
	fault($case{unknown}, match => { method => 'POST' }, do => 'drop', taken => $true);
	fault($case{lost}, match => { method => 'POST' }, do => 'drop');
	fault($case{waiting}, do => 'answer', status => 409);
	my $person = $shop->{node}->background_psql('odoo', on_error_stop => 0, extra_params => [ '-U', 'odoo' ]);
	$person->query_safe("BEGIN; SELECT id FROM sale_order WHERE id = $case{captured}{order} FOR NO KEY UPDATE");
	for my $name (qw(applied captured held waiting unknown lost))
	{
		$shop->pay_all($case{$name});
		$shop->wait_for_state($case{$name}{order}, $name eq 'lost' ? 'unknown' : $name, because => $case{$name}{name});
		$shop->sql('UPDATE bcpaid.store SET retry_at = NULL, failures = 0; SELECT bcpaid.wake()');
	}

	# ... and one in each that passes, when the store changes its mind.
	my $look = fault($case{looking}, match => { path => '/transactions' }, do => 'hang', then => 'answer');
	my $send = fault($case{sending}, match => { method => 'POST' }, do => 'hang', then => 'answer');
	$shop->pay_all(@case{qw(looking sending)});
	$shop->control('POST', 'wait', { held => 2, timeout_ms => 60000 });
	is(states(@at_first, @case{qw(looking sending)}), 'applied unknown unknown waiting captured held claimed sending', "$what: one in each state");
	$shop->control('PATCH', "stores/$store->[1]", $break);
	$shop->pay_all(@case{qw(queued1 queued2)});
	let_time_pass();
	$shop->wait_until("$what: the store is stopped", sub { stopped($store) ne '' });
	like(stopped($store), $reason, "$what: the store says why");
	$shop->control('POST', 'release', {});
	$shop->wait_until("$what: nothing is under way", sub { states(values %case) !~ /claimed|sending/ });
	$person->query_safe('COMMIT');
	$person->quit;
	$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp() WHERE state = 'captured'; SELECT bcpaid.wake()");
	$shop->come_to_their_end({ %{ $case{captured} }, name => "$what: what is captured is still told to Odoo" });
	is_stopped($what, $store, $log, $reason, @at_first, @later);

	# A person puts it right.
	$shop->configure("bcpaid.retry_base = '50ms'", "bcpaid.retry_cap = '50ms'");
	$mend->($store);
	let_time_pass();
	my $held = delete $case{held};
	$shop->come_to_their_end(values %case, { %$held, state => 'held' });
	is(stopped($store), '', "$what: it goes on");
	is(said($log, $store), 1, "$what: and is not stopped again");
	return;
}

sub is_stopped
{
	my ($what, $store, $log, $reason, @cases) = @_;

	unlike(states(@cases), qr/refused|cancelled|not_ours/, "$what: nothing is given up");
	is($shop->sql("SELECT sum(failures) FROM bcpaid.captures WHERE store_id = $store->[0] AND state NOT IN ('waiting', 'applied')"), '0', "$what: no capture is to blame");
	is(said($log, $store), 1, "$what: the log says so, once");
	like($shop->sql("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'store $store->[0]' AND NOT ok"), qr/^stopped: /, "$what: doctor says so");
	like($shop->sql("SELECT hint FROM bcpaid.doctor() WHERE \"check\" = 'store $store->[0]' AND NOT ok"), qr/bcpaid\.resume\($store->[0]\)/, "$what: and what to do");
	my $asked = $shop->control('GET', "stores/$store->[1]")->{requests};
	$shop->pay_all(one_more($store));
	$shop->come_to_their_end(walk({ name => "$what: another store goes on" }));
	is($shop->control('GET', "stores/$store->[1]")->{requests}, $asked, "$what: it is asked nothing more");
	return;
}

sub walk { my (@cases) = @_; $shop->place(@cases); $shop->pay_all(@cases); return @cases }
sub one_more { my ($store) = @_; my $case = { name => 'paid while it is stopped', store => $store }; $shop->place($case); return $case }

$shop->come_to_their_end(walk({ name => 'all is well' }));
stops($_, @{ $ways[$_] }) for 0 .. $#ways;

# ---- an answer to the token before ----

# Two conversations hang that began with the old token; a new one is given, or the store resumed; then they end with 401.
for my $way ([ 'set_token', sub { give_token($_[0], 'second-token') } ], [ 'resume', sub { $shop->odoo("SELECT bcpaid.resume($_[0][0])") } ])
{
	my ($what, $mend) = @$way;
	my $store = $shop->another_store("old$what" =~ s/_//r);
	my $log = $shop->log_size;
	my ($look, $send) = my @cases = map { { name => "$what: the answer to an old $_", store => $store } } qw(look write);

	$shop->place(@cases);
	fault($look, match => { method => 'GET' }, do => 'answer', status => 401, latency_ms => 5000);
	my $hang = fault($send, match => { method => 'POST' }, do => 'hang', then => 'answer');
	$shop->pay_all($send);
	$shop->control('POST', 'wait', { held => 1, timeout_ms => 60000 });
	$shop->pay_all($look);
	$shop->control('POST', 'wait', { requests => { match => { order => $look->{number} } }, timeout_ms => 60000 });
	$shop->control('PATCH', "stores/$store->[1]", { token => 'second-token' }) if $what eq 'set_token';
	$mend->($store);
	is($shop->control('GET', "requests?order=$look->{number}")->{requests}[0]{answer}, undef, "$what: given while the old token is under way");
	$shop->control('POST', 'release', { fault => $hang });
	$shop->come_to_their_end(@cases);
	is(said($log, $store), 0, "$what: does not stop the store");
	is($shop->sql("SELECT count(*) FROM bcpaid.attempts WHERE order_id = $look->{order} AND outcome = 'stop store'"), '1', "$what: though it said 401");
}

$shop->store_is_content;
$shop->stop;
done_testing();
