# Goal: an asynchronous standby takes over while people pay, and has lost the last payments and intents: each order is
# captured once, and what the store has is recognized.
#
# Some requests of the lost intents are never taken, some land only in the silence
# of the new server.  Who finds an order open that he paid pays it again.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Bcpaid::Standby;
use Test::More;

use constant { PAYERS => 4, EACH => 24, SILENCE => 5 + 15, TAIL => 20 };
my $true = JSON::PP::true;
my $shop = Bcpaid::Shop->new('old', conf => <<'CONF');
bcpaid.request_timeout = '5s'
bcpaid.settle_time = '15s'
bcpaid.idle_timeout = '60s'
wal_retrieve_retry_interval = '100ms'
CONF
my $old = $shop->{node};
$old->backup('streaming');
my $new = standby('new', $old, 'streaming');

# What becomes of the old server's write, a store for each: one that does not answer is not asked for a while.
my %fault = (
	'lands later' => { do => 'late' },
	'answer lost' => { do => 'drop', taken => $true },
	'hangs, taken' => { do => 'hang', taken => $true },
	'hangs, not taken' => { do => 'hang' });
my %store = (well => [ 1, 'demo' ], map { $_ => $shop->another_store(tr/a-z//cdr) } keys %fault);
my @kinds = sort keys %store;
my @orders = map { my $kind = $_ % 2 ? 'well' : $kinds[ $_ / 2 % @kinds ]; { name => "order $_, $kind", kind => $kind, store => $store{$kind} } } 0 .. PAYERS * EACH - 1;
my @first = map { { name => "the first, $_", store => $store{$_} } } @kinds;

$shop->place(@first, @orders);
$shop->pay_all(@first);
$shop->come_to_their_end(@first);
my $paying = $shop->control('GET', 'requests')->{last};
set($old, 'bcpaid.request_timeout', '20s');    # what hangs does so until the end
$shop->control('PATCH', 'settings', { latency_ms => 30 });
$shop->fault(%{ $fault{$_} }, times => 'forever', match => { method => 'POST', store => $store{$_}[1] }) for keys %fault;

# --- People pay; the standby is cut off; people go on ---

make_gate($shop);
my @payers = map { my $who = $_; payer($shop, [ map { $orders[ $_ * PAYERS + $who ] } 0 .. EACH - 1 ], gate_at => EACH / 3, to_the_end => 0) } 0 .. PAYERS - 1;
$shop->control('POST', 'wait', { timeout_ms => 60000, captures => { store => 'demo', count => 12 } });
cut_off($shop, $old, $new);
open_gate($shop);

sub sent { my %sent = map { $_->{order} => 1 } posts($shop, $paying); return grep { $sent{ $_->{number} } } @orders }
sub lost { my %kept = map { $_ => 1 } split /\n/, on($new, 'SELECT remote_order_id FROM bcpaid.capture WHERE sends > 0'); return grep { !$kept{ $_->{number} } } sent() }
sub kinds_of { my %kind = map { $_->{kind} => 1 } @_; return join ', ', sort keys %kind }

sub taken { my %taken = map { $_->{order} => 1 } grep { $_->{count} } @{ $shop->control('GET', 'captures')->{orders} }; return \%taken }
sub open_on_new { my %is_open = map { $_ => 1 } split /\n/, on($new, q{SELECT id FROM account_move WHERE payment_state = 'not_paid'}); return grep { $is_open{ $_->{invoice} } } @orders }

$shop->wait_until('many intents are lost, of each kind one, and captured payments', sub {
	my @lost = lost();
	@lost >= TAIL && kinds_of(@lost) eq join(', ', @kinds) && grep { taken()->{ $_->{number} } } open_on_new() });
my ($since, $begun) = take_over($shop, $old, $new);
$shop->control('DELETE', 'faults');

my %seen = map { $_ => 1 } map { committed($_) } @payers;
my @tail = lost();
my %taken = %{ taken() };
my @recognized = grep { $taken{ $_->{number} } } @tail;
my @open = open_on_new();
is(kinds_of(@tail), join(', ', @kinds), 'the new server does not know of ' . @tail . ' writes; of ' . @recognized . ' the store knows');
cmp_ok(scalar(grep { $seen{ $_->{order} } } @open), '>', 0, 'payments are lost, too');
cmp_ok(scalar(grep { $taken{ $_->{number} } } @open), '>', 0, 'some of them were captured');
cmp_ok(scalar(grep { !$seen{ $_->{order} } } @open), '>', 0, 'others were never made');

# --- They pay again, at once; what was on its way lands after the look ---

my @late = grep { $_->{kind} eq 'lands later' } @tail;
@payers = map { my $who = $_; payer($shop, [ map { $open[$_] } grep { $_ % PAYERS == $who } 0 .. $#open ]) } 0 .. PAYERS - 1;
committed($_, without_error => 1) for @payers;
$shop->wait_for_state($_->{order}, 'waiting|applied', because => 'its look found nothing, its write waits') for @late;
is(scalar(posts($shop, $since)), 0, 'nothing was written by then');
$shop->control('POST', 'release', {});
$shop->come_to_their_end(@first, @orders);

# --- Each once ---

my %again;
$again{ $_->{order} }++ for posts($shop, $since);
is(join(' ', grep { $again{ $_->{number} } } @recognized, @late), '', scalar(@recognized + @late) . ' captures were recognized, and not sent again');
is(join(' ', grep { $again{$_} > 1 } keys %again), '', scalar(keys %again) . ' others were sent, once each');
my $numbers = join ',', map { $_->{number} } @recognized, @late;
is(on($new, "SELECT sum(sends) FROM bcpaid.captures WHERE remote_order_id IN ($numbers)"), '0', 'nor was it ever intended here');
is($shop->control('GET', 'captures')->{total}, @first + @orders, 'as many captures as orders');
comes_after($shop, $since, $begun, SILENCE);
$shop->store_is_content;
$shop->stop;
done_testing();
