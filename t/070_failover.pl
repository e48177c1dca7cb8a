# Goal: a standby that takes over captures each order once: it is silent
# before, confirmed by itself, and knows that a lost intent may be on its way.
#
# A chain of servers: first -> second -> third -> fourth.  Each dies without a
# word and the next is promoted, after it lost the end of the ledger (second,
# third) or as a synchronous standby under load (fourth).

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Bcpaid::Standby;
use Test::More;

# Seconds; a server that is to die gives its requests all the time they need.
use constant { REQUEST => 4, SETTLE => 1 };
use constant SILENCE => REQUEST + SETTLE;
my $true = JSON::PP::true;

my $shop = Bcpaid::Shop->new('first', conf => <<"CONF");
bcpaid.request_timeout = '4s'
bcpaid.settle_time = '1s'
bcpaid.idle_timeout = '60s'
bcpaid.max_attempts = 1000
wal_receiver_status_interval = '1s'
wal_retrieve_retry_interval = '100ms'
hot_standby_feedback = on
log_min_messages = debug1
CONF
my $first = $shop->{node};

# --- A standby sends nothing, whatever is due ---

set($first, 'bcpaid.enabled', 'off');
my @due = map { { name => "due on a standby $_" } } 1 .. 3;
$shop->place(@due);
$shop->pay_all(@due);
waits_for(@due, 'queued');

# As a switchover leaves it: the data of a server that was shut down cleanly.
$first->stop('fast');
$first->backup_fs_cold('cold');
$first->start;
my $second = standby('second', $first, 'cold');
$second->backup('cascade');
my $third = standby('third', $second, 'cascade');
$third->restart;

for my $round (1 .. 3)
{
	$shop->odoo("UPDATE sale_order SET write_date = now()");
	$first->wait_for_catchup($second, 'replay', $first->lsn('write'));
	$second->wait_for_catchup($third, 'replay', $second->lsn('replay'));
	for my $standby ($second, $third)
	{
		my $name = $standby->name . ", round $round";
		$standby->reload;
		is(on($standby, "SELECT count(*) FROM bcpaid.captures WHERE state = 'queued' AND due < now()"), '3', "$name: work is due");
		is(on($standby, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'bcpaid%'"), '0', "$name: no process of ours");
	}
}
is($shop->control('GET', 'requests')->{count}, 0, 'no standby asked the store anything');
# Whoever starts and ends without a word is seen by these alone, at debug1.
my $started = qr/DEBUG:  starting background worker process "bcpaid|DEBUG:  background worker "bcpaid[^"]*" \(PID \d+\) exited/;
like($shop->log_since(0), $started, 'the log says who is started');
unlike(PostgreSQL::Test::Utils::slurp_file($_->logfile), $started, $_->name . ': none was ever started') for $second, $third;

# What people look at answers there, what would write says that it cannot.
my $order = $due[0]{order};
for my $call (
	[ "SELECT bcpaid_can_mark($order)", qr/^f$/ ], [ "SELECT count(*) FROM bcpaid_why_not($order)", qr/^[1-9]/ ],
	[ 'SELECT environment_confirmed, worker_runs, due FROM bcpaid.status', qr/^t\|f\|3$/ ],
	[ q{SELECT ok, detail FROM bcpaid.doctor() WHERE "check" = 'launcher'}, qr/^f\|this is a standby: it sends after its promotion$/ ],
	[ q{SELECT string_agg("check", ' ') FROM bcpaid.doctor() WHERE NOT ok}, qr/^launcher instance file$/ ],
	[ 'SELECT bcpaid.retry_store(1)', qr/ERROR:  cannot execute \w+ in a read-only transaction/ ],
	[ 'SELECT bcpaid.confirm_environment()', qr/ERROR:  cannot execute \w+ in a read-only transaction/ ])
{
	my ($code, $out, $messages) = $second->psql('odoo', $call->[0], extra_params => [ '-U', 'odoo' ]);
	like($out . $messages, $call->[1], "on a standby: $call->[0]");
}
set($first, 'bcpaid.enabled', 'on');
$shop->come_to_their_end(@due);

# --- The end of the ledger is lost ---

lost_tail($first, $second);
lost_tail($second, $third, restart => 1);

# --- Nothing is lost, everything goes on at once ---

$third->backup('synchronous');
under_load($third, standby('fourth', $third, 'synchronous'));

$shop->store_is_content;
$shop->stop;
done_testing();

# Waits for the state (the last argument) of cases.
sub waits_for { my $state = pop; $shop->wait_for_state($_->{order}, $state, because => $_->{name}) for @_; return }
# A store for each case: what hangs at one of them keeps no other waiting.
sub give_stores
{
	my (@cases) = @_;
	my $prefix = $shop->{node}->name;

	$_->{hash} = $prefix . ++$shop->{stores} for @cases;
	$shop->control('PUT', "stores/$_->{hash}", { token => "$_->{hash}-token", plan => 'unlimited' }) for @cases;
	my @ids = split /\n/, $shop->odoo(join "\n", 'SET client_min_messages = error;',
		map { "SELECT bcpaid.set_store(name => '$_->{hash}', hash => '$_->{hash}', mark_order_as_paid => true);" } @cases);
	$_->{store} = [ shift @ids, $_->{hash} ] for @cases;
	$shop->odoo("COPY bcpaid.token_inbox FROM STDIN;\n" . join('', map { "$_->{store}[0]\t$_->{hash}-token\n" } @cases) . "\\.\n");
	return;
}

# What becomes of the write (a fault), and how often the new server writes.
sub cases_of_a_tail
{
	return (
		{ name => 'its request lands in the silence', post => { do => 'late' }, again => 0 },
		{ name => 'its request never lands', post => { do => 'drop' }, again => 1 },
		{ name => 'its answer was lost', post => { do => 'drop', taken => $true }, again => 0 },
		{ name => 'it was applied', again => 0 },
		{ name => 'it was still looked at', again => 1 },
		{ name => 'its payment is lost too', again => 0, late => 1 },
		{ name => 'it is paid in the silence', again => 1, late => 1 });
}

# The standby knows of each payment and claim, and of nothing that came then.
sub lost_tail
{
	my ($old, $new, %how) = @_;
	my @cases = cases_of_a_tail();
	my ($lands, $never, $answered, $applied, $looked, $unpaid, $paid) = @cases;
	my @early = grep { !$_->{late} } @cases;

	note($new->name . ' takes over, without the end of the ledger');
	set($old, 'bcpaid.request_timeout', '60s');
	give_stores(@cases);
	$shop->place(@cases);
	for (@early)
	{
		$_->{look} = $shop->fault(match => { call => 'transactions_get', order => $_->{number} }, do => 'hang', then => 'answer', taken => $true);
		$_->{fault} = $shop->fault(match => { method => 'POST', order => $_->{number} }, %{ $_->{post} }) if $_->{post};
	}
	my $since = $shop->control('GET', 'requests')->{last};
	$shop->pay_all(@early);
	$shop->control('POST', 'wait', { timeout_ms => 60000, requests => { after => $since, count => scalar @early, match => { call => 'transactions_get' } } });
	$old->safe_psql('postgres', "SELECT pg_logical_emit_message(true, '', '')");    # claims do not wait for the disk; this does, and for what was before
	$old->wait_for_catchup($new, 'replay', $old->lsn('write'));
	cut_off($shop, $old, $new);

	$shop->control('POST', 'release', { fault => $_->{look} }) for $lands, $never, $answered, $applied;
	waits_for($lands, $never, 'unknown');
	waits_for($answered, 'unknown|captured|applied');
	$shop->pay_all($unpaid);
	waits_for($applied, $unpaid, 'applied');
	is(join(' ', map { on($new, "SELECT coalesce(max(state), 'none') FROM bcpaid.capture WHERE order_id = $_->{order}") } @cases),
		'claimed claimed claimed claimed claimed none none', 'the standby has no intent');

	($since, my $begun) = take_over($shop, $old, $new);
	if ($how{restart})
	{
		waits_for($lands, 'waiting');
		$new->restart;
		$begun = launched_at($shop, $new);
	}
	$shop->pay_all($paid);
	waits_for($lands, $paid, 'waiting');
	like($shop->reason_of($lands->{order}), qr/not shut down cleanly/, 'its look found nothing, its write waits');
	$shop->control('POST', 'release', { fault => $lands->{fault} });

	$shop->come_to_their_end(grep { $_ != $unpaid } @cases);
	is($shop->state_of($unpaid->{order}), '', 'nobody knows of the payment that is lost');
	$shop->pay_all($unpaid);
	$shop->come_to_their_end($unpaid);
	my %again;
	$again{ $_->{order} }++ for posts($shop, $since);
	is($again{ $_->{number} } || 0, $_->{again}, "$_->{name}: writes of the new server") for @cases;
	comes_after($shop, $since, $begun, SILENCE);
	ok(!-e $new->data_dir . '/bcpaid.silence', 'the silence is over');
	return;
}

# Captures in every state, and requests that hang.
sub cases_under_load
{
	return (
		{ name => 'hangs, not taken', post => { do => 'hang' }, at => 'sending' },
		{ name => 'hangs, taken', post => { do => 'hang', taken => $true }, at => 'sending' },
		{ name => 'lands later', post => { do => 'late' }, read => { do => 'hang', after => 2 }, at => 'unknown' },
		{ name => 'outcome not known, not taken', post => { do => 'answer', status => 500 }, read => { do => 'hang', after => 2 }, at => 'unknown' },
		{ name => 'outcome not known, taken', post => { do => 'answer', status => 500, taken => $true }, read => { do => 'hang', after => 2 }, at => 'unknown' },
		{ name => 'looked at', read => { do => 'hang' }, at => 'claimed' },
		{ name => 'captured, Odoo edits the order', at => 'captured', lock => 1 },
		{ name => 'applied', at => 'applied' },
		{ name => 'the store is paused', at => 'queued', pause => 1 },
		{ name => 'waiting at the store', remote => { payment_status => 'capture pending' }, at => 'waiting', state => 'waiting', reason => qr/capture is pending/ },
		{ name => 'held', remote => { total_inc_tax => '1.0000' }, at => 'held', state => 'held' },
		{ name => 'not ours', remote => { payment_status => 'refunded' }, at => 'not_ours', state => 'not_ours' },
		{ name => 'refused', nowhere => 1, at => 'refused', state => 'refused' },
		{ name => 'cancelled', remote => { total_inc_tax => '1.0000' }, at => 'held', state => 'cancelled', call => 'cancel' });
}

# Each payment that a client saw committed is there, and captured once.
sub under_load
{
	my ($old, $new) = @_;
	my @cases = cases_under_load();
	my @stream = map { { name => "load $_" } } 1 .. 60;

	note($new->name . ' takes over, a synchronous standby under load');
	set($old, 'bcpaid.request_timeout', '60s');
	set($old, 'synchronous_standby_names', '*');
	$shop->wait_until('it is synchronous', sub { $old->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'}) eq '1' });
	give_stores(@cases, $stream[0]);
	$_->{store} = $stream[0]{store} for @stream;
	$shop->place(@cases, @stream);
	my $editor = $old->background_psql('odoo', extra_params => [ '-U', 'odoo' ]);
	into_their_states($editor, @cases);

	my @payers = map { payer($shop, [ @stream[ $_ * 30 .. $_ * 30 + 29 ] ], to_the_end => 0) } 0 .. 1;
	$shop->control('POST', 'wait', { timeout_ms => 60000, captures => { store => $stream[0]{hash}, count => 12 } });
	$shop->control('DELETE', 'faults');
	my ($since, $begun) = take_over($shop, $old, $new);
	$shop->control('POST', 'release', {});
	eval { $editor->quit };

	my %seen = map { $_ => 1 } map { committed($_) } @payers;
	cmp_ok(keys %seen, '<', @stream, 'it died in the middle of the payments');
	my %unpaid = map { $_ => 1 } split /\n/, $shop->sql(q{SELECT id FROM account_move WHERE payment_state = 'not_paid'});
	my @unpaid = grep { $unpaid{ $_->{invoice} } } @stream;
	is(join(' ', map { $_->{name} } grep { $seen{ $_->{order} } } @unpaid), '', scalar(keys %seen) . ' payments were seen to commit, each is there');

	$shop->odoo("SELECT bcpaid.resume($_->{store}[0])") for grep { $_->{pause} } @cases;
	$shop->pay_all(@unpaid);
	$shop->come_to_their_end(@cases, @stream);
	comes_after($shop, $since, $begun, SILENCE);
	return;
}

sub into_their_states
{
	my ($editor, @cases) = @_;

	for my $case (@cases)
	{
		$shop->fault(match => { method => 'POST', order => $case->{number} }, %{ $case->{post} }) if $case->{post};
		$shop->fault(match => { method => 'GET', order => $case->{number} }, %{ $case->{read} }) if $case->{read};
		$editor->query_safe("BEGIN; UPDATE sale_order SET write_date = now() WHERE id = $case->{order}") if $case->{lock};
	}
	$shop->odoo("SELECT bcpaid.pause($_->{store}[0])") for grep { $_->{pause} } @cases;
	$shop->pay_all(@cases);
	waits_for($_, $_->{at}) for @cases;
	$shop->odoo("SELECT bcpaid.$_->{call}(id) FROM bcpaid.captures WHERE order_id = $_->{order}") for grep { $_->{call} } @cases;
	return;
}
