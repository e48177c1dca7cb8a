# Goal: what others do at the same moment, to Odoo's rows, to a store's settings or to the worker, makes no capture stale, late, twice or forgotten.
#
# Each finding has a database of its own, so that those that must wait for
# seconds wait beside the others; it ends in what it returns, if it returns
# anything.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time);

use constant { LOOK_IS_FRESH => 5, COUNTS_AFTER => 5.2, POST_FOLLOWS => 2, NOBODY_WAITS => 15 };	# all in s

my $shop = Bcpaid::Shop->new('findings', no_database => 1, timeout => 25, conf => <<'CONF');
bcpaid.idle_timeout = '60s'
bcpaid.request_timeout = '5s'
bcpaid.max_workers = 12
max_worker_processes = 24
CONF
my $node = $shop->{node};
my @unfinished;

# One that fails stops no other.
sub run_finding
{
	my ($name, $database, $code) = @_;

	local $shop->{dbname} = $database;
	my $rest;
	eval { $rest = $code->(); 1 } or fail("$name: $@");
	return ref $rest eq 'CODE' ? $rest : undef;
}

sub finding
{
	my ($name, $database, $code) = @_;

	my $rest = run_finding($name, $database, sub { $shop->make_database($database); return $code->() });
	push @unfinished, [ $name, $database, $rest ] if $rest;
	return;
}

sub one { my ($name, %more) = @_; my $case = { name => $name, %more }; $shop->place($case); return $case }
sub ends { my ($case, %now) = @_; return $shop->come_to_their_end({ %$case, %now }) }
sub requests { my ($case, %match) = @_; return @{ $shop->control('GET', 'requests?' . join '&', "order=$case->{number}", map { "$_=$match{$_}" } sort keys %match)->{requests} } }
sub posts { my ($case) = @_; return requests($case, method => 'POST') }
sub person { my ($user) = @_; return $node->background_psql($shop->{dbname}, extra_params => [ '-U', $user || 'odoo' ], on_error_stop => 0) }
sub worker { return $shop->sql('SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = \'bcpaid worker\'') }

# How often the worker met a row or a table that somebody held.
sub refusals { my ($pid) = @_; return scalar(() = $shop->log_since(0) =~ /\[$pid\].* ERROR:  canceling statement due to lock timeout/g) }

# Nobody notes it, and a sweep is due.
sub swept
{
	my ($case) = @_;

	$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($case->{invoice})");
	$shop->sql("UPDATE bcpaid.progress SET swept_at = 'epoch'");
	return ends($case);
}

# A request that hangs until it is let go; returns its fault.
sub hang
{
	my ($case, %fault) = @_;
	my %match = (order => $case->{number}, %{ delete $fault{match} });
	return $shop->fault(match => \%match, do => 'hang', then => 'answer', %fault);
}

sub wait_for_hanging
{
	my ($fault, $times) = @_;
	$shop->wait_until('the request hangs', sub { ($times || 1) == grep { $_->{fault} == $fault } @{ $shop->control('GET', 'report')->{held} } });
	return;
}

sub let_go { my ($fault) = @_; return $shop->control('POST', 'release', { fault => $fault }) }

# Paid, and no trigger notes it; nor is there an older note of it, or a sweep.
sub wait_until_swept
{
	$shop->wait_until_quiet;
	$shop->wait_until('the first sweep is over', sub { $shop->sql('SELECT swept_at IS NOT NULL FROM bcpaid.progress') eq 't' });
	return;
}

sub pay_unnoted
{
	my ($case) = @_;
	wait_until_swept();
	$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($case->{invoice})");
	return;
}

# Paid while the store is paused: enqueued, and nobody claims it.
sub enqueue_paused
{
	my (@cases) = @_;
	$shop->odoo('SELECT bcpaid.pause(1)');
	$shop->pay_all(@cases);
	$shop->wait_for_state($_->{order}, 'queued') for @cases;
	return;
}

sub resume { return $shop->odoo('SELECT bcpaid.resume(1)') }
sub switch { my ($on) = @_; return $shop->odoo("SET client_min_messages = error; SELECT bcpaid.set_store(1, mark_order_as_paid => $on)") }

# ---- a look is fresh when its intent is committed ----

finding('a stale look', 'stale', sub {
	my $case = one('captured by hand, while the look could not be written down', captures => 0);
	my $fault = hang($case, match => { method => 'GET', path => '/transactions' });

	$shop->pay_all($case);
	wait_for_hanging($fault);
	my ($pid, $person) = (worker(), person());
	$person->query_safe("BEGIN; SELECT bcpaid.cancel(id) FROM bcpaid.captures WHERE order_id = $case->{order}");
	let_go($fault);
	$shop->wait_until('the look is over, and could not be written down', sub { refusals($pid) >= 1 });
	my ($looked_at, $asked) = (time, scalar requests($case));
	$shop->control('PATCH', "stores/demo/orders/$case->{number}", { payment_status => 'captured', status_id => 11 });

	return sub {
		$shop->wait_until('the look is old, and was refused several times', sub { time > $looked_at + LOOK_IS_FRESH && refusals($pid) >= 3 });
		$person->query_safe('ROLLBACK');
		$person->quit;
		ends($case);
		is(scalar posts($case), 0, 'a stale look leads to no write');
		cmp_ok(scalar requests($case, method => 'GET'), '>', $asked, 'but to another look');
		is($shop->sql("SELECT captured_by FROM bcpaid.captures WHERE order_id = $case->{order}"), 'somebody else', 'which finds what the merchant did');
	};
});

finding('a read that does not count', 'reads', sub {
	my $case = one('sent again after two reads that count');

	$shop->fault(match => { method => 'POST', order => $case->{number} }, do => 'drop');
	my $fault = hang($case, match => { method => 'GET', path => '/transactions' }, after => 1);	# the first is the look's
	$shop->pay_all($case);
	wait_for_hanging($fault);
	my ($pid, $person) = (worker(), person('postgres'));
	$person->query_safe("BEGIN; SELECT id FROM bcpaid.capture WHERE order_id = $case->{order} FOR UPDATE");
	let_go($fault);

	return sub {
		my $sent_at = $shop->sql("SELECT extract(epoch from sent_at) FROM bcpaid.capture WHERE order_id = $case->{order}");
		$shop->wait_until('reads count, and the first was refused', sub { time > $sent_at + COUNTS_AFTER + 0.3 && refusals($pid) >= 1 });
		$person->query_safe('COMMIT');
		$person->quit;
		ends($case);
		my (undef, $second) = posts($case);
		my @reads = map { $_->{at} } requests($case, method => 'GET', path => '/transactions');
		is(scalar posts($case), 2, 'one more write');
		cmp_ok(scalar(grep { $_ < $sent_at + COUNTS_AFTER && $_ > $sent_at } @reads), '>=', 1, 'a read was made too early to count');
		cmp_ok(scalar(grep { $_ >= $sent_at + COUNTS_AFTER && $_ < $second->{at} } @reads), '>=', 3,
			'though it was settled later, two more reads and a look came before the second write');
	};
});

# ---- a write follows its intent ----

finding('slow Odoo', 'slow', sub {
	my $first = one('slow triggers in Odoo, the first order');
	my @sent = map { one("captured while the first is applied, order $_") } 1 .. 12;
	my @looked_at = map { one("looked at by then, order $_") } 1 .. 3;
	my @faults;

	$shop->odoo(<<"SQL");
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    IF NEW.bcpaid_payment_status IS DISTINCT FROM OLD.bcpaid_payment_status THEN
        PERFORM pg_sleep(CASE NEW.id WHEN $first->{order} THEN 1.5 ELSE 0.2 END);
    END IF;
    RETURN NEW;
END \$\$;
CREATE TRIGGER slow BEFORE UPDATE ON sale_order FOR EACH ROW EXECUTE FUNCTION public.slow();
SQL
	# While the worker is busy with the first, all others come to their next step.
	for ([ POST => @sent ], [ GET => @looked_at ])
	{
		my ($method, @cases) = @$_;
		my $numbers = join '|', map { $_->{number} } @cases;
		push @faults, $shop->fault(match => { method => $method, path => "/orders/(?:$numbers)/transactions" },
			times => scalar @cases, do => 'hang', then => 'answer');
		$shop->pay_all(@cases);
		wait_for_hanging($faults[-1], scalar @cases);
	}
	$shop->pay_all($first);
	$shop->wait_until('the first is applied, slowly', sub {
		$shop->sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'") eq '1' });
	let_go($_) for @faults;

	return sub {
		my @all = ($first, @sent, @looked_at);
		$shop->come_to_their_end(@all);
		my %intent = map { split /\|/ } split /\n/, $shop->sql('SELECT remote_order_id, extract(epoch from sent_at) FROM bcpaid.capture');
		my @delays = map { my $case = $_; map { $_->{at} - $intent{ $case->{number} } } posts($case) } @all;
		is(scalar @delays, scalar @all, 'a write for each');
		cmp_ok(max(@delays), '<', POST_FOLLOWS, 'each soon after its intent');
	};
});

# ---- what waits to be eligible goes on when it is ----

finding('the switch', 'switch', sub {
	my $case = one('enqueued, switched off, switched on');
	my %waiting = (state => 'waiting', reason => qr/^not eligible any more: switch/);

	enqueue_paused($case);
	switch('false');
	resume();
	ends($case, %waiting);
	switch('true');
	ends($case);

	# By a sweep, if nobody noted it.
	my $unnoted = one('eligible again, which nobody noted');
	my $first = one('the first order with this link', status => '', state => 'waiting', reason => qr/^not eligible any more: link/);
	enqueue_paused($unnoted, $first);
	$shop->odoo("SELECT fixture.unpay(max(payment_id)) FROM account_move__account_payment WHERE invoice_id = $unnoted->{invoice}");
	$shop->odoo("UPDATE sale_order SET state = 'cancel', invoice_status = 'no' WHERE id = $first->{order}");
	resume();
	ends($unnoted, state => 'waiting', reason => qr/^not eligible any more: settled/);
	ends($first);
	pay_unnoted($unnoted);
	$shop->odoo('SELECT bcpaid.sweep()');
	ends($unnoted);

	# Cancelled in Odoo, and entered anew.
	my ($second, $invoice) = split /\|/, $shop->odoo("SELECT o, fixture.invoice(o) FROM fixture.order($first->{total}, '$first->{number}') o");
	$shop->pay($invoice);
	$shop->wait_until('the second order with this link is captured', sub { $shop->status_of($second) eq 'Captured' },
		sub { $shop->sql("SELECT order_id || ' ' || state || ' ' || coalesce(reason, '') FROM bcpaid.captures WHERE remote_order_id = $first->{number}") });
	is($shop->captures($first->{number}), 1, 'a remote order that two orders carried in turn is captured once');
	is($shop->status_of($first->{order}), '', 'and the cancelled one says nothing');
	return;
});

finding('the hash', 'hash', sub {
	my $case = one('another hash for a while');
	my $relinked = one('linked to another remote order', state => 'cancelled', captures => 0);
	my $fence = one('of another store', store => $shop->another_store('fence'));

	enqueue_paused($case, $relinked);
	$shop->odoo("SELECT bcpaid.set_store(1, hash => 'other')");
	resume();
	$shop->pay_all($fence);			# claimed together with what is due of the other
	ends($fence);
	is($shop->sql("SELECT count(*) FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id WHERE c.order_id = $case->{order} AND h.state = 'cancelled'"),
		'0', 'another hash cancels nothing');
	is(scalar requests($case), 0, 'and nothing is sent to either');

	$shop->odoo('SELECT bcpaid.pause(1)');
	$shop->odoo("SELECT bcpaid.set_store(1, hash => 'demo')");
	$shop->remote_order(8001, 69.84);
	$shop->odoo("UPDATE sale_order SET bcpaid_remote_order_id = '8001' WHERE id = $relinked->{order}");
	resume();
	ends($case);
	$shop->wait_until('the new remote order is captured', sub { $shop->captures(8001) == 1 });
	$shop->wait_until('and the old one cancelled', sub {
		$shop->sql("SELECT state FROM bcpaid.capture WHERE remote_order_id = $relinked->{number}") eq 'cancelled' });
	is($shop->captures($relinked->{number}), 0, 'and never captured');
	return;
});

# ---- what nobody announces ----

finding('a column that was renamed', 'renamed', sub {
	my $case = one('paid while a column was gone');

	$shop->odoo('ALTER TABLE res_currency RENAME COLUMN decimal_places TO places');
	my $before = $shop->sql('SELECT clock_timestamp()');
	$shop->pay_all($case);
	$shop->wait_until('the worker has nothing more to do', sub {
		$shop->sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'bcpaid worker' AND usename = 'odoo'"
			  . " AND state = 'idle' AND state_change > '$before' AND clock_timestamp() - state_change > '300ms'") eq '1' });
	is($shop->state_of($case->{order}), '', 'without the column nothing is judged');
	is($shop->sql('SELECT count(*) > 0 FROM bcpaid.candidate'), 't', 'nor forgotten');
	$shop->odoo("ALTER TABLE res_currency RENAME COLUMN places TO decimal_places; SET client_min_messages = error; SELECT bcpaid.attach()");
	ends($case);
	return;
});

finding('two-phase commit', 'prepared', sub {
	my $running = one('under way meanwhile');
	my $case = one('prepared, and committed while the worker runs');
	my $fault = hang($running, match => { method => 'GET' });

	$shop->pay_all($running);
	wait_for_hanging($fault);
	$shop->odoo("BEGIN; SELECT fixture.pay($case->{invoice}); PREPARE TRANSACTION 'prepared'");
	$shop->odoo("COMMIT PREPARED 'prepared'");
	let_go($fault);
	$shop->come_to_their_end($running, $case);
	return;
});

# ---- an open bcpaid_mark holds up its own order alone ----

finding('an open mark', 'mark', sub {
	my $marked = one('marked, not yet committed');
	my $other = one('paid meanwhile');
	my $unnoted = one('found by a sweep, while what was left is looked at again and again');
	my $person = person();

	pay_unnoted($marked);
	$person->query_safe("BEGIN; SELECT bcpaid_mark($marked->{order})");
	my $paid_at = time;
	$shop->odoo(<<"SQL");
BEGIN;
UPDATE sale_order SET invoice_status = 'to invoice' WHERE id = $marked->{order};
UPDATE sale_order SET invoice_status = 'invoiced' WHERE id = $marked->{order};
SELECT fixture.pay($other->{invoice});
COMMIT;
SQL
	{
		local $shop->{timeout} = 2 * NOBODY_WAITS;
		ends($other);
	}
	cmp_ok(time - $paid_at, '<', NOBODY_WAITS, 'an open mark holds up nobody else');
	is($shop->captures($marked->{number}), 0, 'and is not sent before its commit');
	for (1 .. 2)
	{
		my $left = $shop->sql('SELECT xmin FROM bcpaid.candidate');
		$shop->wait_until('what was left was looked at again', sub { $shop->sql('SELECT xmin FROM bcpaid.candidate') !~ /^(?:$left)?$/ });
	}
	swept($unnoted);
	$person->query_safe('COMMIT');
	$person->quit;
	ends($marked);
	return;
});

# ---- a cancel is for statements, and the worker has none that anybody waits for ----

finding('a cancelled worker', 'cancelled', sub {
	my $case = one('the worker is cancelled while it sends');
	my $fault = hang($case, match => { method => 'POST' }, taken => JSON::PP::true());

	$shop->pay_all($case);
	wait_for_hanging($fault);
	my $pid = worker();
	is($shop->odoo("SELECT pg_cancel_backend($pid)"), 't', 'Odoo may cancel the worker');
	my $next = one('after the cancel');	# judged by a worker that has seen it
	$shop->pay_all($next);
	$shop->wait_until('the worker goes on', sub { scalar requests($next) > 0 });
	is(worker(), $pid, 'which does not end it');
	let_go($fault);
	$shop->come_to_their_end($case, $next);
	is(worker(), $pid, 'nor later');
	is(scalar posts($case), 1, 'and nothing is sent twice');
	return;
});

run_finding(@$_) for @unfinished;

$shop->store_is_content;
$shop->stop;
done_testing();
