# Goal: whatever a store does when its first capture is read back, the capture stays done, the store is neither stopped nor
# kept waiting but where it asks for it, and the store's next capture is read back in its place; what was told is kept.  Where
# the capture is not known to be done until it is read, a bad certificate stops the store, and what is read later settles it.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

# No worker stays for long: so it can be seen that nothing more comes.
my $shop = Bcpaid::Shop->new('read_back', timeout => 120, conf => <<'CONF');
bcpaid.request_timeout = '60s'
bcpaid.connect_timeout = '60s'
bcpaid.idle_timeout = '100ms'
CONF

# ---- the table ----

# What is seen then: nothing (-), a warning, or that the store waits, because it said so.
my @calls = qw(order list);
my $table = <<'TABLE';
| the store's answer       | order   | list    |
|--------------------------|---------|---------|
| 200 {}                   | -       | -       |
| 200 without a body       | -       | -       |
| 204                      | -       | warning |
| 302                      | -       | -       |
| 400                      | warning | warning |
| 401                      | -       | -       |
| 403                      | -       | -       |
| 404                      | warning | warning |
| 408                      | -       | -       |
| 409                      | -       | -       |
| 429                      | -       | -       |
| 429 with X-Retry-After   | waits   | waits   |
| 429 with the quota       | waits   | waits   |
| 500                      | -       | -       |
| 503                      | -       | -       |
| closed                   | -       | -       |
| reset                    | -       | -       |
| garbage                  | -       | -       |
| cut off                  | -       | -       |
| 10 MB                    | -       | -       |
| silence                  | -       | -       |
TABLE

my %fault = (
	'200 {}' => { do => 'answer', status => 200, body => {} },
	'200 without a body' => { do => 'answer', status => 200, body => '' },
	'204' => { do => 'answer', status => 204, body => '' },
	'302' => { do => 'redirect', status => 302, to => 'https://localhost/' },
	'429 with X-Retry-After' => { do => 'answer', status => 429, headers => { 'X-Retry-After' => 600 } },
	'429 with the quota' => { do => 'answer', status => 429, headers => { 'X-Rate-Limit-Requests-Left' => 0,
		'X-Rate-Limit-Requests-Quota' => 150, 'X-Rate-Limit-Time-Window-Ms' => 600_000, 'X-Rate-Limit-Time-Reset-Ms' => 600_000 } },
	'closed' => { do => 'drop' }, 'reset' => { do => 'drop', how => 'reset' }, 'garbage' => { do => 'garbage' }, 'silence' => { do => 'hang' },
	'cut off' => { do => 'pass', cut => 20 }, '10 MB' => { do => 'answer', status => 200, shape => 'huge' });
my %said = ('200 {}' => qr/^the (?:store's answer is not order|order's transactions cannot be read)/, '200 without a body' => qr/HTTP 200/,
	'204' => qr/^the store(?:'s answer is not order \d+| shows the order as captured, and no transaction of ours)$/, 'closed' => qr/empty reply|connection died/i, 'reset' => qr/reset/i, 'garbage' => qr/HTTP/,
	'cut off' => qr/HTTP 200: .*(?:closed|remaining)/, '10 MB' => qr/HTTP 200: the answer is too long/, 'silence' => qr/time(?:d ?|-)?out/i);
my %path = (order => '/v2/orders/', list => '/transactions');

my (undef, @rows) = map { [ map { s/^\s+|\s+$//gr } (split /\|/)[ 1 .. 3 ] ] } grep { !/^\|-/ } split /\n/, $table;
my $n = 0;
my @cells = map { my $row = $_;
	map { { answer => $row->[0], call => $calls[$_], seen => $row->[ $_ + 1 ], name => "$calls[$_]: $row->[0]", store => $shop->another_store('cell' . ++$n) } } 0 .. $#calls } @rows;

# ---- while the store misbehaves ----

misbehave(grep { $_->{answer} ne 'silence' } @cells);
$shop->configure("bcpaid.request_timeout = '3s'");
misbehave(grep { $_->{answer} eq 'silence' } @cells);
$shop->configure("bcpaid.request_timeout = '60s'");

# The look before the write is the first to read each.
sub misbehave
{
	my (@of) = @_;

	$shop->place(@of);
	for my $cell (@of)
	{
		my ($status) = $cell->{answer} =~ /^(\d+)/;
		$shop->fault(%{ $fault{ $cell->{answer} } || { do => 'answer', status => $status } }, after => 1, times => 'forever',
			match => { order => $cell->{number}, method => 'GET', path => $path{ $cell->{call} } });
	}
	$shop->pay_all(@of);
	$shop->come_to_their_end(@of);
	no_worker();
	came_out($_) for @of;
	return;
}

sub no_worker
{
	return $shop->wait_until('no worker runs', sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
}

sub came_out
{
	my ($cell) = @_;
	my ($status) = $cell->{answer} =~ /^([3-5]\d\d)/;
	my $said = $said{ $cell->{answer} } || qr/HTTP $status/;
	my ($state, $failures, $warned, $outcome, $detail) = row($cell, "c.state, c.failures, coalesce(c.warning, ''), a.outcome, a.detail");
	my ($reads, $stopped, $store_failures, $waits, $read_back, $store_warned) = row($cell,
		"(SELECT count(*) FROM bcpaid.attempts WHERE order_id = c.order_id AND purpose = 'read back'), coalesce(s.stopped_reason, ''), s.failures, s.retry_at > clock_timestamp() + interval '5 min' IS TRUE, s.read_back, coalesce(s.warning, '')");

	is("$state, tries $failures, writes " . writes($cell), 'applied, tries 0, writes 1', "$cell->{name}: the capture stays done");
	like($detail, $said, "$cell->{name}: what was read is kept ($outcome)");
	is($reads, '1', "$cell->{name}: it is read once");
	is("'$stopped', failures $store_failures", "'', failures 0", "$cell->{name}: the store is not stopped, nor to blame");
	is($waits, $cell->{seen} eq 'waits' ? 't' : 'f', "$cell->{name}: and waits if it said so");
	is($read_back, 'f', "$cell->{name}: it is not known what the store shows");
	is($_, $cell->{seen} eq 'warning' ? $detail : '', "$cell->{name}: who is to know is told") for $warned, $store_warned;
	return;
}

# Of the cell's capture, its read back and its store.
sub row
{
	my ($cell, $columns) = @_;
	return split /\|/, $shop->sql(<<"SQL"), -1;
SELECT $columns FROM bcpaid.capture c JOIN bcpaid.store s ON s.id = c.store_id LEFT JOIN bcpaid.attempt a ON a.capture_id = c.id AND a.purpose = 'read back'
 WHERE c.order_id = $cell->{order}
SQL
}

sub writes { my ($cell) = @_; return $shop->control('GET', "requests?order=$cell->{number}&method=POST")->{count} }
sub story { my ($cell) = @_; return join ' ', map { $_->{method} } @{ $shop->control('GET', "requests?order=$cell->{number}")->{requests} } }

# ---- a certificate that is bad by then ----

# The write was answered, with our marker or without (unshown).
my $port = $shop->control('POST', 'door', { open => JSON::PP::true })->{port};
$shop->configure("bcpaid.allowed_hosts = 'localhost:$port'");
my %certificate = ('unknown-ca' => qr/unable to get local issuer/, 'expired' => qr/certificate has expired/, 'wrong-host' => qr/no alternative certificate subject name/);
for my $kind (sort keys %certificate)
{
	my ($order, $list, $unshown) = my @of = map { { answer => "certificate $kind", call => $_, seen => '-', name => "certificate $kind: $_", store => $shop->another_store("cell" . ++$n) } } qw(order list unshown);
	my $why = $said{"certificate $kind"} = qr/^the store cannot be asked: SSL.*$certificate{$kind}/;

	$shop->place(@of);
	$shop->fault(match => { order => $order->{number}, method => 'POST' }, do => 'hang', then => 'answer');
	$shop->fault(match => { order => $unshown->{number}, method => 'POST' }, do => 'answer', status => 201, body => '', taken => JSON::PP::true);
	$shop->fault(match => { order => $_->{number}, method => 'GET', path => '/v2/orders/' }, after => 1, do => 'hang', then => 'answer') for $list, $unshown;
	$shop->pay_all(@of);
	$shop->control('POST', 'wait', { held => 3, timeout_ms => 60000 });
	show_certificate($kind);
	my ($asked) = ($shop->control('GET', 'requests')->{last}, $shop->control('POST', 'release', {}));
	$shop->come_to_their_end($order, $list);
	no_worker();
	came_out($_) for $order, $list;
	my ($state, $reason, $stopped, $count) = row($unshown, "c.state, c.reason, coalesce(s.stopped_reason, ''), (SELECT count(*) FROM bcpaid.attempt WHERE capture_id = c.id AND purpose = 'read back')");
	is("$state, writes " . writes($unshown) . ", reads $count", 'unknown, writes 1, reads 1', "$unshown->{name}: nobody knows what was done");
	like($_, $why, "$unshown->{name}: the store is stopped, and it is said why") for $reason, $stopped;
	is($shop->control('GET', 'requests')->{last}, $asked, "certificate $kind: not a request arrived");

	show_certificate('good');
	$shop->odoo("SELECT bcpaid.resume($unshown->{store}[0])");
	$shop->come_to_their_end($unshown);
	push @cells, @of;
}

# Who was connected before has to come again.
sub show_certificate
{
	my ($kind) = @_;
	$shop->control('POST', 'cert', { cert => $kind });
	return map { $shop->control('POST', 'door', { open => $_ }) } JSON::PP::false, JSON::PP::true;
}

# ---- one that hangs is in nobody's way, and one of a store at a time tells ----

my $slow = $shop->another_store('slow');
my ($hangs, $beside) = map { { name => $_, store => $slow } } 'while it is read back it is applied', 'and the next capture is, too';
$shop->place($hangs, $beside);
$shop->fault(match => { order => $hangs->{number}, method => 'GET', path => '/v2/orders/' }, after => 1, do => 'hang', then => 'answer');
$shop->pay_all($hangs);
$shop->control('POST', 'wait', { held => 1, timeout_ms => 60000 });
$shop->pay_all($beside);
$shop->come_to_their_end($hangs, $beside);
$shop->control('POST', 'release', {});
no_worker();
is(story($hangs), 'GET GET POST GET GET', 'it is read back to the end');
is(story($beside), 'GET GET POST', 'one of a store at a time is read back');
is((row($hangs, 's.read_back'))[0], 't', 'which tells');

# ---- when the store behaves again ----

$shop->control('DELETE', 'faults');
$shop->sql('UPDATE bcpaid.store SET retry_at = NULL');
for my $more ([ 'the next is read back', 'GET GET POST GET GET' ], [ 'then none is', 'GET GET POST' ])
{
	my ($what, $story) = @$more;
	my @next = map { { name => "$_->{name}, and then: $what", store => $_->{store} } } @cells;

	$shop->place(@next);
	$shop->pay_all(@next);
	$shop->come_to_their_end(@next);
	no_worker();
	for my $case (@next)
	{
		# One in a hundred is read back for good.
		my ($id, $read_back) = row($case, 'c.id, s.read_back');
		is(story($case), $id % 100 ? $story : 'GET GET POST GET GET', $case->{name});
		is($read_back, 't', "$case->{name}: it is known what the store shows");
	}
}
is(story($_) =~ tr/P//, 1, "$_->{name}, and then: one write in all") for @cells;

$shop->store_is_content;
$shop->stop;
done_testing();
