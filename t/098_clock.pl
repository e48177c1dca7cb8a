# Goal: a system clock that jumps neither lets a second write out early nor keeps anything waiting.
#
# The server's clock is one that the test sets: preload_clock.c.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils qw(system_or_bail);
use Test::More;
use Time::HiRes qw(time);

my $hour = 3600;
my $request_timeout = 2;
my $settle_time = 3;
my $shop = Bcpaid::Shop->new('clock', conf => <<"CONF");
bcpaid.request_timeout = '${request_timeout}s'
bcpaid.settle_time = '${settle_time}s'
bcpaid.retry_base = '100ms'
bcpaid.retry_cap = '4s'
CONF
my $node = $shop->{node};
my $directory = PostgreSQL::Test::Utils::tempdir;
my $file = "$directory/clock";
open(my $clock, '+>', $file) or die "could not create $file: $!";

sub set_clock
{
	my ($ahead) = @_;
	syswrite($clock, pack('q', $ahead)) == 8 && sysseek($clock, 0, 0) or die "could not set the clock: $!";
	return;
}

sub start_with_our_clock
{
	local $ENV{LD_PRELOAD} = join ':', grep { defined } $ENV{LD_PRELOAD}, "$directory/clock.so";
	local $ENV{TEST_CLOCK} = $file;
	return $node->start;
}

# Seconds until the order has come to its end.
sub seconds_until
{
	my ($order, $state, $since, $because) = @_;
	$shop->wait_for_state($order, $state, because => $because);
	return time - $since;
}

sub worker_has_left
{
	$shop->wait_until('the worker has left', sub {
		$shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
	return;
}

system_or_bail('gcc', '-shared', '-fPIC', '-O2', '-o', "$directory/clock.so", 't/preload_clock.c');
set_clock($hour);
$node->stop;
start_with_our_clock();
cmp_ok(abs($shop->sql('SELECT extract(epoch FROM clock_timestamp())') - time - $hour), '<', 60, 'the server\'s clock is ahead');

# ---- set back: what waits does not wait an hour longer ----

# While the worker sleeps until something is due, and while there is none.
for my $idle ('1min', '0ms')
{
	my $number = $idle eq '0ms' ? 501 : 502;
	my $log = $shop->log_size;
	set_clock($hour);
	$node->append_conf('postgresql.conf', "bcpaid.idle_timeout = '$idle'\nbcpaid.retry_base = '4s'");
	$node->reload;

	$shop->fault(do => 'answer', status => 503, times => 'forever', match => { order => $number });
	my $waiting = $shop->paid_order(10, $number);
	$shop->wait_for_state($waiting, 'waiting', because => "the store is down, idle_timeout $idle");
	worker_has_left() if $idle eq '0ms';
	set_clock(0);
	my $since = time;
	$shop->control('DELETE', 'faults');
	cmp_ok(seconds_until($waiting, 'applied', $since, 'clock set back'), '<', 30, "set back by an hour, idle_timeout $idle: goes on when it should");
	is($shop->captures($number), 1, 'captured once');
	like($shop->log_since($log), qr/the system's clock was set back: bcpaid goes on at once with \d+ captures/, 'and says so') if $idle ne '0ms';
}

# No capture waits that could tell: the last one used up our share of the store's quota.
my $few = $shop->another_store('few', '', quota => { limit => 5, window_ms => 5000 });
my @spent = map { { name => $_, store => $few } } 'uses up the share', 'comes after the clock was set back';
$shop->sql('UPDATE bcpaid.store SET read_back = true');
$shop->place(@spent);
set_clock($hour);
$shop->pay_all($spent[0]);
$shop->wait_for_state($spent[0]{order}, 'applied');
is($shop->sql("SELECT retry_at IS NOT NULL FROM bcpaid.store WHERE id = $few->[0]"), 't', 'the store is asked no more for a while');
set_clock(0);
my $since = time;
$shop->pay_all($spent[1]);
cmp_ok(seconds_until($spent[1]{order}, 'applied', $since, 'share used up, clock set back'), '<', 30, 'a share used up in the future delays nothing now');

# A write whose answer was lost, made in what is now the future.
$node->append_conf('postgresql.conf', "bcpaid.retry_base = '100ms'");
$node->reload;
set_clock($hour);
$shop->fault(do => 'drop', match => { order => 503, method => 'POST' });
my $lost = $shop->paid_order(10, 503);
$shop->wait_for_state($lost, 'unknown');
set_clock(0);
$since = time;
my $took = seconds_until($lost, 'applied', $since, 'sent in the future');
cmp_ok($took, '<', 40, 'a write from the future is looked for from now on');
cmp_ok($took, '>', $request_timeout + $settle_time, 'and not earlier');
is($shop->captures(503), 1, 'it was sent again, once');

# Far back, as a machine whose clock has no battery: more milliseconds than an
# int holds.  Once between two reads, once in the middle of one.
for my $number (504, 505)
{
	set_clock(90 * 24 * $hour);
	$shop->fault(do => 'drop', match => { order => $number, method => 'POST' });
	my $hang = $number == 505 && $shop->fault(do => 'hang', then => 'answer', seconds => 1, after => 2, match => { order => $number, method => 'GET' });
	$lost = $shop->paid_order(10, $number);
	$shop->wait_for_state($lost, 'unknown');
	$shop->wait_until('a read is under way', sub { grep { $_->{id} == $hang && $_->{used} } @{ $shop->control('GET', 'faults') } }) if $hang;
	set_clock(0);
	cmp_ok(seconds_until($lost, 'applied', time, 'sent in the far future'), '<', 50, 'set back by 90 days' . ($hang ? ' during a read' : ''));
	is($shop->captures($number), 1, 'sent again, once');
}

# Set back between two reads that find nothing, by less than the first one was late: they are not settle_time apart.
$shop->fault(do => 'drop', match => { order => 510, method => 'POST' });
$lost = $shop->paid_order(10, 510);
$shop->wait_for_state($lost, 'unknown');
$shop->sql('SELECT bcpaid.pause(1)');
$since = time;
$shop->wait_until('a read is late', sub { time > $since + $request_timeout + $settle_time + 3 });
$shop->sql('SELECT bcpaid.resume(1)');
$shop->wait_until('one read found nothing', sub { $shop->sql("SELECT absent_reads FROM bcpaid.capture WHERE order_id = $lost") eq '1' });
set_clock(-2);
$since = time;
$shop->sql('SELECT bcpaid.wake()');
$shop->wait_for_state($lost, 'applied');
my (undef, $again) = map { $_->{at} } @{ $shop->control('GET', 'requests?order=510&method=POST')->{requests} };
cmp_ok($again - $since, '>', $settle_time, 'set back between two reads: the second write comes after two that agree, settle_time apart');
is($shop->captures(510), 1, 'sent again, once');

# ---- set forward: a write that is still on its way is not sent again ----

# Taken by the store so late that reads which count too early would both miss it.
$shop->fault(do => 'late', seconds => $request_timeout + $settle_time - 0.5, match => { order => 508, method => 'POST' });
my $late = $shop->paid_order(10, 508);
$shop->wait_for_state($late, 'unknown');
my ($begin) = map { $_->{at} } @{ $shop->control('GET', 'requests?order=508&method=POST')->{requests} };
my $sent = time;
set_clock($hour);
$shop->wait_for_state($late, 'applied');
cmp_ok($sent - $begin, '<', $request_timeout, 'the clock was set while the write was on its way');
is($shop->captures(508), 1, 'set forward by an hour: the capture that came late is the only one');
like($shop->sql("SELECT string_agg(detail, ' ') FROM bcpaid.attempt JOIN bcpaid.capture c ON c.id = capture_id WHERE order_id = $late"), qr/our capture is there/, 'a read found it');

# Nor if it is set while the server is shut down.
$late = $shop->fault(do => 'late', seconds => $request_timeout + 2 * $settle_time - 0.7, match => { order => 509, method => 'POST' });
my $over = $shop->paid_order(10, 509);
$shop->wait_until('the write is under way', sub { grep { $_->{id} == $late && $_->{used} } @{ $shop->control('GET', 'faults') } });
$node->stop;
set_clock(2 * $hour);
start_with_our_clock();
$shop->wait_for_state($over, 'applied');
is($shop->sql("SELECT sends FROM bcpaid.capture WHERE order_id = $over"), 1, 'set forward during a clean restart: not sent again');

# The silence after a crash goes by no clock that can be set.
my ($order, $invoice) = $shop->open_order(10, 506);
set_clock(0);
$node->stop('immediate');
$begin = time;
start_with_our_clock();
set_clock($hour);
$shop->pay($invoice);
cmp_ok(seconds_until($order, 'applied', $begin, 'silence'), '>', $request_timeout + $settle_time - 1, 'a clock set forward does not end the silence after a crash');
set_clock(0);
my $next = $shop->paid_order(10, 507);
cmp_ok(seconds_until($next, 'applied', time, 'no silence'), '<', 30, 'and one that is set back does not prolong it');

$shop->store_is_content;
$shop->stop;
done_testing();
