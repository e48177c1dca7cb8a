# Goal: whatever is wrong on the way to the stores, nothing is sent to a stranger, nothing is lost or captured twice,
# and what is wrong is said; a name server that is slow or gone stops no store.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Names;
use Bcpaid::Shop;
use Test::More;
use Time::HiRes qw(time);

my $names = Bcpaid::Names->new;
my $shop = $names->mislead(sub { Bcpaid::Shop->new('transport', timeout => 120, conf => <<'CONF') });
bcpaid.request_timeout = '60s'
bcpaid.connect_timeout = '30s'
bcpaid.idle_timeout = '10min'
CONF
my @stores = ([ 1, 'demo' ], $shop->another_store('another'));
$shop->sql('UPDATE bcpaid.store SET read_back = true');

# ---- what may be wrong: how it is broken and mended, what is said, and whether it stops the store ----

sub certificate { my ($kind) = @_; return sub { $shop->control('POST', 'cert', { cert => $kind }) } }
sub setting { my (@lines) = @_; return sub { $shop->configure(@lines) } }
sub handshake { my ($kind) = @_; return sub { $shop->control('PATCH', 'settings', { handshake => $kind }) } }
sub name_server { my ($does) = @_; return sub { $names->do($does) } }
sub both { my (@do) = @_; return sub { $_->() for @do; return } }

my $hosts = "bcpaid.allowed_hosts = 'localhost:$shop->{store_port}'";
my $ca = "bcpaid.ca_file = '$shop->{store_ca}'";
my $soon = "bcpaid.connect_timeout = '2s'";
my $later = "bcpaid.connect_timeout = '30s'";
my $nowhere = PostgreSQL::Test::Cluster::get_free_port();

my @wrong = (
	[ 'a certificate of an unknown authority', certificate('unknown-ca'), certificate('good'), qr/SSL certificate problem: unable to get local issuer/, stops => 1 ],
	[ 'an expired certificate', certificate('expired'), certificate('good'), qr/SSL certificate problem: certificate has expired/, stops => 1 ],
	[ 'a certificate of another host', certificate('wrong-host'), certificate('good'), qr/SSL: no alternative certificate subject name matches target host name 'localhost'/, stops => 1 ],
	[ 'a handshake that breaks off', handshake('close'), handshake('normal'), qr/SSL_ERROR_SYSCALL|unexpected eof|reset by peer/ ],
	[ 'a handshake without an answer', both(setting($soon), handshake('hang')), both(handshake('normal'), setting($later)), qr/SSL connection timeout|timed out/i ],
	[ 'connection refused', setting("bcpaid.allowed_hosts = 'localhost:$nowhere'"), setting($hosts), qr/(?:Failed|Couldn't|Could not) (?:to )?connect/ ],
	[ 'a proxy that is not there', setting("bcpaid.proxy = 'http://localhost:$nowhere'"), setting("bcpaid.proxy = ''"), qr/(?:Failed|Couldn't|Could not) (?:to )?connect/ ],
	[ 'no file of authorities', setting("bcpaid.ca_file = '/nonexistent'"), setting($ca), qr/error setting certificate|CAfile/ ],
	[ 'a host that is only a port', setting("bcpaid.allowed_hosts = ':443'"), setting($hosts), qr/bcpaid\.allowed_hosts does not begin with a host name/ ],
	[ 'no such name', both(name_server('fail'), setting("bcpaid.allowed_hosts = 'LOCALHOST:$shop->{store_port}'")), both(name_server('answer'), setting($hosts)),
		qr/could not resolve host name "LOCALHOST": Name or service not known/ ],
	[ 'a silent name server', both(name_server('silent'), setting($soon, "bcpaid.allowed_hosts = 'LOCALHOST:$shop->{store_port}'")), both(name_server('answer'), setting($hosts, $later)),
		qr/could not resolve host name "LOCALHOST": the name server does not answer/ ]);

# ---- one after the other, for two stores: looks ----

sub orders { my ($name) = @_; return map { { name => "$name, store $_->[1]", store => $_ } } @stores }
sub stopped { my ($store) = @_; return $shop->sql("SELECT coalesce(stopped_reason, '') FROM bcpaid.stores WHERE id = $store->[0]") }
sub log_says { my ($from, $store) = @_; return scalar(() = $shop->log_since($from) =~ /bcpaid stopped store $store->[0]: /g) }

$shop->come_to_their_end(walk(orders('all is well')));

sub walk
{
	my (@cases) = @_;
	$shop->place(@cases);
	$shop->pay_all(@cases);
	return @cases;
}

# An order in store that waits, or whose store is stopped, with a reason.
sub waits_with
{
	my ($reason, $stops, $case) = @_;
	my $state = $stops ? 'queued' : 'waiting';
	my $said = sub { $stops ? stopped($case->{store}) : $shop->sql(
			"SELECT coalesce(min(detail), '') FROM bcpaid.attempts WHERE order_id = $case->{order} AND outcome IN ('wait', 'not sent')") };

	$shop->wait_until("$case->{name}: it is said", sub { $said->() ne '' });
	like($said->(), $reason, "$case->{name}: what is wrong");
	$shop->wait_for_state($case->{order}, "$state|claimed", because => $case->{name});
	is($shop->sql("SELECT failures FROM bcpaid.captures WHERE order_id = $case->{order}"), '0', "$case->{name}: no order is to blame");
	is(stopped($case->{store}) ne '', !!$stops, "$case->{name}: the store is " . ($stops ? 'stopped' : 'not stopped'));
	return;
}

for (@wrong)
{
	my ($name, $break, $mend, $reason, %expected) = @$_;
	my $log = $shop->log_size;

	$break->();
	$shop->control('POST', 'disconnect', {});
	my $asked = $shop->control('GET', 'requests')->{last};
	my @cases = walk(orders($name));
	waits_with($reason, $expected{stops}, $_) for @cases;
	is($shop->control('GET', 'requests')->{last}, $asked, "$name: not a request arrived");
	$mend->();
	if ($expected{stops})
	{
		is(log_says($log, $_), 1, "$name: the log says once that store $_->[1] is stopped") for @stores;
		like($shop->sql("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'store $_->[0]' AND NOT ok"), qr/^stopped: the store cannot be asked: $reason/, "$name: doctor says so") for @stores;
		$shop->odoo("SELECT bcpaid.resume($_->[0])") for @stores;
	}
	$shop->come_to_their_end(@cases);
}
is($shop->control('GET', 'report')->{connections}{tls_failed}[0] ? 1 : 0, 1, 'and the store saw that we turned away');

# ---- the same between the look and the write ----

for (grep { $_->[0] =~ /certificate|breaks off/ } @wrong)
{
	my ($name, $break, $mend, $reason, %expected) = @$_;
	my ($case) = my @cases = ({ name => "$name, when it was looked at" });

	$shop->place(@cases);
	my $look = $shop->fault(match => { order => $case->{number}, path => '/transactions', method => 'GET' }, do => 'hang', then => 'answer');
	$shop->pay_all(@cases);
	$shop->control('POST', 'wait', { held => 1, timeout_ms => 60000 });
	$break->();
	$shop->control('POST', 'release', { fault => $look });
	waits_with($reason, $expected{stops}, $case);
	is($shop->control('GET', "requests?order=$case->{number}&method=POST")->{count}, 0, "$case->{name}: no write arrived");
	$mend->();
	$shop->odoo('SELECT bcpaid.resume(1)');
	$shop->come_to_their_end(@cases);
	is($shop->sql("SELECT count(*) FROM bcpaid.history h JOIN bcpaid.captures c ON c.id = h.capture_id WHERE c.order_id = $case->{order} AND h.state = 'unknown'"), '0',
		"$case->{name}: it was certain that nothing was sent");
}

# ---- an http URL is no host ----

my ($code, undef, $messages) = $shop->{node}->psql('odoo', "\\set VERBOSITY verbose\nALTER SYSTEM SET bcpaid.allowed_hosts = 'http://localhost'");
isnt($code, 0, 'an http URL is refused');
like($messages, qr/ERROR:  22023: invalid value for parameter "bcpaid.allowed_hosts": "http:\/\/localhost"/, 'and it is said why');
my $log = $shop->log_size;
$shop->{node}->append_conf('postgresql.conf', "bcpaid.allowed_hosts = 'http://localhost:$shop->{store_port}'");
$shop->{node}->reload;
$shop->wait_until('the log says so', sub { $shop->log_since($log) =~ /invalid value for parameter "bcpaid.allowed_hosts": "http:/ });
$shop->come_to_their_end(walk(orders('an http URL in the file: the old host stays')));
$shop->configure($hosts);

# ---- a connection that cannot even be begun is tried again by the clock alone ----

$shop->configure("bcpaid.allowed_hosts = '255.255.255.255:443'");
my @nowhere = walk((orders('no way there'))[0]);
{
	local $shop->{timeout} = 20;    # s; one whose end nobody notices takes 12
	$shop->wait_until('it was tried five times', sub { $shop->sql("SELECT count(*) >= 5 FROM bcpaid.attempts WHERE order_id = $nowhere[0]{order}") eq 't' });
}
like($shop->sql("SELECT string_agg(DISTINCT detail, ' ') FROM bcpaid.attempts WHERE order_id = $nowhere[0]{order}"), qr/(?:Failed|Couldn't|Could not) (?:to )?connect/, 'no way there: that is said');
$shop->configure($hosts);
$shop->come_to_their_end(@nowhere);

# ---- a slow name server stops nobody that knows the name ----

my $before = $names->asked('localhost');
name_server('silent')->();
$shop->{node}->reload;    # what is known is looked up anew
$shop->come_to_their_end(walk(orders('beside a lookup without an answer')));
cmp_ok($names->asked('localhost'), '>', $before, 'the name was looked up meanwhile');
name_server('fail')->();
$shop->{node}->reload;
$shop->come_to_their_end(walk(orders('beside a lookup that fails')));

# Who does not know it yet waits; Odoo's side goes on, and so does the shutdown.
name_server('silent')->();
$shop->configure("bcpaid.allowed_hosts = 'LocalHost:$shop->{store_port}'");
my @late = walk(orders('with a name that is not known yet'));
$shop->wait_until('the name is asked for', sub { $names->asked('LocalHost') });
$shop->wait_for_state($_->{order}, 'claimed', because => $_->{name}) for @late;
my @more = orders('judged meanwhile');
walk(@more);
$shop->wait_for_state($_->{order}, 'queued|claimed', because => $_->{name}) for @more;
my $begun = time;
$shop->{node}->stop('fast');
cmp_ok(time - $begun, '<', 10, 'a lookup without an answer does not hold up a fast shutdown');
name_server('answer')->();
$shop->{node}->start;
$shop->come_to_their_end(@late, @more);

$shop->store_is_content;
$shop->stop;
done_testing();
