# Goal: nobody but the server's configuration says whom the worker calls: no
# hash, token, link, redirect, answer or environment variable leads elsewhere.

use strict;
use warnings FATAL => 'all';

use IO::Socket::INET;
use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

# Whoever calls this port was led astray.
my $trap = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', Blocking => 0) or die "no port: $!";
my $elsewhere = '127.0.0.1:' . $trap->sockport;

# What an administrator's shell may have left in the server's environment.
my $home = PostgreSQL::Test::Utils::tempdir;
PostgreSQL::Test::Utils::append_to_file("$home/.netrc", "machine localhost login somebody password else\n");
my $shop = Bcpaid::Shop->new('hosts', conf => "bcpaid.max_attempts = 2\n");
my $node = $shop->{node};
my %proxies = map { $_ => "http://$elsewhere" } qw(http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY);
restart_with(%proxies, NETRC => "$home/.netrc", CURL_HOME => $home, HOME => $home);

$shop->place(my $usual = { name => 'among proxies of the environment' });
$shop->pay_all($usual);
$shop->come_to_their_end($usual);
is(calls(), 0, 'no proxy of the environment is called');

# A proxy of the configuration is, and the environment cannot take it away.
$shop->configure("bcpaid.proxy = 'http://$elsewhere'");
restart_with(no_proxy => 'localhost', NO_PROXY => 'localhost');
$shop->place(my $proxied = { name => 'through a proxy', state => 'applied' });
my $before = requests();
$shop->pay_all($proxied);
$shop->wait_until('the proxy is called', sub { calls() > 0 });
is(requests(), $before, 'NO_PROXY does not lead past it');
$shop->configure("bcpaid.proxy = ''");
$shop->sql("UPDATE bcpaid.store SET retry_at = NULL; UPDATE bcpaid.capture SET due = now() WHERE state = 'waiting'; SELECT bcpaid.sweep()");
$shop->come_to_their_end($proxied);
calls();

# ---- what could end a host, a path or a header early ----

my @malformed = ('', ' ', "abc/../../x", '../abc', 'abc/x', 'abc?x=1', 'abc#x', "abc\@$elsewhere", 'abc%2f..', "abc\r\nHost: $elsewhere", "abc\nX", "abc\tx", "abc\x01",
	"\x{e4}bc", 'abc d', 'abc\\x', 'abc:1', "abc'", 'a' x 65, 'a' x 10_000, "//$elsewhere/");
my @bad_hashes = grep { $_ !~ /^\s*$/ } @malformed;
my @bad_tokens = ('', ' ', "t\r\nHost: $elsewhere", "t\nX-Auth-Token: other", "t\r", 'a b', "t\tx", "t\x01", "t\x7f", "t\x{e4}", "t\x{201c}", 'a' x 256, 'a' x 10_000);
is(join(' ', map { sqlstate('SELECT bcpaid.set_store(1, hash => ' . quoted($_) . ')') } @bad_hashes), join(' ', ('22023') x @bad_hashes), 'set_store refuses these hashes');
is(join(' ', map { sqlstate('SELECT bcpaid.set_token(1, ' . quoted($_) . ')') } @bad_tokens), join(' ', ('22023') x @bad_tokens), 'set_token refuses these tokens');
is(join(' ', map { sqlstate("INSERT INTO bcpaid.token_inbox VALUES ('1', " . quoted($_) . ')') } @bad_tokens), join(' ', ('22023') x @bad_tokens), 'so does the inbox');
is(join(' ', map { sqlstate('UPDATE bcpaid.store SET hash = ' . quoted($_), undef) } @bad_hashes), join(' ', ('23514') x @bad_hashes), 'the table itself takes no such hash,');
is(join(' ', map { sqlstate('UPDATE bcpaid.token SET token = ' . quoted($_), undef) } @bad_tokens), join(' ', ('23514') x @bad_tokens), 'and no such token');
is($shop->sql("SELECT octet_length(token) FROM bcpaid.token WHERE store_id = 1"), length 'demo-token', 'and keeps its own');
is(sqlstate("ALTER SYSTEM SET bcpaid.allowed_hosts = '$_'", undef), '22023', "no host of bcpaid.allowed_hosts: $_")
  for '', "a\@$elsewhere", 'a/b', 'a#b', 'a?b', 'a%2fb', "https://$elsewhere", "a\nb", "a\\b";

# In a hash of the ledger (a restore loads it), of unknown outcome, which is looked for whatever Odoo says.
foreach my $hash ("x/../../v2/stores", "demo\@$elsewhere", "demo\r\nHost: $elsewhere", '')
{
	my $asked = requests();
	my $id = $shop->sql('INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker, sent_at, sends) VALUES ('
		  . quoted($hash) . ", 5, 1, 1, 'unknown', 'payment', 'x', 'x', now() - interval '1 day', 1) RETURNING id");
	$shop->sql('SELECT bcpaid.sweep()');
	$shop->wait_until('it was put off', sub { $shop->sql("SELECT reason FROM bcpaid.capture WHERE id = $id") =~ /its store has another hash now$/ });
	$shop->sql("DELETE FROM bcpaid.capture WHERE id = $id");
	is(requests(), $asked, 'a hash in the ledger that is none: nothing is called');
}

# ---- in a connector's own row, which is Odoo's to write ----

$shop->sql('CREATE DATABASE connector OWNER odoo', dbname => 'postgres');
my @odoo = (dbname => 'connector');
$shop->odoo_file("t/shape/$_.sql", 'connector') for qw(odoo19 fixtures fixtures-payments connectors);
$shop->odoo("SET client_min_messages = error; SELECT fixture.teqstars(); UPDATE mk_instance SET mark_order_paid_from_odoo = false, bc_hash = 'demo', bc_secret = 'demo-token';
CREATE EXTENSION bcpaid; SELECT bcpaid.attach('teqstars')", @odoo);
my $asked = requests();
my @orders;
foreach my $planted ((map { [ $_, 'demo-token' ] } @bad_hashes), map { [ 'demo', $_ ] } @bad_tokens)
{
	my ($hash, $token) = map { quoted($_) } @$planted;
	my ($store, $order) = split /\|/, $shop->odoo("SET client_min_messages = error;
INSERT INTO mk_instance (name, marketplace, bc_hash, bc_secret) VALUES ('x', 'bigcommerce', $hash, $token) RETURNING id \\gset
SELECT bcpaid.set_store(:id, mark_order_as_paid => true) \\g /dev/null
SELECT fixture.order(10, NULL) AS o \\gset
UPDATE sale_order SET mk_instance_id = :id, mk_id = 1000 + :o WHERE id = :o;
SELECT :id, :o, fixture.pay(fixture.invoice(:o))", @odoo);
	push @orders, [ $store, $order, @$planted ];
}
$shop->wait_until('all are judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate', @odoo) eq '0'
		&& $shop->sql("SELECT count(*) FROM bcpaid.capture c WHERE c.state IN ('claimed', 'sending')", @odoo) eq '0' });
foreach (@orders)
{
	my ($store, $order, $hash, $token) = @$_;
	my $what = $token eq 'demo-token' ? "hash '" . shown($hash) . "'" : "token '" . shown($token) . "'";
	if ($token eq 'demo-token')
	{
		like($shop->sql("SELECT detail FROM bcpaid_why_not($order) WHERE condition = 'switch'", @odoo), qr/no valid store hash/, "a connector's $what is none");
	}
	else
	{
		$shop->wait_until("$what is met", sub { $shop->sql("SELECT coalesce(stopped_reason, '') FROM bcpaid.stores WHERE id = $store", @odoo) ne '' });
		is($shop->sql("SELECT stopped_reason FROM bcpaid.stores WHERE id = $store", @odoo), 'the store has no valid hash or access token', "a connector's $what stops its store");
	}
}
is(requests(), $asked, 'and no store was called for any of them');

# ---- what a store answers ----

my $page = JSON::PP->new->encode({ data => [], meta => { pagination => { total => 1, count => 1, per_page => 250, current_page => 1, total_pages => 1,
	links => { next => "https://$elsewhere/next", current => "//$elsewhere/" } } }, links => { next => "https://$elsewhere/" } });
my @answers = (
	(map { [ "a redirect, $_", { do => 'redirect', to => "https://$elsewhere/", status => $_ }, 'queued', qr/redirect/ ] } 301, 302, 303, 307, 308),
	[ 'a redirect without a scheme', { do => 'redirect', to => "//$elsewhere/x", status => 302 }, 'queued', qr/redirect/ ],
	[ 'headers that lead away', { do => 'pass', headers => { Location => "https://$elsewhere/", 'Content-Location' => "https://$elsewhere/", Refresh => "0; url=https://$elsewhere/",
		Link => "<https://$elsewhere/>; rel=next", 'Alt-Svc' => "h2=\"$elsewhere\"; ma=86400", 'Set-Cookie' => 'a=b; Domain=127.0.0.1', 'Proxy-Authenticate' => 'Negotiate',
		'Strict-Transport-Security' => 'max-age=1', 'Retry-After' => "https://$elsewhere/", 'X-Rate-Limit-Requests-Left' => "https://$elsewhere/" } }, 'applied' ],
	[ 'authentication asked for', { do => 'answer', status => 401, headers => { 'WWW-Authenticate' => "Basic realm=\"https://$elsewhere/\"" } }, 'queued', qr/does not accept the token/ ],
	[ 'a proxy that wants authentication', { do => 'answer', status => 407, headers => { 'Proxy-Authenticate' => 'Basic' } }, 'refused|waiting|held|queued' ],
	[ 'pages that lead away', { do => 'answer', status => 200, body => $page, match => { call => 'transactions_get' } }, 'applied' ],
	[ 'JSON with control characters', { do => 'answer', status => 400, body => '[{"message":"a\u0000b\u001b[2J\u2028c\r\nHost: x"}]' }, 'refused|waiting|held' ],
	[ 'JSON that is huge', { do => 'answer', status => 200, body => '{"a":"' . 'x' x 700_000 . '"}' }, 'refused|waiting|held' ],
	[ 'JSON that is deep', { do => 'answer', status => 200, body => '[' x 100_000 }, 'refused|waiting|held' ]);
foreach my $answer (@answers)
{
	my ($name, $fault, $state, $stopped) = @$answer;
	my %fault = %$fault;

	$shop->place(my $case = { name => $name });
	$shop->fault(%fault, times => 'forever', match => { order => $case->{number}, method => 'GET', %{ $fault{match} || {} } });
	$shop->pay_all($case);
	if ($stopped)
	{
		$shop->wait_until("$name stops the store", sub { $shop->sql('SELECT coalesce(stopped_reason, \'\') FROM bcpaid.stores WHERE id = 1') =~ $stopped });
	}
	$shop->wait_for_state($case->{order}, $state, because => $name);
	unlike($shop->sql("SELECT string_agg(concat(detail, ' '), '') FROM bcpaid.attempts WHERE order_id = $case->{order}"), qr/[\x00-\x1f\x7f]|\x{2028}/, "$name: nothing in the ledger breaks a line");

	# Cancelled while the fault is still there: the worker would send it else.
	$shop->sql('SELECT bcpaid.cancel(id) FROM bcpaid.capture WHERE state IN (\'refused\', \'held\', \'waiting\', \'queued\', \'claimed\')');
	$shop->control('DELETE', 'faults');
	$shop->sql('SELECT bcpaid.resume(1)');
}
is(calls(), 0, 'no answer led anywhere else');
is_deeply([ grep { $_->{path} !~ m{^/stores/[a-z0-9]+/v[23]/(?:orders/\d+(?:/transactions(?:\?[a-z0-9=&]+)?)?|store)$} } @{ $shop->control('GET', 'requests')->{requests} } ],
	[], 'every path ever called is one of ours');

IO::Socket::INET->new(PeerAddr => $elsewhere) or die "the trap is gone: $!";
is(calls(), 1, 'a call would have been seen');
$shop->store_is_content;
$shop->stop;
done_testing();

sub restart_with
{
	my (%environment) = @_;
	$node->stop;
	local @ENV{ keys %environment } = values %environment;    # the server's; the test itself asks the sandbox by HTTP
	$node->start;
	return;
}

sub calls
{
	my $n = 0;
	while (my $caller = $trap->accept) { $n++; close $caller }
	return $n;
}

sub requests { return $shop->control('GET', 'report')->{requests} }
sub shown { my ($text) = @_; return substr($text =~ s/[^ -~]/?/gr, 0, 20) }

# As an escape string, byte by byte where it matters.
sub quoted
{
	my ($text) = @_;
	return "E'" . join('', map { my $c = ord; $c < 32 || $c > 126 || /[\\']/ ? sprintf('\\u%04x', $c) : $_ } split //, $text) . "'";
}

sub sqlstate
{
	my ($statement, $user) = (@_, 'odoo');
	$user = $_[1] if @_ > 1;
	my ($code, $out, $messages) = $node->psql('odoo', "\\set VERBOSITY sqlstate\n$statement", on_error_stop => 1, $user ? (extra_params => [ '-U', $user ]) : ());
	return $messages =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : '00000';
}

