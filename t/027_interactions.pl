# Goal: what people change while a capture is under way, in the store's row, in a link or by a call, neither sends a
# second write nor loses a payment.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('interactions', timeout => 20, conf => <<'CONF');
bcpaid.sweep_interval = '1d'
bcpaid.idle_timeout = '200ms'
bcpaid.retry_cap = '100ms'
CONF
my $true = JSON::PP::true;

sub one { my ($name, %more) = @_; my $case = { name => $name, %more }; $shop->place($case); return $case }
sub paid { my $case = one(@_); $shop->pay_all($case); return $case }
sub capture_of { my ($case) = @_; return $shop->sql("SELECT id FROM bcpaid.capture WHERE remote_order_id = $case->{number} ORDER BY id LIMIT 1") }
sub ends { my ($case, %now) = @_; return $shop->come_to_their_end({ %$case, (%now ? (state => undef, reason => undef) : ()), %now }) }
sub posts { my ($case) = @_; return $shop->control('GET', "requests?order=$case->{number}&method=POST")->{count} }
sub quiet { return $shop->wait_until('candidates are judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' }) }
sub unpay { my ($case) = @_; return $shop->odoo("SELECT fixture.unpay((SELECT max(payment_id) FROM account_move__account_payment WHERE invoice_id = $case->{invoice}))") }
sub pay_less { my ($case) = @_; $shop->odoo("SELECT fixture.apply_credit(fixture.invoice(fixture.order(100)), fixture.credit($case->{invoice}, 50))"); return $shop->pay_all($case) }
sub links { my (%remote) = @_; return $shop->odoo(join ' ', map { "UPDATE sale_order SET bcpaid_remote_order_id = '$remote{$_}' WHERE id = $_;" } keys %remote) }

# A test of one defect; what fails in it fails alone.
sub case
{
	my ($name, $run) = @_;
	subtest($name => sub { eval { $run->(); 1 } or fail("came to its end: $@"); done_testing() });
	return;
}

$shop->come_to_their_end(paid('the first of all'));

case('the store said yes: the button and retry look, and send nothing', sub {
	my $vague = one('a yes that is never shown', state => 'held', reason => qr/said that it recorded the capture, but does not show it/);
	$shop->fault(match => { order => $vague->{number}, method => 'POST' }, do => 'answer', status => 201, body => {});
	$shop->pay_all($vague);
	ends($vague);
	$shop->odoo("SELECT bcpaid_mark($vague->{order})");
	ends($vague, name => 'the button: held again', state => 'held');
	is(posts($vague), 1, 'and not sent');
	$shop->odoo('SELECT bcpaid.retry(' . capture_of($vague) . ')');
	ends($vague, name => 'retry: held again', state => 'held');
	is(posts($vague), 1, 'and not sent');
	# What is approved of is one more write: if its answer is lost, the store had still said yes to the first.
	$shop->fault(match => { order => $vague->{number}, method => 'POST' }, do => 'drop');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($vague) . ')');
	ends($vague, name => 'approved, and lost: held again', state => 'held', reason => qr/said that it recorded the capture, but does not show it/);
	is(posts($vague), 2, 'sent once more, and not again');
	$shop->fault(match => { order => $vague->{number}, method => 'POST' }, do => 'answer', status => 400, body => {});
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($vague) . ')');
	ends($vague, name => 'approved, and refused', state => 'refused');
	$shop->odoo('SELECT bcpaid.retry(' . capture_of($vague) . ')');
	ends($vague, name => 'retried: held again', state => 'held', reason => qr/said that it recorded the capture, but does not show it/);
	is(posts($vague), 3, 'and not sent');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($vague) . ')');
	ends($vague, name => 'an approval sends');
	is(posts($vague), 4, 'once more');
});

case('an unclear outcome: nobody can say retry before reads count', sub {
	$shop->configure("bcpaid.request_timeout = '1min'");
	my $lost = one('lost, and then the store refuses to be read', state => 'held', captures => 1, reason => qr/^sent before, outcome not known; now: the store refused/);
	$shop->fault(match => { order => $lost->{number}, method => 'POST' }, do => 'drop', taken => $true);
	$shop->fault(match => { order => $lost->{number}, method => 'GET', path => '/v2/orders/' }, after => 1, times => 'forever', do => 'answer', status => 400);
	$shop->pay_all($lost);
	$shop->wait_until('it was read', sub { $shop->reason_of($lost->{order}) =~ $lost->{reason} });
	is($shop->state_of($lost->{order}), 'unknown', 'what the store says is not the last word yet');
	$shop->configure("bcpaid.request_timeout = '2s'");
	$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp() WHERE order_id = $lost->{order}; SELECT bcpaid.wake()");
	ends($lost);
	$shop->control('DELETE', 'faults');
	$shop->odoo('SELECT bcpaid.retry(' . capture_of($lost) . ')');
	ends($lost, name => 'held when reads count, then retried: found', captures => 1);
	is(posts($lost), 1, 'and not sent twice');
});

case('the store said yes, and was held for something else: approved of that, it is not sent', sub {
	my $vague = one('a yes, and then the store refuses to be read', state => 'held', reason => qr/^sent before, outcome not known; now: the store refused/);
	$shop->fault(match => { order => $vague->{number}, method => 'POST' }, do => 'answer', status => 201, body => {});
	$shop->fault(match => { order => $vague->{number}, method => 'GET', path => '/v2/orders/' }, after => 1, times => 'forever', do => 'answer', status => 400);
	$shop->pay_all($vague);
	ends($vague);
	$shop->control('DELETE', 'faults');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($vague) . ')');
	ends($vague, name => 'approved: held for the yes', state => 'held', reason => qr/said that it recorded the capture, but does not show it/);
	is(posts($vague), 1, 'and not sent');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($vague) . ')');
	ends($vague, name => 'approved of both');
	is(posts($vague), 2, 'sent once more');
});

case('an approval is for one write', sub {
	my $lost = one('approved, then lost', total => 60, remote => { total_inc_tax => '69.8400' }, state => 'held', reason => qr/^the store wants 69.84 USD/);
	$shop->pay_all($lost);
	ends($lost);
	$shop->fault(match => { order => $lost->{number}, method => 'POST' }, do => 'drop');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($lost) . ')');
	$shop->wait_for_state($lost->{order}, 'unknown');
	unpay($lost);
	pay_less($lost);
	ends($lost, name => 'lost, and never there: held again', state => 'held', reason => qr/^sent before, outcome not known; now: the store wants 69.84 USD, Odoo settled 10/);
	is(posts($lost), 1, 'and not sent again');
	$shop->odoo('SELECT bcpaid.approve(' . capture_of($lost) . ')');
	ends($lost, name => 'approved again');
	is(posts($lost), 2, 'sent again');
});

case('an approval is of what a person saw', sub {
	my $seen = paid('held for its amount', total => 60, state => 'held', remote => { total_inc_tax => '69.8400' }, reason => qr/store wants 69.84 USD, Odoo settled 60/);
	ends($seen);
	$shop->odoo('SELECT bcpaid.pause(1); SELECT bcpaid.approve(' . capture_of($seen) . ')');
	unpay($seen);
	quiet();
	$shop->odoo('SELECT bcpaid.resume(1)');
	ends($seen, name => 'taken back: waits', state => 'waiting', reason => qr/settled/);
	pay_less($seen);
	ends($seen, name => 'paid again, less: held again', state => 'held', reason => qr/Odoo settled 10/);
});

case('another hash while an outcome is not known', sub {
	my $store = $shop->another_store('before');
	$shop->control('PUT', 'stores/after', { token => 'after-token', plan => 'unlimited' });
	my $lost = one('sent to the old hash', store => $store, state => 'unknown');
	my $new = one('sent to the new hash', store => [ $store->[0], 'after' ]);
	$shop->fault(match => { order => $lost->{number} }, after => 2, times => 'forever', do => 'drop');
	$shop->pay_all($lost);
	$shop->wait_for_state($lost->{order}, 'unknown');
	$shop->odoo("SELECT bcpaid.set_store($store->[0], hash => 'after'); COPY bcpaid.token_inbox FROM STDIN;\n$store->[0]\tafter-token\n\\.\n");
	$shop->control('DELETE', 'faults');
	$shop->odoo("SELECT bcpaid.resume($store->[0])");
	$shop->wait_until('the unknown one was taken up', sub { $shop->reason_of($lost->{order}) =~ /hash/ || $shop->sql("SELECT stopped_reason IS NOT NULL FROM bcpaid.store WHERE id = $store->[0]") eq 't' });
	$shop->pay_all($new);
	ends($new);
	is($shop->sql("SELECT stopped_reason FROM bcpaid.store WHERE id = $store->[0]"), '', 'the store is not stopped by it');
	is($shop->state_of($lost->{order}), 'unknown', 'it stays unknown');
	$shop->odoo("SELECT bcpaid.set_store($store->[0], hash => 'before'); COPY bcpaid.token_inbox FROM STDIN;\n$store->[0]\tbefore-token\n\\.\n");
	$shop->sql("UPDATE bcpaid.capture SET due = now() WHERE order_id = $lost->{order}");
	$shop->odoo("SELECT bcpaid.resume($store->[0])");
	ends($lost, name => 'the old hash again: it goes on', state => 'applied');
});

case('another hash, and what was refused before', sub {
	my $store = $shop->another_store('wrong');
	$shop->control('PUT', 'stores/right', { token => 'wrong-token', plan => 'unlimited' });
	my $case = one('paid while the hash was wrong', store => [ $store->[0], 'right' ]);
	$shop->pay_all($case);
	$shop->wait_until('refused by the wrong store', sub { $shop->sql("SELECT state FROM bcpaid.capture WHERE store_hash = 'wrong'") eq 'refused' });
	$shop->odoo("SELECT bcpaid.set_store($store->[0], hash => 'right')");
	$shop->odoo('SELECT bcpaid.sweep()');
	$shop->wait_until('a sweep takes it up', sub { $shop->sql("SELECT state FROM bcpaid.capture WHERE store_hash = 'right'") eq 'applied' });
	is($shop->captures($case->{number}, 'right'), 1, 'captured once');
});

case('another remote order, of which no trigger told', sub {
	my $case = paid('linked to the wrong one', state => 'refused', nowhere => 1, reason => qr/does not exist/);
	ends($case);
	$shop->remote_order(7001, 69.84);
	$shop->odoo('ALTER TABLE sale_order DISABLE TRIGGER bcpaid_order');
	links($case->{order} => 7001);
	$shop->odoo('ALTER TABLE sale_order ENABLE TRIGGER bcpaid_order');
	$shop->odoo('SELECT bcpaid.sweep()');
	$shop->wait_until('a sweep takes it up', sub { $shop->sql('SELECT state FROM bcpaid.capture WHERE remote_order_id = 7001') eq 'applied' });
	is($shop->captures(7001), 1, 'captured once');
});

case('two links mixed up, and set right', sub {
	my @mixed = map { one("mixed up $_") } 1, 2;
	my ($a, $b) = @mixed;
	links($a->{order} => $b->{number}, $b->{order} => 0);
	$shop->odoo('SELECT bcpaid.pause(1)');
	$shop->pay_all($a, $b);
	quiet();
	$shop->wait_until('queued', sub { $shop->sql("SELECT count(*) FROM bcpaid.capture WHERE remote_order_id = $b->{number}") eq '1' });
	links($a->{order} => $a->{number});
	links($b->{order} => $b->{number});
	quiet();
	$shop->odoo('SELECT bcpaid.resume(1)');
	all_are_captured($a, $b);
});

case('a link that was wrong, and found its order later', sub {
	my ($a, $b) = map { one("found later $_") } 1, 2;
	links($a->{order} => $b->{number}, $b->{order} => 0);
	$shop->odoo('SELECT bcpaid.pause(1)');
	$shop->pay_all($a, $b);
	quiet();
	links($a->{order} => $a->{number});
	$shop->odoo('SELECT bcpaid.resume(1)');
	$shop->wait_until('its capture is cancelled', sub { $shop->sql("SELECT state FROM bcpaid.capture WHERE remote_order_id = $b->{number}") eq 'cancelled' });
	links($b->{order} => $b->{number});
	all_are_captured($a, $b);
});

sub all_are_captured
{
	my @cases = @_;
	for my $case (@cases)
	{
		$shop->wait_until("$case->{name} is captured", sub { $shop->captures($case->{number}) eq '1' },
			sub { $shop->sql("SELECT string_agg(to_jsonb(c)::text, E'\n') FROM bcpaid.captures c WHERE remote_order_id = $case->{number}") });
		$shop->wait_until("$case->{name} shows it", sub { $shop->status_of($case->{order}) eq 'Captured' });
		is($shop->captures($case->{number}), 1, "$case->{name}: captured once");
	}
	return;
}

case('way A turns out to be missing while the outcome of another capture is not known', sub {
	my $store = $shop->another_store('ways', "strategy => 'transaction_then_status'");
	my $lost = one('shipped, and lost on way A', store => $store, remote => { status_id => 2 }, state => 'held', reason => qr/in status 2, without our marker/);
	my $other = one('sent on way B', store => $store);
	$shop->fault(match => { order => $lost->{number}, method => 'POST' }, do => 'drop');
	$shop->fault(match => { order => $lost->{number}, method => 'GET' }, after => 2, times => 'forever', do => 'answer', status => 429);
	$shop->fault(match => { order => $other->{number}, method => 'POST' }, do => 'answer', status => 405);
	$shop->pay_all($lost);
	$shop->wait_for_state($lost->{order}, 'unknown');
	$shop->pay_all($other);
	$shop->sql("UPDATE bcpaid.store SET retry_at = NULL WHERE id = $store->[0]; SELECT bcpaid.wake()");
	ends($other);
	$shop->control('DELETE', 'faults');
	ends($lost);
});

case('another row for the same store', sub {
	my $old = $shop->another_store('twice');
	$shop->control('PATCH', 'stores/twice', { token => 'new-token' });
	my $case = paid('queued at a store that is stopped', store => $old, state => 'queued');
	$shop->wait_until('stopped', sub { $shop->sql("SELECT stopped_reason IS NOT NULL FROM bcpaid.store WHERE id = $old->[0]") eq 't' });
	my $new = $shop->odoo("SET client_min_messages = error; SELECT bcpaid.set_store($old->[0], mark_order_as_paid => false); SELECT bcpaid.set_store(name => 'new', hash => 'twice', mark_order_as_paid => true)") =~ s/.*\n//r;
	$shop->odoo("COPY bcpaid.token_inbox FROM STDIN;\n$new\tnew-token\n\\.\nUPDATE sale_order SET bcpaid_store_id = $new WHERE id = $case->{order}");
	ends($case, name => 'linked to the new row: sent', state => 'applied');
});

$shop->store_is_content;
$shop->stop;
done_testing();
