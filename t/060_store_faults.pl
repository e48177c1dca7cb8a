# Goal: whatever a store does in answer to whatever call, what becomes of the capture is in this table: on the
# way, and when the store behaves again.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

# What is put off waits for an hour: so it can be looked at, and time passes when we say so.
my $shop = Bcpaid::Shop->new('store_faults', timeout => 180, conf => <<'CONF');
bcpaid.request_timeout = '60s'
bcpaid.connect_timeout = '60s'
bcpaid.retry_base = '1h'
bcpaid.retry_cap = '1h'
bcpaid.max_attempts = 1000
CONF
my $true = JSON::PP::true;

# ---- the table ----

my @calls = qw(order list order? list? post put test);

# Each cell is an order of a store of its own.  The calls: order and list are the two reads of a look; order? and
# list? the same after a write whose answer was lost, and which the store had taken; post and put the two ways to
# write; test is test_store.  "taken": the store did what it was asked, all the same.
my $table = <<'TABLE';
| the store's answer   | order  | list   | order? | list?  | post   | put    | test |
|----------------------|--------|--------|--------|--------|--------|--------|------|
| 200 {}               | wait!  | wait!  | again! | again! | vague  | lost   | ok   |
| 200 without a body   | wait!  | wait!  | again! | again! | vague  | vague  | no   |
| 200 with HTML        | wait!  | wait!  | again! | again! | lost   | lost   | no   |
| 200 with a list      | wait!  | wait!  | again! | again! | vague  | lost   | no   |
| 201                  | wait!  | wait!  | again! | again! | vague  | lost   | no   |
| 202                  | wait!  | wait!  | again! | again! | lost   | lost   | no   |
| 204                  | wait!  | ok     | again! | ok     | lost   | lost   | no   |
| 206                  | wait!  | wait!  | again! | again! | lost   | lost   | no   |
| 301                  | stop   | stop   | stop   | stop   | astray | astray | no   |
| 302                  | stop   | stop   | stop   | stop   | astray | astray | no   |
| 303                  | stop   | stop   | stop   | stop   | astray | astray | no   |
| 303, taken           | -      | -      | -      | -      | there  | there  | -    |
| 307                  | stop   | stop   | stop   | stop   | astray | astray | no   |
| 308                  | stop   | stop   | stop   | stop   | astray | astray | no   |
| 400                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 401                  | stop   | stop   | stop   | stop   | stop   | stop   | no   |
| 402                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 403                  | stop   | stop   | stop   | stop   | stop   | stop   | no   |
| 404                  | refuse | refuse | held   | held   | refuse | wait   | no   |
| 405                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 406                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 408                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 409                  | wait   | wait   | again  | again  | wait   | wait   | no   |
| 410                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 413                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 415                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 422                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 423                  | wait   | wait   | again  | again  | wait   | wait   | no   |
| 425                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 429                  | wait!  | wait!  | again! | again! | wait!  | wait!  | no   |
| 451                  | refuse | refuse | held   | held   | refuse | refuse | no   |
| 499                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 500                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 500, taken           | -      | -      | -      | -      | found! | found! | -    |
| 501                  | wait!  | wait!  | again! | again! | refuse! | refuse! | no |
| 502                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 503                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 503, taken           | -      | -      | -      | -      | found! | found! | -    |
| 504                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| 520                  | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| closed               | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| closed, taken        | -      | -      | -      | -      | found! | found! | -    |
| reset                | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| reset, taken         | -      | -      | -      | -      | found! | found! | -    |
| silence              | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| silence, taken       | -      | -      | -      | -      | found! | found! | -    |
| garbage              | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| garbage, taken       | -      | -      | -      | -      | found! | found! | -    |
| cut off              | wait!  | wait!  | again! | again! | found! | found! | no   |
| dripping             | ok     | ok     | ok     | ok     | ok     | ok     | ok   |
| dripping for ever    | wait!  | wait!  | again! | again! | found! | found! | no   |
| 10 MB                | wait!  | wait!  | again! | again! | lost!  | lost!  | no   |
| of another type      | ok     | ok     | ok     | ok     | ok     | ok     | ok   |
TABLE

# On the way: state, tries that count, whether the store is stopped, writes and captures at the store.  A "!" says
# that the store waits, too; then the try does not count.  When the store behaves again, and a person has resumed it
# or said retry where one is needed, every order is captured once, and applied.
my %outcome = (
	ok     => 'applied, tries 0, open, writes 1, captures 1',
	wait   => 'waiting, tries 1, open, writes 0, captures 0',
	stop   => 'queued, tries 0, stopped, writes 0, captures 0',
	astray => 'unknown, tries 0, stopped, writes 1, captures 0',
	there  => 'unknown, tries 0, stopped, writes 1, captures 1',
	refuse => 'refused, tries 0, open, writes 0, captures 0',
	lost   => 'unknown, tries 0, open, writes 1, captures 0',
	found  => 'unknown, tries 0, open, writes 1, captures 1',
	vague  => 'held, tries 0, open, writes 1, captures 0',       # it said yes, and never shows it
	again  => 'unknown, tries 1, open, writes 1, captures 1',
	held   => 'held, tries 0, open, writes 1, captures 1');

# What is said, by call and outcome; the row's own words follow.
my %words = (
	'order wait' => qr/^(?:could not read the order|the store's answer is not order)/,
	'list wait' => qr/^(?:could not read the order's transactions|the order's transactions cannot be read)/,
	'order refuse' => qr/^(?:the store refused to show the order|order \d+ does not exist at the store): /,
	'list refuse' => qr/^the store refused to show the order's transactions: /,
	'post refuse' => qr/^the store (?:refused the capture|takes no transactions): /,
	'put refuse' => qr/^the store (?:refused the capture|takes no status change): /,
	'post wait' => qr/^(?:the order is in use at the store|the store asks to slow down): /,
	'put wait' => qr/^(?:the order is in use at the store|the store asks to slow down|the order is gone): /,
	'post lost' => qr/^(?:it is not known whether the store took the capture|the answer to the capture (?:was cut off|cannot be read))/,
	'put lost' => qr/^(?:it is not known whether the store took the capture|the answer to the capture was cut off|the answer to the status change cannot be read)/,
	'post vague' => qr/^the store said that it recorded the capture, but does not show it/,
	'put vague' => qr/^the store said that it recorded the capture, but does not show it/,
	'order? held' => qr/^sent before, outcome not known; now: (?:the store refused to show the order|order \d+ does not exist)/,
	'list? held' => qr/^sent before, outcome not known; now: the store refused to show the order's transactions/,
	'test no' => qr/^(?:could not read the store's settings|the store's answer cannot be read|the store refused to show the store's settings|no store has the hash|the store does not|the token lacks the scope store_v2_info|the store cannot be asked: HTTP 30)/);
$words{"$_ stop"} = qr/^(?:the store does not accept the token|the token lacks the scope store_v2_(?:orders|transactions)|the store cannot be asked)/ for @calls;
$words{"$_ found"} = $words{"$_ lost"} for qw(post put);
$words{'order? again'} = $words{'order wait'};
$words{'list? again'} = $words{'list wait'};

my %fault = (
	'200 {}' => { do => 'answer', status => 200, body => {} },
	'200 without a body' => { do => 'answer', status => 200, body => '' },
	'200 with HTML' => { do => 'answer', status => 200, shape => 'html' },
	'200 with a list' => { do => 'answer', status => 200, body => [] },
	'201' => { do => 'answer', status => 201, body => {} },
	'204' => { do => 'answer', status => 204, body => '' },
	'closed' => { do => 'drop' }, 'reset' => { do => 'drop', how => 'reset' },
	'silence' => { do => 'hang' }, 'garbage' => { do => 'garbage' },
	'cut off' => { do => 'pass', cut => 20 },
	'dripping' => { do => 'pass', drip => { bytes => 100, every_ms => 5 } },
	'dripping for ever' => { do => 'pass', drip => { bytes => 20, every_ms => 500 } },
	'10 MB' => { do => 'answer', status => 200, shape => 'huge' },
	'of another type' => { do => 'pass', content_type => 'text/html' });
my %said = ('closed' => qr/empty reply|connection died/i, 'reset' => qr/reset/i, 'silence' => qr/time(?:d ?|-)?out/i, 'cut off' => qr/HTTP 20[01]: .*(?:closed|remaining)/,
	'dripping for ever' => qr/HTTP 20[01]: .*timed out/i, '10 MB' => qr/HTTP 200: the answer is too long/);

my %match = (order => { method => 'GET', path => '/v2/orders/' }, list => { method => 'GET', path => '/transactions' },
	post => { method => 'POST' }, put => { method => 'PUT' }, test => { path => '/v2/store$' });
$match{"$_?"} = $match{$_} for qw(order list);

sub fault_of
{
	my ($cell) = @_;
	my ($name, $taken) = $cell->{answer} =~ /^(.*?)(, taken)?$/;
	my $fault = $fault{$name} || ($name =~ /^3/ && !$taken ? { do => 'redirect', status => $name, to => 'https://localhost/' } : { do => 'answer', status => $name });
	my %who = $cell->{call} eq 'test' ? (store => $cell->{store}[1]) : (order => $cell->{number});
	return { %$fault, ($taken ? (taken => $true) : ()), match => { %{ $match{ $cell->{call} } }, %who }, times => 'forever' };
}

# ---- cells: an order of a store of its own each ----

my (undef, @rows) = map { [ map { s/^\s+|\s+$//gr } (split /\|/)[ 1 .. 8 ] ] } grep { !/^\|-/ } split /\n/, $table;
my @cells = grep { $_->{outcome} ne '-' } map { my $row = $_;
	map { { answer => $row->[0], call => $calls[$_], outcome => $row->[ $_ + 1 ], name => "$calls[$_]: $row->[0]" } } 0 .. $#calls } @rows;
my @captures = grep { $_->{call} ne 'test' } @cells;
my @tests = grep { $_->{call} eq 'test' } @cells;
my ($seen, $stores);
make_stores(@cells);
$shop->place(@captures);

sub make_stores
{
	my (@of) = @_;
	my $n = 0;
	my $sql = "SET client_min_messages = error;\n";

	for my $cell (@of)
	{
		$cell->{store} = [ 0, 'cell' . ++$n ];
		$shop->control('PUT', "stores/cell$n", { token => "cell$n-token", plan => 'unlimited' });
		$sql .= "SELECT bcpaid.set_store(name => 'cell$n', hash => 'cell$n', mark_order_as_paid => true"
		  . ($cell->{call} eq 'put' ? ", strategy => 'status'" : '') . ");\n";
	}
	my @ids = split /\n/, $shop->odoo($sql);
	$_->{store}[0] = shift @ids for @of;
	$shop->odoo(join '', "COPY bcpaid.token_inbox FROM STDIN;\n", (map { "$_->{store}[0]\t$_->{store}[1]-token\n" } @of), "\\.\n");
	$shop->sql('UPDATE bcpaid.store SET read_back = true');    # none is the first of its store
	return;
}

# ---- while the store misbehaves ----

# Where it is silent time-outs are short; where it is not, nothing else may run into one.
misbehave(grep { $_->{answer} !~ /silence|for ever/ } @cells);
$shop->configure("bcpaid.request_timeout = '3s'");
misbehave(grep { $_->{answer} =~ /silence|for ever/ } @cells);
$shop->configure("bcpaid.request_timeout = '60s'");

sub misbehave
{
	my (@of) = @_;
	my @lost = grep { $_->{call} =~ /\?/ } @of;
	my @first = grep { $_->{call} !~ /\?/ } @of;

	$shop->control('POST', 'faults', [ map({ fault_of($_) } @first),
		map { { do => 'drop', taken => $true, match => { order => $_->{number}, method => 'POST' } } } @lost ]);
	$shop->pay_all(grep { $_->{call} ne 'test' } @of);
	test_all(grep { $_->{call} eq 'test' } @of);
	come_to_rest('all have met the fault', 1, @of);
	a_request_could_not_be_older();
	let_time_pass(grep { $_->{outcome} eq 'vague' } @of);
	come_to_rest('all have met the fault, and those that were answered were read again', 1, @of);
	$shop->control('POST', 'faults', [ map { fault_of($_) } @lost ]);
	let_time_pass(@lost);
	come_to_rest('what was lost was read back', 3, @lost);
	look_at(@of);
	came_out($_) for @of;
	return;
}

sub test_all
{
	my (@of) = @_;
	$shop->odoo(join '', map { "SELECT bcpaid.want_test($_->{store}[0]);\n" } @of);
	return;
}

# What is read counts only from then on, as after any start of the server: its clock may have been set while it was
# down.  What is for a person becomes so when two reads could have agreed.
sub a_request_could_not_be_older
{
	my $left = "SELECT pg_postmaster_start_time() + current_setting('bcpaid.request_timeout')::interval"
	  . " + 2 * current_setting('bcpaid.settle_time')::interval - clock_timestamp()";
	$shop->wait_until('no request is left from before the start of the server',
		sub { $shop->sql("SELECT ($left) < '0'") eq 't' }, sub { $shop->sql($left) . ' to wait' });
	return;
}

# An hour later; what was sent is not on its way any more.
sub let_time_pass
{
	my (@of) = @_;
	my ($orders, $stores) = map { join ',', 0, @$_ } [ map { $_->{order} } @of ], [ map { $_->{store}[0] } @of ];
	$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp(), sent_at = sent_at - interval '1 h' WHERE state IN ('waiting', 'unknown') AND order_id IN ($orders);"
		  . "UPDATE bcpaid.store SET retry_at = NULL, failures = 0 WHERE id IN ($stores); SELECT bcpaid.wake()");
	return;
}

# Each has had so many conversations, and none is under way.
sub come_to_rest
{
	my ($what, $conversations, @of) = @_;
	my ($orders, $tests) = map { join ',', 0, @$_ } [ map { $_->{order} // () } @of ], [ map { $_->{order} ? () : $_->{store}[0] } @of ];

	my $restless = sub { $shop->sql(<<"SQL") };
SELECT 'store ' || id || ' is not tested' FROM bcpaid.store WHERE id IN ($tests) AND tested_at IS NULL
 UNION ALL
SELECT 'order ' || o || ' has no capture' FROM unnest(ARRAY[$orders]) o WHERE o <> 0 AND NOT EXISTS (SELECT FROM bcpaid.capture c WHERE c.order_id = o)
 UNION ALL
SELECT c.store_hash || ' is ' || c.state || ': ' || coalesce(c.reason, '')
  FROM bcpaid.capture c JOIN bcpaid.store s ON s.id = c.store_id
 WHERE c.order_id IN ($orders)
   AND (c.state IN ('claimed', 'sending', 'captured')
        OR (c.state IN ('queued', 'waiting', 'unknown') AND c.due <= clock_timestamp() AND s.stopped_reason IS NULL)
        OR (SELECT count(*) FROM bcpaid.attempt a WHERE a.capture_id = c.id) < $conversations)
SQL
	$shop->wait_until($what, sub { $restless->() eq '' }, $restless);
	return;
}

sub look_at
{
	my (@of) = @_;
	$seen = $shop->captures_of({ order => 0 }, grep { $_->{order} } @of);
	$shop->count_captures($seen);
	$stores = { map { my @row = split /\|/; $row[0] => { failures => $row[1], stopped => $row[2], test => $row[3], result => $row[4] } }
		  split /\n/, $shop->sql("SELECT id, failures, coalesce(stopped_reason, ''), coalesce(test_ok::text, ''), coalesce(test_result, '') FROM bcpaid.stores") };
	return;
}

sub writes
{
	my ($cell) = @_;
	my $method = $cell->{call} eq 'put' ? 'PUT' : 'POST';
	return $shop->control('GET', "requests?order=$cell->{number}&method=$method&limit=1")->{count};
}

sub came_out
{
	my ($cell) = @_;
	my ($outcome, $unwell) = $cell->{outcome} =~ /^(\w+)(!?)$/;
	my $store = $stores->{ $cell->{store}[0] };
	my ($status) = $cell->{answer} =~ /^(\d\d\d)/;
	my $said = $said{ $cell->{answer} =~ s/, taken$//r } || ($status && $status !~ /^20/ ? qr/HTTP $status/ : qr//);
	my $reason;

	if ($cell->{call} eq 'test')
	{
		$reason = $store->{result};
		is("$store->{test}, $store->{failures}, '$store->{stopped}'", ($outcome eq 'ok' ? 'true' : 'false') . ", 0, ''", "$cell->{name}: the test says so, and does no more");
	}
	else
	{
		my $capture = $seen->{ $cell->{order} } || { state => 'none', reason => '', failures => 0, count => 0 };
		my $expected = $outcome{$outcome};
		my $writes = writes($cell);

		$expected =~ s/tries 1/tries 0/ if $unwell;
		$expected =~ s/writes 0/writes 1/ if $cell->{call} =~ /^p/;
		$expected =~ s/queued, (.*writes) 0/unknown, $1 1/, $expected =~ s/captures 0/captures 1/ if $cell->{call} =~ /\?/ && $outcome eq 'stop';
		$reason = $store->{stopped} || $capture->{reason};
		is("$capture->{state}, tries $capture->{failures}, " . ($store->{stopped} ? 'stopped' : 'open') . ", writes $writes, captures " . ($capture->{count} // '?'),
			$expected, $cell->{name}) or diag "$capture->{reason} ($store->{stopped})";
		is($store->{failures}, $unwell ? 1 : 0, "$cell->{name}: the store " . ($unwell ? 'waits, too' : 'is not to blame'));
	}
	return if $outcome eq 'ok';
	like($reason, $words{"$cell->{call} $outcome"} || $words{'order stop'}, "$cell->{name}: it is said what");
	like($reason, $said, "$cell->{name}: and why");
	return;
}

# ---- when it behaves again ----

$shop->control('DELETE', 'faults');
$shop->control('POST', 'release', {});
$shop->configure("bcpaid.retry_base = '50ms'", "bcpaid.retry_cap = '500ms'");
$shop->odoo(join '', map { "SELECT bcpaid.retry_store($_->{store}[0]);\n" } @captures);
# Where the store had said yes, only an approval sends again.
my $vague = join ',', map { $_->{order} } grep { $_->{outcome} eq 'vague' } @captures;
$shop->odoo("SELECT bcpaid.retry(id) FROM bcpaid.captures WHERE state = 'held' AND order_id NOT IN ($vague);"
	. "SELECT bcpaid.approve(id) FROM bcpaid.captures WHERE state = 'held' AND order_id IN ($vague)");
let_time_pass(@captures);
$_->{name} .= ', and then' for @captures;
$shop->come_to_their_end(@captures);
for my $cell (@captures)
{
	my ($outcome) = $cell->{outcome} =~ /(\w+)/;
	my $writes = $cell->{call} =~ /^p/ && $outcome =~ /^(?:wait|stop|astray|refuse|lost|vague)$/ ? 2 : 1;
	is(writes($cell), $writes, "$cell->{name}: $writes writes in all");
}
test_all(@tests);
come_to_rest('all were tested again', 0, @tests);
look_at(@tests);
is($stores->{ $_->{store}[0] }{test}, 'true', "$_->{name}, and then: well") for @tests;

$shop->store_is_content;
$shop->stop;
done_testing();
