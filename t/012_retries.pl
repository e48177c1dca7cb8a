# Goal: what may pass is tried again, later and later, and no more often than the store allows.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use List::Util qw(min);
use Test::More;

use constant { BASE => 0.3, CAP => 1.0, ATTEMPTS => 5 };

my $shop = Bcpaid::Shop->new('retries', conf => <<'CONF');
bcpaid.retry_base = '300ms'
bcpaid.retry_cap = '1s'
bcpaid.max_attempts = 5
bcpaid.idle_timeout = '60s'
CONF

# A store of its own for each, so that all run side by side.
my %store = map { $_->[0] => $shop->another_store(@$_) }
  [ 'quota', 'quota_reserve => 0.1', quota => { limit => 20, window_ms => 2000 } ],
  [ 'others', 'quota_reserve => 0', quota => { limit => 30, window_ms => 1500 } ],
  [ 'half', 'quota_reserve => 0.5', quota => { limit => 24, window_ms => 800 } ],
  [ 'sliding', 'quota_reserve => 0', quota => { limit => 30, window_ms => 800, kind => 'sliding' } ],
  [ 'bare', 'quota_reserve => 0', quota => { limit => 24, window_ms => 600, headers => 0, headers_on_429 => 0 } ],
  [ 'lower', '' ], [ 'after', '' ], [ 'headless', '' ], [ 'reset', '' ], [ 'down', '' ], [ 'poison', '' ], [ 'spread', '' ];

sub some { my ($n, $store, %more) = @_; return map { { name => "$store $_", store => $store{$store}, %more } } 1 .. $n }

sub start
{
	my (@cases) = @_;
	$shop->place(@cases);
	$shop->pay_all(@cases);
	return @cases;
}

sub requests { my (%match) = @_; return @{ $shop->control('GET', 'requests?' . join '&', map { "$_=$match{$_}" } sort keys %match)->{requests} } }
sub header { my ($request, $name) = @_; my ($pair) = grep { lc $_->[0] eq lc $name } @{ $request->{answer}{headers} || [] }; return $pair && $pair->[1] }
sub store_row { my ($name) = @_; return $shop->sql("SELECT failures || ' ' || coalesce(extract(epoch from retry_at - clock_timestamp())::text, 'none') FROM bcpaid.stores WHERE hash = '$name'") }

# ---- the backlogs, which take some seconds: begun first, looked at last ----

my @backlog = start(some(60, 'quota'));
my @shared = start(some(40, 'others'));
my @halved = start(some(20, 'half'));
my @sliding = start(some(20, 'sliding'));
my @bare = start(some(20, 'bare'));

# ---- a capture of its own: capped exponential backoff, then a person ----

my ($busy) = my @busy = some(1, 'lower', state => 'held', reason => qr/^gave up after 5 tries: could not read the order: HTTP 409/);
$shop->place(@busy);
$shop->fault(match => { order => $busy->{number} }, times => 'forever', do => 'answer', status => 409);
$shop->sql(<<"SQL");
CREATE TABLE waited (failures int, s numeric);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.waited VALUES (NEW.failures, extract(epoch FROM NEW.due - NEW.changed_at)); RETURN NEW; END \$\$;
CREATE TRIGGER watch AFTER UPDATE ON bcpaid.capture FOR EACH ROW WHEN (NEW.state = 'waiting' AND NEW.order_id = $busy->{order}) EXECUTE FUNCTION watch();
SQL
$shop->pay_all(@busy);
$shop->wait_for_state($busy->{order}, 'held');
my %delay = map { split /\|/ } split /\n/, $shop->sql('SELECT * FROM waited; DROP TRIGGER watch ON bcpaid.capture');
for my $failures (1 .. ATTEMPTS - 1)
{
	my $delay = min(CAP, BASE * 2**($failures - 1));
	cmp_ok(abs(($delay{$failures} // 99) - $delay), '<=', $delay / 4 + 0.02, "after failure $failures it waits for $delay s, a quarter more or less");
}
$shop->come_to_their_end(@busy);
my @at = map { $_->{at} } requests(order => $busy->{number});
is(scalar @at, ATTEMPTS, 'and was asked for as often as said');
cmp_ok($at[-1] - $at[-2], '>=', CAP * 0.75, 'with the waits between');

# A person tries again: the count begins anew.
$shop->control('DELETE', 'faults');
$shop->odoo("SELECT bcpaid.retry((SELECT id FROM bcpaid.captures WHERE order_id = $busy->{order}))");
$shop->come_to_their_end({ %$busy, name => 'retried', state => 'applied', reason => undef });

# Many that fail at once do not come back at once; the pause lets us see when they would.
my @spread = some(12, 'spread');
$shop->place(@spread);
$shop->fault(match => { method => 'POST', store => 'spread' }, times => 12, do => 'answer', status => 423, latency_ms => 1000);
$shop->pay_all(@spread);
$shop->control('POST', 'wait', { requests => { count => 12, match => { method => 'POST', store => 'spread' } }, timeout_ms => 30000 });
$shop->odoo("SELECT bcpaid.pause($store{spread}[0])");
$shop->wait_until('nothing is under way', sub { $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = 'spread' AND state IN ('claimed', 'sending')") eq '0' });
my @waits = sort { $a <=> $b } split /\n/,
  $shop->sql("SELECT extract(epoch from due - changed_at) FROM bcpaid.captures WHERE store_hash = 'spread' AND state = 'waiting' AND failures = 1");
cmp_ok(scalar @waits, '>=', 6, 'many wait after their first failure');
cmp_ok($waits[0], '>=', BASE * 0.74, 'none comes back before its time');
cmp_ok($waits[-1] - $waits[0], '>', BASE * 0.1, 'and not all at the same time');
$shop->odoo("SELECT bcpaid.resume($store{spread}[0])");
$shop->come_to_their_end(@spread);

# ---- the store is down: the store waits, its captures do not fail one by one ----

$shop->come_to_their_end(start(some(1, 'down')));
my @down = some(12, 'down');
$shop->place(@down);
my $well = $shop->control('GET', 'requests')->{last};
$shop->fault(match => { store => 'down' }, times => 'forever', do => 'answer', status => 503);
$shop->pay_all(@down);
$shop->wait_until('the store failed four times', sub { (split ' ', store_row('down'))[0] >= 4 });
is($shop->sql("SELECT max(failures) || ' ' || bool_and(state IN ('queued', 'waiting', 'claimed')) FROM bcpaid.captures WHERE store_hash = 'down' AND state <> 'applied'"),
	'0 true', 'no capture counts what is its store\'s fault');
my @asked = map { $_->{at} } requests(store => 'down', after => $well);
cmp_ok(scalar @asked, '<=', 12 + 8, 'a store that is down is asked by few, not by all each time');
cmp_ok($asked[-1] - $asked[0], '>=', (BASE + 2 * BASE) * 0.75, 'and each time later');
$shop->control('DELETE', 'faults');
$shop->come_to_their_end(@down);
is((split ' ', store_row('down'))[0], 0, 'and is well again');

# ---- one order that its store cannot show keeps nobody else waiting ----

my ($poison) = my @poison = some(1, 'poison');
$shop->place(@poison);
$shop->fault(match => { order => $poison->{number}, path => '/transactions' }, times => 'forever', do => 'answer', status => 500);
$shop->pay_all(@poison);
$shop->wait_for_state($poison->{order}, 'waiting');
$shop->come_to_their_end(start(some(10, 'poison')));
is($shop->captures($poison->{number}, 'poison'), 0, 'while it waits');
like($shop->reason_of($poison->{order}), qr/could not read the order's transactions: HTTP 500/, 'with its reason');

# ---- 429 ----

# With Retry-After: not before.
my ($after) = my @after = some(1, 'after');
$shop->place(@after);
$shop->fault(match => { order => $after->{number}, method => 'POST' }, do => 'answer', status => 429, headers => { 'X-Retry-After' => '1' });
$shop->pay_all(@after);
$shop->come_to_their_end(@after);
my @posts = requests(order => $after->{number}, method => 'POST');
is(scalar @posts, 2, 'one more write after a 429 with Retry-After');
cmp_ok($posts[1]{at} - $posts[0]{at}, '>=', 1, 'not before the time that the store asked for');

# With the quota's headers: not before the window ends.
my ($reset) = my @reset = some(1, 'reset');
$shop->place(@reset);
$shop->fault(match => { order => $reset->{number} }, do => 'answer', status => 429, headers => { 'X-Rate-Limit-Requests-Left' => '0',
		'X-Rate-Limit-Requests-Quota' => '150', 'X-Rate-Limit-Time-Window-Ms' => '30000', 'X-Rate-Limit-Time-Reset-Ms' => '900' });
$shop->pay_all(@reset);
$shop->come_to_their_end(@reset);
@posts = requests(order => $reset->{number});
cmp_ok($posts[1]{at} - $posts[0]{at}, '>=', 0.9, 'after a 429 with headers, not before the window is over');

# Without any: later and later, and no capture is to blame.
my ($headless) = my @headless = some(1, 'headless');
$shop->place(@headless);
$shop->fault(match => { order => $headless->{number} }, times => 7, do => 'answer', status => 429);
$shop->pay_all(@headless);
$shop->come_to_their_end(@headless);
@posts = requests(order => $headless->{number}, method => 'GET');
for my $n (1 .. 3)
{
	my $least = min(CAP, BASE * 2**($n - 1));
	cmp_ok($posts[$n]{at} - $posts[ $n - 1 ]{at}, '>=', $least * 0.75, "429 number $n without a header: at least $least s, a quarter less");
}
is($shop->sql("SELECT failures FROM bcpaid.captures WHERE order_id = $headless->{order}"), '0', 'more of them than a capture has tries');

# ---- other apps eat from the same quota ----

for my $meal (1 .. 3)
{
	my $done = $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = 'others' AND state = 'applied'");

	$shop->control('POST', 'stores/others/quota', { use => 12 });
	$shop->wait_until('the captures go on beside other apps', sub {
		my $now = $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE store_hash = 'others' AND state = 'applied'");
		$now > $done || $now == @shared });
}

# ---- the backlogs ----

$shop->come_to_their_end(@backlog, @shared, @halved, @sliding, @bare);
for my $name (qw(quota half))
{
	is($shop->control('GET', "stores/$name")->{throttled}, 0, "store $name: no 429 of our own making");
}
cmp_ok($shop->control('GET', 'stores/others')->{throttled}, '<=', 12, 'beside other apps, hardly any');
cmp_ok($shop->control('GET', 'stores/sliding')->{throttled}, '<=', 6, 'nor where the window slides');
for ([ 'half', 12 ], [ 'quota', 2 ])
{
	my ($name, $reserve) = @$_;
	my @left = sort { $a <=> $b } grep { defined } map { header($_, 'X-Rate-Limit-Requests-Left') } requests(store => $name);
	cmp_ok($left[0], '>=', $reserve, "store $name: $reserve requests of each window are left to others");
}
my @used = requests(store => 'quota');
my $windows = 1 + int(($used[-1]{at} - $used[0]{at}) / 2);
cmp_ok(scalar @used, '>=', 0.8 * 18 * ($windows - 1), 'and our share is used');
is($shop->sql("SELECT bool_and(failures = 0)::text FROM bcpaid.captures WHERE state = 'applied' AND store_hash <> 'spread'"), 'true',
	'no capture was blamed for a quota');

$shop->store_is_content;
$shop->stop;
done_testing();
