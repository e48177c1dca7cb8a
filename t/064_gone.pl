# Goal: at whatever call it shows that the store cannot be reached any more, or is somebody else, what becomes of the capture
# is in this table; when the store is there again, every order is captured once, and nobody had to help but where it was stopped.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Names;
use Bcpaid::Shop;
use Test::More;

# What is put off waits for an hour: so it can be looked at, and time passes when we say so.
my $names = Bcpaid::Names->new;
my $shop = $names->mislead(sub { Bcpaid::Shop->new('gone', timeout => 120, conf => <<'CONF') });
bcpaid.request_timeout = '60s'
bcpaid.connect_timeout = '20s'
bcpaid.idle_timeout = '10min'
bcpaid.retry_base = '1h'
bcpaid.retry_cap = '1h'
CONF
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

# ---- how the store is gone and comes back, and why it is said to be ----

sub door { my ($open) = @_; return $shop->control('POST', 'door', { open => $open })->{port} }

my $port = door($true);
my $here = "bcpaid.allowed_hosts = 'localhost:$port'";
my $unknown = "bcpaid.allowed_hosts = 'LOCALHOST:$port'";    # whose address no worker has kept

sub name_is_gone { my ($how) = @_; return sub { $names->do($how); $shop->configure($unknown, "bcpaid.connect_timeout = '2s'") } }
sub name_is_back { $names->do('answer'); return $shop->configure($here, "bcpaid.connect_timeout = '20s'") }

# Who was connected before has to come again.
sub anew { door($false); return door($true) }
sub certificate { my ($kind) = @_; return sub { $shop->control('POST', 'cert', { cert => $kind }); anew() } }
sub handshake { my ($kind, $timeout) = @_; return sub { $shop->control('PATCH', 'settings', { handshake => $kind }); anew(); $shop->configure("bcpaid.connect_timeout = '$timeout'") } }

my @ways = (
	[ 'connection refused', sub { door($false) }, sub { door($true) }, qr/(?:Failed|Couldn't|Could not) (?:to )?connect/ ],
	[ 'no such name', name_is_gone('fail'), \&name_is_back, qr/could not resolve host name "LOCALHOST": Name or service not known/ ],
	[ 'a silent name server', name_is_gone('silent'), \&name_is_back, qr/could not resolve host name "LOCALHOST": the name server does not answer/ ],
	[ 'a handshake without an answer', handshake('hang', '2s'), handshake('normal', '20s'), qr/SSL connection timeout|timed out/i ],
	[ 'a certificate of an unknown authority', certificate('unknown-ca'), certificate('good'), qr/SSL certificate problem: unable to get local issuer/, stops => 1 ],
	[ 'an expired certificate', certificate('expired'), certificate('good'), qr/SSL certificate problem: certificate has expired/, stops => 1 ],
	[ 'a certificate of another host', certificate('wrong-host'), certificate('good'), qr/SSL: no alternative certificate subject name matches target host name 'localhost'/, stops => 1 ]);

# ---- the table ----

# The calls: order and list are the two reads of a look, write what follows it; order? and list? the same reads after a
# write whose answer was lost.  How the store is written to; whether it took the first write.  Then, while it is gone: the
# state, and what the store has seen of writes and captures; how many writes there are in the end.  A store that shows a bad
# certificate is stopped: what waits in the table then is queued.
my $table = <<'TABLE';
| call   | by   | taken | state   | writes | captures | in the end |
|--------|------|-------|---------|--------|----------|------------|
| order  | POST | -     | waiting | 0      | 0        | 1          |
| list   | POST | -     | waiting | 0      | 0        | 1          |
| list   | PUT  | -     | waiting | 0      | 0        | 1          |
| write  | POST | -     | waiting | 0      | 0        | 1          |
| write  | PUT  | -     | waiting | 0      | 0        | 1          |
| order? | POST | yes   | unknown | 1      | 1        | 1          |
| order? | POST | no    | unknown | 1      | 0        | 2          |
| order? | PUT  | yes   | unknown | 1      | 1        | 1          |
| order? | PUT  | no    | unknown | 1      | 0        | 2          |
| list?  | POST | yes   | unknown | 1      | 1        | 1          |
| list?  | POST | no    | unknown | 1      | 0        | 2          |
| list?  | PUT  | yes   | unknown | 1      | 1        | 1          |
| list?  | PUT  | no    | unknown | 1      | 0        | 2          |
TABLE

my %words = (
	order => qr/could not read the order/, list => qr/could not read the order's transactions/,
	write => qr/nothing was sent/, test => qr/could not read the store's settings/);
my %conversations = (order => 1, list => 1, write => 2, 'order?' => 3, 'list?' => 3);

my (undef, @rows) = map { [ map { s/^\s+|\s+$//gr } (split /\|/)[ 1 .. 7 ] ] } grep { !/^\|-/ } split /\n/, $table;
my $n = 0;
my @cells = map { my %cell; @cell{qw(call by taken while_gone writes captured in_the_end)} = @$_;
	+{ %cell, store => $shop->another_store('cell' . ++$n, $cell{by} eq 'PUT' ? "strategy => 'status'" : '') } } @rows;
my $tested = $shop->another_store('tested');
$shop->sql('UPDATE bcpaid.store SET read_back = true');    # none is the first of its store
$shop->configure($here);

for my $way (@ways)
{
	my ($name, $break, $mend, $why, %is) = @$way;
	go_away($way, map { +{ %$_, name => "$name: $_->{call}, $_->{by}" . ($_->{taken} ne '-' ? ", taken: $_->{taken}" : ''),
		while_gone => $is{stops} && $_->{while_gone} eq 'waiting' ? 'queued' : $_->{while_gone} } } @cells);
}

# ---- each way, for all calls at once: every cell has a store of its own, and they are all gone ----

sub at { my ($call, @of) = @_; return grep { $_->{call} eq $call } @of }

sub go_away
{
	my ($how, @of) = @_;
	my ($way, $break, $mend, $why, %is) = @$how;
	my @lost = grep { $_->{call} =~ /\?/ } @of;
	my @held = (at('list', @of), at('write', @of), at('list?', @of));

	# Where each has to be by then: what was asked last is not answered, or the answer to the write was lost.
	$shop->place(@of);
	hold('/v2/orders/', at('list', @of));
	hold('/transactions', at('write', @of));
	$shop->fault(match => { order => $_->{number}, method => $_->{by} }, do => 'drop', taken => $_->{taken} eq 'yes' ? $true : $false) for @lost;
	$shop->pay_all(grep { $_->{call} ne 'order' } @of);
	come_to_rest('the answers to writes are lost', 2, @lost);
	hold('/v2/orders/', at('list?', @of));
	let_time_pass(at('list?', @of));
	$shop->control('POST', 'wait', { held => scalar @held, timeout_ms => 60000 });

	# The first to notice show that the worker knows of no other way to the store.
	my $log = $shop->log_size;
	$break->();
	my $asked = $shop->control('GET', 'requests')->{last};
	$shop->pay_all(at('order', @of));
	let_time_pass(at('order?', @of));
	come_to_rest('who asks finds nobody', $conversations{ $_->{call} }, $_) for at('order', @of), at('order?', @of);
	$shop->control('POST', 'release', {});
	come_to_rest('and so do all others', $conversations{ $_->{call} }, $_) for @of;
	let_time_pass(@of) if $is{stops};    # a store that is stopped is asked nothing more
	my ($ok, $result) = split /\|/, $shop->odoo("CALL bcpaid.test_store($tested->[0])");
	is($ok, 'f', "$way: test_store says no");
	like($result, $is{stops} ? qr/^the store cannot be asked: $why/ : qr/^$words{test}: $why/, "$way: and what is wrong");
	is($shop->control('GET', 'requests')->{last}, $asked, "$way: not a request arrived");
	is_as_told($how, @of);
	is_said_once($log, $_) for $is{stops} ? @of : ();

	$mend->();
	$shop->odoo(join '', map { "SELECT bcpaid.resume($_->{store}[0]);\n" } @of) if $is{stops};
	let_time_pass(@of);
	$shop->come_to_their_end(@of);
	has_lost_nothing($_) for @of;
	like($shop->odoo("CALL bcpaid.test_store($tested->[0])"), qr/^t\|the store answered/, "$way: test_store says yes again");
	is(store_of($_)->{failures}, 0, "$_->{name}: the store is well again") for @of;
	return;
}

sub hold
{
	my ($path, @of) = @_;
	$shop->fault(match => { order => $_->{number}, method => 'GET', path => $path }, do => 'hang', then => 'answer') for @of;
	return;
}

# Each has had so many conversations, and none is under way.
sub come_to_rest
{
	my ($what, $conversations, @of) = @_;
	my $orders = join ',', map { $_->{order} } @of;
	my $restless = sub { $shop->sql(<<"SQL") };
SELECT 'order ' || o || ' is ' || coalesce(c.state || ': ' || coalesce(c.reason, ''), 'not there')
  FROM unnest(ARRAY[$orders]) o LEFT JOIN bcpaid.capture c ON c.order_id = o
 WHERE (SELECT count(*) FROM bcpaid.attempt a WHERE a.capture_id = c.id) < $conversations OR NOT (c.state IN ('waiting', 'unknown') OR (c.state = 'queued' AND EXISTS (SELECT FROM bcpaid.store s WHERE s.id = c.store_id AND s.stopped_reason IS NOT NULL)))
SQL
	$shop->wait_until($what, sub { $restless->() eq '' }, $restless);
	return;
}

# An hour later; what was sent is not on its way any more.
sub let_time_pass
{
	my (@of) = @_;
	my ($orders, $stores) = map { join ',', @$_ } [ map { $_->{order} } @of ], [ map { $_->{store}[0] } @of ];
	$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp(), sent_at = sent_at - interval '1 h' WHERE state IN ('waiting', 'unknown') AND order_id IN ($orders);"
		  . "UPDATE bcpaid.store SET retry_at = NULL, failures = 0 WHERE id IN ($stores); SELECT bcpaid.wake()");
	return;
}

# ---- what came out ----

sub writes_of
{
	my ($cell) = @_;
	return $shop->control('GET', "requests?order=$cell->{number}&method=$cell->{by}")->{count};
}

sub store_of
{
	my ($cell) = @_;
	my %store;
	@store{qw(failures stopped retry asked)} = split /\|/, $shop->sql(<<"SQL");
SELECT failures, coalesce(stopped_reason, ''), retry_at > now(), (SELECT count(*) FROM bcpaid.attempts WHERE order_id = $cell->{order})
  FROM bcpaid.stores WHERE id = $cell->{store}[0]
SQL
	return \%store;
}

sub is_as_told
{
	my ($how, @of) = @_;
	my ($why, %is) = @$how[ 3 .. $#$how ];
	my $seen = $shop->captures_of(@of);

	$shop->count_captures($seen);
	for my $cell (@of)
	{
		my $capture = $seen->{ $cell->{order} };
		my $store = store_of($cell);
		my ($call) = $cell->{call} =~ /(\w+)/;

		is("$capture->{state}, tries $capture->{failures}, writes " . writes_of($cell) . ", captures $capture->{count}",
			"$cell->{while_gone}, tries 0, writes $cell->{writes}, captures $cell->{captured}", $cell->{name});
		like($is{stops} ? $store->{stopped} : $capture->{reason}, $is{stops} ? qr/^the store cannot be asked: $why/ : qr/^$words{$call}: $why/, "$cell->{name}: it is said what, and why");
		is("$store->{failures}, $store->{retry}, $store->{asked}", ($is{stops} ? '0, ' : '1, t') . ", $conversations{ $cell->{call} }", "$cell->{name}: the store " . ($is{stops} ? 'is stopped, and asked no more' : 'waits, too'));
		is($store->{stopped}, '', "$cell->{name}: and is not stopped") unless $is{stops};
	}
	return;
}

sub is_said_once
{
	my ($log, $cell) = @_;
	is(scalar(() = $shop->log_since($log) =~ /bcpaid stopped store $cell->{store}[0]: /g), 1, "$cell->{name}: the log says so, once");
	return;
}

sub has_lost_nothing
{
	my ($cell) = @_;
	my $story = join ' ', map { $_->{method} } @{ $shop->control('GET', "requests?order=$cell->{number}")->{requests} };
	my $states = $shop->sql("SELECT string_agg(h.state, ' ' ORDER BY h.id) FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id WHERE c.order_id = $cell->{order}");

	is(writes_of($cell), $cell->{in_the_end}, "$cell->{name}, and then: writes");
	unlike($story, qr/(?:POST|PUT) (?:POST|PUT)/, "$cell->{name}, and then: never two without a look in between");
	like($states, $cell->{while_gone} eq 'unknown' ? qr/sending unknown/ : qr/^(?:(?!unknown).)*$/, "$cell->{name}, and then: unknown only if a write had left");
	return;
}

$shop->store_is_content;
$shop->stop;
done_testing();
