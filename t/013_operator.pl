# Goal: what a person does to a store or a capture is done, once, and what Odoo changes meanwhile is seen before anything is sent.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('operator', conf => "bcpaid.sweep_interval = '1d'\nbcpaid.idle_timeout = '200ms'");

sub one { my ($name, %more) = @_; my $case = { name => $name, %more }; $shop->place($case); return $case }
sub paid { my $case = one(@_); $shop->pay_all($case); return $case }
sub capture_of { my ($case) = @_; return $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $case->{order}") }
sub ends { my ($case, %now) = @_; return $shop->come_to_their_end({ %$case, (%now ? (state => undef, reason => undef) : ()), %now }) }
sub requests { my ($case, $method) = @_; return $shop->control('GET', "requests?order=$case->{number}" . ($method ? "&method=$method" : ''))->{count} }
sub pause { return $shop->odoo('SELECT bcpaid.pause(1)') }
sub resume { return $shop->odoo('SELECT bcpaid.resume(1)') }
sub payment_of { my ($case) = @_; return $shop->sql("SELECT max(payment_id) FROM account_move__account_payment WHERE invoice_id = $case->{invoice}") }
sub unpay { my ($case) = @_; return $shop->odoo("SELECT fixture.unpay(" . payment_of($case) . ")") }

# An error has its SQLSTATE and a text, and changes nothing.
sub refuses
{
	my ($name, $sql, $state, $pattern) = @_;
	my ($code, $out, $messages) = $shop->try_odoo("\\set VERBOSITY verbose\n$sql");

	isnt($code, 0, "$name: refused");
	like($messages, qr/ERROR:  $state: $pattern/, "$name: $state");
	return;
}

# Waits until the worker has nothing to do; what is not sent by then is not sent.
sub quiet { return $shop->wait_until('candidates are judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' }) }

ends(paid('the first of all'));

# ---- pause and resume ----

pause();
my $paused = paid('paused: noted, not sent', state => 'queued');
ends($paused);
is(requests($paused), 0, 'nothing is asked of a paused store');
is($shop->sql('SELECT paused FROM bcpaid.stores WHERE id = 1'), 't', 'the view says so');
resume();
ends($paused, name => 'resumed: sent', state => 'applied');

# ---- what Odoo changes between payment and write ----

my %changed = (
	unpaid => one('unpaid meanwhile: waits', state => 'waiting', reason => qr/^not eligible any more: settled/),
	deleted => one('deleted in Odoo meanwhile', state => 'cancelled', reason => qr/^the order was deleted in Odoo/),
	cancelled => one('cancelled in Odoo meanwhile: waits', state => 'waiting', reason => qr/^not eligible any more: link/),
	relinked => one('linked to another meanwhile'),
	duplicated => one('a second order with its link: waits', state => 'waiting', reason => qr/^not eligible any more: link/),
	amount => one('credited in part meanwhile', state => 'held', reason => qr/store wants 69\.84 USD, Odoo settled 59\.84/),
	refunded => one('refunded at the store meanwhile', state => 'not_ours', reason => qr/refunded/),
	gone => one('deleted at the store meanwhile', state => 'refused', reason => qr/does not exist/),
	captured => one('captured by somebody meanwhile', captures => 0));
$shop->remote_order(7777, 69.84);
pause();
$shop->pay_all(values %changed);
$shop->wait_for_state($_->{order}, 'queued') for values %changed;
unpay($changed{unpaid});
$shop->odoo(<<"SQL");
DELETE FROM sale_order_line_invoice_rel WHERE order_line_id IN (SELECT id FROM sale_order_line WHERE order_id = $changed{deleted}{order});
DELETE FROM sale_order_line WHERE order_id = $changed{deleted}{order};
DELETE FROM sale_order WHERE id = $changed{deleted}{order};
UPDATE sale_order SET state = 'cancel' WHERE id = $changed{cancelled}{order};
UPDATE sale_order SET bcpaid_remote_order_id = '7777' WHERE id = $changed{relinked}{order};
SELECT fixture.order(69.84, '0$changed{duplicated}{number}');
SELECT fixture.apply_credit(fixture.invoice(fixture.order(100)), fixture.credit($changed{amount}{invoice}, 10));
SQL
$shop->control('PATCH', "stores/demo/orders/$changed{refunded}{number}", { payment_status => 'refunded' });
$shop->control('PATCH', "stores/demo/orders/$changed{captured}{number}", { payment_status => 'captured' });
$shop->control('DELETE', "stores/demo/orders/$changed{gone}{number}");
resume();
my ($relinked) = delete $changed{relinked};
$shop->come_to_their_end(values %changed);
# Either the trigger's note or the claim sees it first.
for ([ $relinked->{number}, qr/^cancelled: .*(link to the store was changed|linked to another remote order)/, 0 ], [ 7777, qr/^applied: $/, 1 ])
{
	my ($number, $end, $captures) = @$_;
	my $seen = sub { $shop->sql("SELECT state || ': ' || coalesce(reason, '') FROM bcpaid.captures WHERE remote_order_id = $number") };
	$shop->wait_until("linked to another remote order meanwhile: $number is $end", sub { $seen->() =~ $end }, $seen);
	is($shop->captures($number), $captures, "linked to another meanwhile: $captures captures of $number");
}
is(requests($_, 'POST'), 0, "$_->{name}: no write") for grep { ($_->{state} || '') ne '' } values %changed;

# What waits goes on when the order is eligible again.
$shop->pay_all($changed{unpaid});
$shop->odoo("UPDATE sale_order SET state = 'sale' WHERE id = $changed{cancelled}{order}; UPDATE sale_order SET state = 'cancel' WHERE bcpaid_remote_order_id = '0$changed{duplicated}{number}'");
ends($changed{$_}, name => "$changed{$_}{name}; eligible again: sent", state => 'applied') for qw(unpaid cancelled);

# ---- a payment taken back after the capture ----

my $back = paid('taken back later');
ends($back);
unpay($back);
$shop->wait_until('taken back is noted', sub { $shop->sql("SELECT taken_back_at IS NOT NULL FROM bcpaid.captures WHERE order_id = $back->{order}") eq 't' });
is($shop->sql("SELECT reason FROM bcpaid.history WHERE capture_id = " . capture_of($back) . ' ORDER BY at DESC LIMIT 1'),
	'the payment was taken back after the capture', 'and stands in the history');
$shop->pay_all($back);
$shop->wait_until('and there again', sub { $shop->sql("SELECT taken_back_at IS NULL FROM bcpaid.captures WHERE order_id = $back->{order}") eq 't' });
is($shop->captures($back->{number}), 1, 'paid again, not captured again');

# What is ordered, invoiced and credited later says nothing about that payment, until all of it is given back.
my $grown = paid('changed after the capture');
ends($grown);
my $more;
for my $step (
	[ 'a line was added', sub { "UPDATE sale_order SET invoice_status = 'to invoice' WHERE id = $grown->{order}" }, 'f' ],
	[ 'a draft was made', sub { $more = $shop->odoo("SELECT fixture.invoice($grown->{order}, 20, 'draft')"); "UPDATE account_move SET amount_residual = 20.0 WHERE id = $more" }, 'f' ],
	[ 'the draft was posted', sub { "UPDATE account_move SET state = 'posted' WHERE id = $more" }, 'f' ],
	[ 'that was paid, too', sub { "SELECT fixture.pay($more)" }, 'f' ],
	[ 'a part was given back', sub { "SELECT fixture.pay(fixture.credit($grown->{invoice}, 50))" }, 'f' ],
	[ 'the order was cancelled', sub { "UPDATE sale_order SET state = 'cancel', invoice_status = 'no' WHERE id = $grown->{order}" }, 'f' ],
	[ 'the rest was given back', sub { "SELECT fixture.pay(fixture.credit($grown->{invoice}, 70))" }, 't' ])
{
	my ($name, $change, $flagged) = @$step;
	$shop->odoo($change->());
	$shop->wait_until("$name: judged", sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });
	is($shop->sql("SELECT taken_back_at IS NOT NULL FROM bcpaid.captures WHERE order_id = $grown->{order}"), $flagged, "$name after the capture: taken back?");
}

# ---- held, refused, cancelled: what a person does ----

my @held = map { { name => "held, then $_", remote => { store_credit_amount => '1.0000' }, state => 'held', act => $_ } } qw(approve cancel retry settle_by_hand);
$shop->place(@held);
$shop->pay_all(@held);
$shop->come_to_their_end(@held);
my ($approve, $cancel, $retry, $settle) = @held;

$shop->odoo('SELECT bcpaid.approve(' . capture_of($approve) . ')');
ends($approve, name => 'approved: sent', state => 'applied');
like($shop->sql('SELECT detail FROM bcpaid.attempts WHERE capture_id = ' . capture_of($approve) . q{ AND outcome = 'go'}),
	qr/^approved although store credit/, 'what the approval overrode is kept');
is($shop->sql('SELECT by FROM bcpaid.history WHERE capture_id = ' . capture_of($approve) . q{ AND reason = 'approved'}), 'odoo', 'and who approved');

$shop->odoo('SELECT bcpaid.cancel(' . capture_of($cancel) . ')');
unpay($cancel);
$shop->pay_all($cancel);
quiet();
$shop->odoo('SELECT bcpaid.sweep()');
ends($cancel, name => 'cancelled: no trigger and no sweep revives it', state => 'cancelled', reason => qr/cancelled by hand/);
$shop->odoo("SELECT bcpaid_mark($cancel->{order})");
ends($cancel, name => 'only a person does, and it is held again', state => 'held');

$shop->odoo('SELECT bcpaid.retry(' . capture_of($retry) . ')');
ends($retry, name => 'retried: held for the same reason', state => 'held', reason => qr/store credit/);
$shop->control('PATCH', "stores/demo/orders/$retry->{number}", { store_credit_amount => '0.0000' });
$shop->odoo('SELECT bcpaid.retry(' . capture_of($retry) . ')');
ends($retry, name => 'retried when it was put right: sent', state => 'applied');

$shop->odoo('SELECT bcpaid.settle_by_hand(' . capture_of($settle) . q{, 'Ann did it in the control panel')});
ends($settle, name => 'settled by hand: nothing is sent, Odoo follows', state => 'applied', captures => 0, reason => qr/^Ann did it/);
is($shop->sql('SELECT captured_by FROM bcpaid.captures WHERE id = ' . capture_of($settle)), 'hand', 'and by whom is said');

# An approval lets pass doubts, never a capture that was seen.
my $seen = paid('approved, but captured meanwhile', remote => { store_credit_amount => '1.0000' }, state => 'held');
ends($seen);
$shop->control('POST', "stores/demo/orders/$seen->{number}/transactions", { gateway => 'cod' });
$shop->odoo('SELECT bcpaid.approve(' . capture_of($seen) . ')');
ends($seen, state => 'applied', captures => 0, reason => qr/somebody else/);

# ---- not in sending, not in unknown ----

my $sending = one('sending');
my $hang = $shop->fault(match => { order => $sending->{number}, method => 'POST' }, do => 'hang', then => 'answer', taken => JSON::PP::true);
$shop->configure("bcpaid.request_timeout = '20s'");
$shop->pay_all($sending);
$shop->wait_for_state($sending->{order}, 'sending');
my $id = capture_of($sending);
refuses("$_ while it is sending", "SELECT bcpaid.$_;", '55000', qr/cannot \w+ capture $id.*It is sending/s)
  for "cancel($id)", "approve($id)", "retry($id)", "settle_by_hand($id, 'x')";
$shop->control('POST', 'release', { fault => $hang });
ends($sending);
refuses("$_ when it is applied", "SELECT bcpaid.$_;", '55000', qr/cannot \w+ capture $id.*It is applied/s)
  for "cancel($id)", "approve($id)", "retry($id)", "settle_by_hand($id, 'x')";
refuses("$_ of none", "SELECT bcpaid.$_;", '42704', qr/there is no (capture|store)/)
  for 'cancel(999)', 'approve(999)', 'retry(999)', "settle_by_hand(999, 'x')", 'pause(99)', 'resume(99)', 'retry_store(99)', 'pause(NULL)', 'cancel(NULL)';
refuses('settle_by_hand without a reason', "SELECT bcpaid.settle_by_hand($id, ' ');", '22023', qr/a reason is needed/);
$shop->configure("bcpaid.request_timeout = '1s'");

my $unknown = one('unknown', state => 'unknown');
$shop->fault(match => { order => $unknown->{number} }, after => 2, times => 'forever', do => 'drop');
$shop->pay_all($unknown);
$shop->wait_for_state($unknown->{order}, 'unknown');
$id = capture_of($unknown);
refuses("$_ while it is unknown", "SELECT bcpaid.$_;", '55000', qr/cannot \w+ capture $id.*It is unknown/s) for "cancel($id)", "approve($id)", "retry($id)";
$shop->odoo("SELECT bcpaid.settle_by_hand($id, 'not there, I looked')");
ends($unknown, name => 'a person may settle what is unknown', state => 'applied', captures => 0);
$shop->control('DELETE', 'faults');
resume();

# ---- wait ----

pause();
my $wait = paid('waited for', state => 'queued');
ends($wait);
$id = capture_of($wait);
refuses('wait, in vain', "CALL bcpaid.wait($id, '50 milliseconds');", '57014', qr/capture $id is still queued/);
refuses('wait for none', "CALL bcpaid.wait(999, '1 second');", '42704', qr/there is no capture 999/);
my $marked = one('marked');
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => false)');
$shop->pay_all($marked);
quiet();
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => true)');
refuses('wait in the transaction that marked', "BEGIN; SELECT bcpaid_mark($marked->{order}) AS c \\gset\nCALL bcpaid.wait(:c, '1 second'); COMMIT;", '55000', qr/cannot wait .*transaction that marked/);
resume();
is($shop->odoo("CALL bcpaid.wait($id, '20 seconds')"), 'applied', 'wait returns the state');
is($shop->odoo("SELECT bcpaid_mark($marked->{order}) AS c \\gset\nCALL bcpaid.wait(:c, '20 seconds');"), 'applied', 'mark, commit, wait');

# ---- sweep and backfill ----

$shop->odoo('ALTER TABLE sale_order DISABLE TRIGGER USER; ALTER TABLE account_move DISABLE TRIGGER USER; ALTER TABLE account_payment DISABLE TRIGGER USER;'
	. ' ALTER TABLE account_partial_reconcile DISABLE TRIGGER USER; ALTER TABLE sale_order_line DISABLE TRIGGER USER; ALTER TABLE account_move__account_payment DISABLE TRIGGER USER; ALTER TABLE sale_order_line_invoice_rel DISABLE TRIGGER USER');
my $missed = paid('missed by the triggers, swept up');
is($shop->state_of($missed->{order}), '', 'without triggers nothing is noted');
is($shop->odoo('SELECT bcpaid.sweep()'), '1', 'the sweep finds it');
ends($missed);
is($shop->odoo('SELECT bcpaid.sweep()'), '0', 'and nothing twice');
my @old = map { one("from before the switch-on, $_") } 1 .. 2;
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => false)');
$shop->pay_all(@old);
$shop->odoo('SELECT bcpaid.set_store(1, mark_order_as_paid => true)');
is($shop->odoo('SELECT bcpaid.sweep()'), '0', 'the sweep leaves orders from before the switch-on');
my $listed = join "\n", map { "$_->{order}|1|$_->{number}|69.84|USD" } @old;
is($shop->odoo(q{SELECT order_id, store_id, remote_order_id, amount, currency FROM bcpaid.backfill('2000-01-01')}), $listed, 'backfill lists them');
is($shop->state_of($old[0]{order}), '', 'and does nothing in a dry run');
is($shop->odoo(q{SELECT count(*) FROM bcpaid.backfill('2100-01-01', false)}), '0', 'none since a later date');
is($shop->odoo(q{SELECT count(capture) FROM bcpaid.backfill('2000-01-01', dry_run => false)}), '2', 'for real, it enqueues them');
ends($_) for @old;
is($shop->sql("SELECT string_agg(DISTINCT origin || ' ' || requested_by, ', ') FROM bcpaid.captures WHERE order_id IN ($old[0]{order}, $old[1]{order})"), 'backfill odoo', 'and says for whom');
refuses('backfill since nothing', 'SELECT * FROM bcpaid.backfill(NULL);', '22004', qr/since when/);
$shop->odoo('SELECT bcpaid.attach()');

# ---- switches of the server ----

$shop->configure("bcpaid.dry_run = 'on'");
my $dry = paid('dry run: looked at, never written', state => 'waiting', reason => qr/dry_run is on: would be captured/);
ends($dry);
is(requests($dry, 'POST'), 0, 'no write in a dry run');
$shop->configure("bcpaid.dry_run = 'off'");
$shop->odoo('SELECT bcpaid.retry_store(1)');
ends($dry, name => 'dry run over, retried: sent', state => 'applied');

$shop->configure("bcpaid.enabled = 'off'");
my $off = paid('enabled off: noted and judged', state => 'queued');
ends($off);
is(requests($off), 0, 'and nothing is asked');
$shop->configure("bcpaid.enabled = 'on'");
ends($off, name => 'enabled by a reload: sent', state => 'applied');

# ---- an order decided in Odoo costs no request ----

my $before = $shop->control('GET', 'requests')->{last};
my $done = one('captured in Odoo already');
$shop->odoo("UPDATE sale_order SET bcpaid_payment_status = 'Captured' WHERE id = $done->{order}");
my $unlinked = one('without a remote order');
$shop->odoo("UPDATE sale_order SET bcpaid_remote_order_id = NULL WHERE id = $unlinked->{order}");
$shop->pay_all($done, $unlinked);
quiet();
$shop->wait_until_quiet;
is($shop->control('GET', 'requests')->{last}, $before, 'orders decided in Odoo cost no request');

$shop->store_is_content;
$shop->stop;
done_testing();
