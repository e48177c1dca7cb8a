# Goal: our share of a store's quota is used and no more of it, others' apps are given way to, 429 is obeyed in every
# form, and no store is held up by another, nor what is new by what is tried again.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use List::Util qw(max min);
use POSIX qw(ceil);
use Test::More;

use constant { QUOTA => 150, RESERVE => 15, WINDOW => 30, SHORT => 8, LONG => 20, CAP => 0.5 };

# Stores of which another app uses 60 requests at once in the middle of each window, while we have a backlog: quota,
# reserve, how many are used by then, our orders.  What is under way may still come, and nothing else until an answer tells
# how little is left: three requests of each of 64 conversations, and never more than our share.  In the first store that
# leaves the reserve whole; in the second it may eat into it, and in the third it does: all of a small share is under way at once.
use constant { OTHERS => 60, UNDER_WAY => 3 * 64 };
my @amid = ([ 'amid', 450, 0.1, 90, 180 ], [ 'lateamid', 450, 0.1, 190, 200 ], [ 'smallamid', QUOTA, 0.4, 30, 45 ]);

my $shop = Bcpaid::Shop->new('quota', timeout => 120, conf => <<'CONF');
bcpaid.request_timeout = '60s'
bcpaid.idle_timeout = '100ms'
bcpaid.max_attempts = 4
CONF

my %store = map { my ($name, @more) = @$_; $name => $shop->another_store($name, @more) }
  [ 'true', '', quota => { limit => QUOTA } ],    # the figures of BigCommerce: 150 in 30 s
  [ 'short', '', quota => { limit => QUOTA, window_ms => SHORT * 1000 } ],
  (map { [ $_, '', quota => { limit => QUOTA, window_ms => LONG * 1000 } ] } qw(eaten empty late)),
  (map { my ($name, $limit, $reserve, $after) = @$_;
	[ $name, "quota_reserve => $reserve", quota => { limit => $limit, window_ms => LONG * 1000, others => { after => $after, use => OTHERS } } ] } @amid),
  [ 'pilot', '', quota => { limit => QUOTA } ],
  [ 'full', '', quota => { limit => 30, window_ms => 600_000 } ],
  [ 'bare', '', quota => { limit => QUOTA, window_ms => LONG * 1000, headers_on_429 => JSON::PP::false } ],
  (map { [ "throttle$_", '' ] } 0 .. 7), (map { [ "store$_", '' ] } 1 .. 20), [ 'poison', '' ];
$shop->sql('UPDATE bcpaid.store SET read_back = true');

sub some { my ($n, $store, %more) = @_; return map { { name => "$store $_", store => $store{$store}, %more } } 1 .. $n }
sub requests { my ($match) = @_; return @{ $shop->control('GET', "requests?$match")->{requests} } }
sub throttled { my ($store) = @_; return $shop->control('GET', "stores/$store")->{throttled} }
sub applied { my ($store) = @_; return $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = '$store' AND state = 'applied'") }
sub eat { my ($store, $n) = @_; return $shop->control('POST', "stores/$store/quota", { use => $n }) }

sub start
{
	my (@cases) = @_;
	$shop->place(@cases);
	$shop->pay_all(@cases);
	return @cases;
}

# ---- a share that is used up is known to the next worker: it asks nothing, and none comes before its time ----

sub no_worker { return $shop->wait_until('no worker runs', sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' }) }
my @full = start(some(12, 'full'));
$shop->wait_until('the share is used up', sub { applied('full') == 9 });
no_worker();
push @full, my ($more) = start(some(1, 'full'));
$shop->wait_for_state($more->{order}, 'queued');
no_worker();
is(scalar requests('store=full'), 27, 'a worker that comes while the share is used up asks nothing');
is($shop->sql("SELECT due > clock_timestamp() + interval '1 minute' FROM bcpaid.queue_next_due('1 day', true)"), 't', 'and the next comes when the window is over');
$shop->control('POST', 'stores/full/quota', { reset => JSON::PP::true });
$shop->odoo("SELECT bcpaid.resume($store{full}[0])");
$shop->wait_until('the next share is used', sub { applied('full') == 13 });
is(throttled('full'), 0, 'and no 429');

# ---- the first request of a window hangs: the others do not wait for its end ----

my $pilot_hangs = $shop->fault(match => { store => 'pilot' }, do => 'hang', then => 'answer');
my @pilot = start(some(1, 'pilot'));
$shop->control('POST', 'wait', { held => 1, timeout_ms => 60000 });
push @pilot, start(some(5, 'pilot'));
$shop->wait_until('those behind it are applied', sub { applied('pilot') == 5 });
is($shop->state_of($pilot[0]{order}), 'claimed', 'one that hangs ahead of a window holds up nobody else');
$shop->control('POST', 'release', { fault => $pilot_hangs });
$shop->come_to_their_end(@pilot);

# ---- backlogs for several windows, of which the first is begun by others ----

my @true = some(92, 'true');
my @short = some(140, 'short');
my @eaten = some(30, 'eaten');
my @empty = some(6, 'empty');
my @late = some(40, 'late');
my @bare = some(6, 'bare');
my @shared = map { some($_->[4], $_->[0]) } @amid;
$shop->place(@true, @short, @eaten, @empty, @late, @bare, @shared);

# All of the small share is under way at once only if so much is there when it begins.
my @small = grep { $_->{store}[1] eq 'smallamid' } @shared;
$shop->odoo("SELECT bcpaid.pause($store{smallamid}[0])");
$shop->pay_all(@small);
$shop->wait_until('all of them are queued', sub { $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = 'smallamid' AND state = 'queued'") == @small });
$shop->odoo("SELECT bcpaid.resume($store{smallamid}[0])");
$shop->wait_until('the small share is under way', sub { requests('store=smallamid') >= $amid[-1][3] });

my $eaten_at = time;
eat('eaten', 100);
eat($_, QUOTA) for qw(empty bare);
$shop->pay_all(@empty, @bare, @eaten);
$shop->pay_all(@late, @true, @short, grep { $_->{store}[1] ne 'smallamid' } @shared);

# Others come while we are at it, and find what was left to them.
$shop->control('POST', 'wait', { requests => { count => 20, match => { store => 'late' } }, timeout_ms => 60000 });
eat('late', RESERVE);

# ---- 429, in every form ----

my %rate = ('X-Rate-Limit-Requests-Left' => 0, 'X-Rate-Limit-Requests-Quota' => QUOTA, 'X-Rate-Limit-Time-Window-Ms' => 30000, 'X-Rate-Limit-Time-Reset-Ms' => 1500);
my @forms = (
	[ 'without a header', {}, 0.75 * 0.05 ],
	[ 'with the quota', \%rate, 1.5 ],
	[ 'with X-Retry-After', { 'X-Retry-After' => 2 }, 2 ],
	[ 'with Retry-After in seconds', { 'Retry-After' => 2 }, 2 ],
	[ 'with both, of which the store\'s counts', { 'X-Retry-After' => 2, 'Retry-After' => 86400 }, 2 ],
	[ 'with both forms of a time', { %rate, 'X-Retry-After' => 2 }, 2 ],
	[ 'with Retry-After as a date, which is not read', { 'Retry-After' => 'Wed, 21 Oct 2099 07:28:00 GMT' }, 0.75 * 0.05 ],
	[ 'with nonsense', { 'X-Retry-After' => '-5', 'Retry-After' => '1e9', 'X-Rate-Limit-Time-Reset-Ms' => 'soon' }, 0.75 * 0.05 ]);
my @throttled = map { my ($what, $headers, $wait) = @{ $forms[$_] };
	{ name => "429 $what", store => $store{"throttle$_"}, headers => $headers, wait => $wait } } 0 .. $#forms;
$shop->place(@throttled);
$shop->fault(match => { order => $_->{number}, method => 'POST' }, do => 'answer', status => 429, headers => $_->{headers}) for @throttled;
$shop->pay_all(@throttled);
$shop->come_to_their_end(@throttled);
for my $case (@throttled)
{
	my @posts = requests("order=$case->{number}&method=POST");
	is(scalar @posts, 2, "$case->{name}: one more write");
	cmp_ok($posts[1]{at} - $posts[0]{at}, '>=', $case->{wait}, "$case->{name}: not before $case->{wait} s");
	is($shop->sql("SELECT failures FROM bcpaid.captures WHERE order_id = $case->{order}"), '0', "$case->{name}: no order is to blame");
}

# ---- 20 stores, of which one is down, one hangs and one has a bad token: until the end of all others ----

my @twenty = map { some(3, "store$_") } 1 .. 20;
my %ill = map { $_ => 1 } qw(store5 store10 store15);
my @well = grep { !$ill{ $_->{store}[1] } } @twenty;
my @down = some(70, 'store10');
my $hanging = $shop->fault(match => { store => 'store10' }, times => 'forever', do => 'hang', then => 'answer');
$shop->fault(match => { store => 'store5' }, times => 'forever', do => 'answer', status => 503);
$shop->control('PATCH', 'stores/store15', { token => 'another-token' });
start(@down);
$shop->control('POST', 'wait', { held => 1, timeout_ms => 60000 });
start(@twenty);
my $started = time;
$shop->come_to_their_end(@well);
cmp_ok(time - $started, '<', 30, 'and soon');
cmp_ok(scalar @{ $shop->control('GET', 'report')->{held} }, '>=', 1, 'all others have come to their end while one store hangs');
is(applied($_), 0, "$_ has done nothing meanwhile") for sort keys %ill;
like($shop->sql("SELECT stopped_reason FROM bcpaid.stores WHERE hash = 'store15'"), qr/does not accept the token/, 'the one with a bad token is stopped');
cmp_ok($shop->sql("SELECT failures FROM bcpaid.stores WHERE hash = 'store5'"), '>', 0, 'the one that is down waits');
$shop->control('DELETE', 'faults');
$shop->control('POST', 'release', {});
$shop->odoo("COPY bcpaid.token_inbox FROM STDIN;\n$store{store15}[0]\tanother-token\n\\.\n");
$shop->come_to_their_end(@down, grep { $ill{ $_->{store}[1] } } @twenty);

# ---- an order that its store cannot show, while the store shows others: neither in their way nor tried for ever ----

my @poison = some(3, 'poison', state => 'held', reason => qr/^gave up after 4 tries: could not read the order('s transactions)?: HTTP 50[03]/);
$shop->place(@poison);
$shop->fault(match => { order => $poison[0]{number} }, times => 'forever', do => 'answer', status => 500);
$shop->fault(match => { order => $poison[1]{number}, path => '/transactions' }, times => 'forever', do => 'answer', status => 503);
$shop->fault(match => { order => $poison[2]{number} }, times => 'forever', do => 'answer', status => 503);
$shop->pay_all(@poison);
$shop->wait_until('they were tried, and tried again', sub { $shop->sql("SELECT failures FROM bcpaid.stores WHERE hash = 'poison'") >= 3 });
is($shop->sql("SELECT sum(failures) FROM bcpaid.captures WHERE store_hash = 'poison'"), '0', 'while no other order shows that the store is well, it is the store');
my $round = 0;
$shop->wait_until('they are given up', sub {
	$shop->come_to_their_end(start(map { { %$_, name => "new work beside them, $round" } } some(1, 'poison')));
	return $round++ > 100 || $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = 'poison' AND state = 'held'") == @poison });
$shop->come_to_their_end(@poison);
$shop->come_to_their_end(start(some(5, 'poison')));
is($shop->sql("SELECT failures FROM bcpaid.stores WHERE hash = 'poison'"), '0', 'and the store is well');

# ---- what became of the backlogs ----

$shop->come_to_their_end(@short, @eaten, @empty, @late, @bare, @shared, @true);

# Requests by window, as the store counts: one begins with the first request after the end of the one before.
sub windows
{
	my ($store, $seconds) = @_;
	my (@windows, $ends);

	for my $request (sort { $a->{at} <=> $b->{at} } requests("store=$store"))
	{
		push(@windows, []), $ends = $request->{at} + $seconds if !$ends || $request->{at} >= $ends;
		push @{ $windows[-1] }, $request;
	}
	return map { scalar @$_ } @windows;
}

for ([ 'true', WINDOW, 2 ], [ 'short', SHORT, 3 ])
{
	my ($name, $seconds, $full) = @$_;
	my @used = windows($name, $seconds);
	my $share = QUOTA - RESERVE;

	is(throttled($name), 0, "$name: no 429");
	cmp_ok(scalar @used, '>=', $full, "$name: the backlog took several windows: @used");
	cmp_ok(max(@used), '<=', $share, "$name: no more than our share of any");
	cmp_ok(min(@used[ 0 .. $full - 1 ]), '>=', 0.97 * $share, "$name: and 97 % of it, of each that was full");
	note("$name: @used of $share a window");
}

for (@amid)
{
	my ($name, $quota, $reserve, $after) = @$_;
	my @used = windows($name, LONG);
	my $share = $quota - ceil($quota * $reserve);
	my @with_others = map { $_ + ($_ >= $after ? OTHERS : 0) } @used;
	# Of a share that was all under way when they came, what is ours alone is to be seen.
	my ($whose, $most, @counted) = $share - $after <= UNDER_WAY ? ('ours', $share, @used) : ('all', max($share, $after + OTHERS + UNDER_WAY), @with_others);

	is(throttled($name), 0, "$name: no 429");
	cmp_ok(scalar(grep { $_ >= $after } @used), '>=', 2, "$name: others came in the middle of several windows: @used");
	cmp_ok(max(@counted), '<=', $most, "$name: they were given way to: $whose, @counted");
	cmp_ok($counted[0], '>=', 0.97 * $share, "$name: and what they left was used");
	note("$name: @counted ($whose) of $share a window, at most $most");
}

is(throttled('eaten'), 0, 'eaten: others were first, no 429');
cmp_ok(scalar(grep { $_->{at} < $eaten_at + LONG } requests('store=eaten')), '<=', QUOTA - 100 - RESERVE, 'eaten: what they left, less the reserve');
is(throttled('empty'), 1, 'empty: others left nothing, and one request finds out');
is(throttled('late'), 0, 'late: others came meanwhile, no 429');
cmp_ok((windows('late', LONG))[0], '<=', QUOTA - RESERVE, 'late: they found room');
cmp_ok(throttled('bare'), '<=', 1 + LONG / (0.75 * CAP) + 5, 'bare: where a 429 says nothing one request at a time finds out, less and less often');
is($shop->sql("SELECT count(*) FROM bcpaid.captures WHERE failures > 0 AND store_hash <> 'poison'"), '0', 'no order is to blame for a quota');

$shop->store_is_content;
$shop->stop;
done_testing();
