# Goal: a reload of each setting takes effect in a worker that runs, while a transfer hangs; and where no process is free
# for a worker, it waits, says so, and comes when one is.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use constant IN_TIME => 5 * ($ENV{BCPAID_SLOWER} || 1);	# s

# Processes for the launcher and for two workers.
my $shop = Bcpaid::Shop->new('settings', conf => <<'CONF');
bcpaid.idle_timeout = '1h'
bcpaid.connect_timeout = '60s'
bcpaid.request_timeout = '5min'
bcpaid.sweep_interval = '1d'
max_logical_replication_workers = 0
max_worker_processes = 3
autovacuum = off
CONF
my $node = $shop->{node};
my $instance = PostgreSQL::Test::Utils::tempdir . '/instance';
PostgreSQL::Test::Utils::append_to_file($instance, 'another server');

sub worker { my ($database) = @_; return $shop->sql("SELECT pid FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'bcpaid worker'", dbname => 'postgres') }
sub column { my ($case, $column) = @_; return $shop->sql("SELECT $column FROM bcpaid.captures WHERE order_id = $case->{order}") }
sub paid { my ($name, %more) = @_; my $case = { name => $name, %more }; $shop->place($case); $shop->pay_all($case); return $case }
sub ends { my ($case, %expected) = @_; return $shop->come_to_their_end({ %$case, %expected }) }
sub known { my ($case, $what, $condition) = @_; return $shop->wait_until("$case->{name}: $what", sub { column($case, $condition) eq 't' }, sub { column($case, "state || ' ' || due || ' ' || coalesce(reason, '')") }) }
sub broken { my ($case, %fault) = @_; return $shop->fault(%fault, match => { call => 'order_get', order => $case->{number}, %{ $fault{match} || {} } }) }

# Reloads by ALTER SYSTEM, so that the next one starts from the old values.  Returns when.
sub reload
{
	my (%settings) = @_;
	$node->safe_psql('postgres', join '', "ALTER SYSTEM RESET ALL;\n", map { "ALTER SYSTEM SET bcpaid.$_ = '$settings{$_}';\n" } sort keys %settings);
	my $begun = time;
	$node->reload;
	return $begun;
}

# What is in effect by now; `more` seconds were to pass before.
sub in_time { my ($begun, $what, $more) = @_; my $took = time - $begun; return cmp_ok($took, '<', IN_TIME + ($more || 0), sprintf '%s: after %.1f s', $what, $took) }

# The worker looks at this after what was due before, by the settings that it has then.
sub goes_round
{
	$shop->sql("INSERT INTO bcpaid.candidate VALUES ('o', 0); SELECT bcpaid.wake()");
	return $shop->wait_until('the worker goes round', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });
}

# At once what waits for a time, and what is held.
sub go_on
{
	my ($case) = @_;
	return $shop->sql(<<"SQL");
UPDATE bcpaid.store SET retry_at = NULL, failures = 0;
UPDATE bcpaid.capture SET due = now() WHERE order_id = $case->{order} AND state IN ('waiting', 'unknown');
SELECT bcpaid.retry(id) FROM bcpaid.capture WHERE order_id = $case->{order} AND state = 'held';
SELECT bcpaid.wake();
SQL
}

# ---- one transfer hangs all the time, in the same worker ----

my $other = $shop->another_store('other');
ends(paid("the first of $_->[1], of which nothing is known", store => $_)) for [ 1, 'demo' ], $other;
my $hanging = { name => 'hangs all the time', store => $other };
$shop->place($hanging);
my $hang = $shop->fault(do => 'hang', then => 'answer', match => { call => 'transactions_get', order => $hanging->{number} });
$shop->pay_all($hanging);
$shop->wait_until('a transfer hangs', sub { @{ $shop->control('GET', 'report')->{held} } == 1 });
my $pid = worker('odoo');

# A new order in each case is dealt with as the setting says; then that is
# undone.  What is given for `due` holds for what waits.
my %wait = (state => 'waiting', captures => 0);
my %unreachable = (%wait, reason => qr/could not read the order/);
my %tried = (
	enabled => { to => 'off', %wait, reason => qr/^$/, state => 'queued' },
	dry_run => { to => 'on', %wait, reason => qr/dry_run is on/ },
	allowed_hosts => { to => 'localhost:1', %unreachable },
	proxy => { to => 'http://localhost:1', %unreachable },
	ca_file => { to => "$shop->{store_ca}.not_there", %unreachable },
	instance_file => { to => $instance, %wait, state => 'queued', doctor => qr/instance changed/ },
	request_timeout => { to => '300ms', %wait, reason => qr/timed out|timeout/i, fault => { do => 'hang' }, more => { retry_base => '1h', retry_cap => '1h' } },
	connect_timeout => { to => '300ms', %wait, reason => qr/could not read the order/, handshake => 'hang', more => { retry_base => '1h', retry_cap => '1h' } },
	retry_base => { to => '1h', %wait, fault => { do => 'drop' }, more => { retry_cap => '1d' }, due => ['40 min', '80 min'] },
	retry_cap => { to => '10min', %wait, fault => { do => 'drop' }, more => { retry_base => '1h' }, due => ['7 min', '13 min'] },
	settle_time => { to => '1h', state => 'unknown', captures => 0, fault => { do => 'drop', match => { call => 'transaction_post' } }, due => ['60 min', '70 min'],
		again => { request_timeout => '200ms' } },
	max_attempts => { to => '1', captures => 0, state => 'held', reason => qr/^gave up after 1 tries/, fault => { do => 'answer', status => 409 } });

for my $setting (sort keys %tried)
{
	my %case = %{ $tried{$setting} };
	my $case = { name => "bcpaid.$setting = $case{to}" };

	$shop->control('PATCH', 'settings', { handshake => $case{handshake} }) if $case{handshake};
	$shop->control('POST', 'disconnect', {});
	$shop->place($case);
	broken($case, %{ $case{fault} }) if $case{fault};
	my $begun = reload($setting => $case{to}, %{ $case{more} || {} });
	$shop->wait_until("$case->{name} is known here", sub { $shop->sql("SELECT current_setting('bcpaid.$setting')") eq $case{to} });
	$shop->pay_all($case);
	goes_round() for 1 .. 2;		# in the second at the latest it would be claimed
	$shop->come_to_their_end({ %$case, map { $_ => $case{$_} } grep { defined $case{$_} } qw(state captures reason) });
	in_time($begun, $case->{name});
	known($case, 'waits as long', "due BETWEEN now() + '$case{due}[0]' AND now() + '$case{due}[1]'") if $case{due};
	like($shop->sql("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'environment' AND NOT ok"), $case{doctor}, "$case->{name}: doctor says why") if $case{doctor};

	$shop->control('PATCH', 'settings', { handshake => 'normal' }) if $case{handshake};
	reload(%{ $case{again} || {} });
	go_on($case);
	$shop->come_to_their_end({ %$case, name => "$case->{name}: as before after another reload" });
	is(worker('odoo'), $pid, "$case->{name}: by the same worker");
}

# ---- what comes by the clock ----

sub unnoted { my ($invoice) = @_; return $shop->sql("SET session_replication_role = replica; UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = $invoice") }

my $swept = { name => 'bcpaid.sweep_interval = 1s: found by the clock' };
$shop->place($swept);
unnoted($swept->{invoice});
$shop->sql("UPDATE bcpaid.history SET at = at - interval '2 days' WHERE capture_id = 1");
my $reloaded = reload(sweep_interval => '1s');
ends($swept);
in_time($reloaded, $swept->{name}, 1);
is($shop->sql('SELECT count(*) > 0 FROM bcpaid.history WHERE capture_id = 1'), 't', 'bcpaid.retention of two years keeps what is two days old');
$reloaded = reload(sweep_interval => '1s', retention => '1');
$shop->wait_until('bcpaid.retention = 1: what is two days old is gone', sub { $shop->sql('SELECT count(*) FROM bcpaid.history WHERE capture_id = 1') eq '0' });
in_time($reloaded, 'bcpaid.retention = 1', 1);
is(worker('odoo'), $pid, 'by the same worker');

# ---- workers: no more than may be, nor than there are processes for ----

sub at { my ($database, $code) = @_; local $shop->{dbname} = $database; return $code->() }
sub doctor { return $shop->sql(q{SELECT ok || ' ' || detail FROM bcpaid.doctor() WHERE "check" = 'worker processes'}, dbname => 'odoo') }
sub complaints { return scalar(() = $shop->log_since(0) =~ /LOG:  bcpaid cannot start a worker: max_worker_processes is used up/g) }

reload(max_workers => 1);
$shop->make_database('second');
my $second = { name => 'bcpaid.max_workers = 3: the second database is served' };
at('second', sub { $shop->place($second); $shop->pay_all($second) });
$shop->wait_until('the worker has had its slice of time', sub {
	$shop->sql("SELECT backend_start < now() - interval '11 s' FROM pg_stat_activity WHERE pid = $pid") eq 't' });
my $meanwhile = paid('while the only worker has no time for new ones', state => 'queued', captures => 0);
ends($meanwhile);
is(worker('second'), '', 'bcpaid.max_workers = 1: the second database waits');
is(complaints(), 0, 'which is nothing to complain of');
$reloaded = reload(max_workers => 3);
at('second', sub { ends($second) });
in_time($reloaded, $second->{name});
is(doctor(), 'true there is one when it is needed', 'doctor knows of no lack of processes');

my $third = { name => 'the third database is served' };
at('second', sub {
	my $busy = $second->{busy} = { name => 'kept the process busy' };
	$shop->place($busy);
	$busy->{fault} = $shop->fault(do => 'hang', then => 'answer', match => { call => 'transactions_get', order => $busy->{number} });
	$shop->pay_all($busy);
	$shop->wait_until('the second worker is busy', sub { @{ $shop->control('GET', 'report')->{held} } == 2 });
});
$shop->make_database('third');
at('third', sub {
	$shop->place($third);
	$shop->pay_all($third);
	$shop->wait_until('doctor says that no process is free', sub { doctor() eq 'false max_worker_processes is used up: what is due waits for one to end' }, \&doctor);
	$shop->odoo('SELECT bcpaid.resume(1)') for 1 .. 5;		# each wakes the launcher
	is($shop->state_of($third->{order}), '', 'the third database waits');
	is($shop->sql('SELECT worker_runs FROM bcpaid.status'), 'f', 'as its status says');
});
is(complaints(), 1, 'and the log says so, once');
$shop->control('POST', 'release', { fault => $second->{busy}{fault} });
at('third', sub { ends($third) });
at('second', sub { ends($second->{busy}) });
$shop->wait_until('doctor says that all is well', sub { doctor() =~ /^true/ });

# ---- the one that hung all the time ----

is(worker('odoo'), $pid, 'the worker that hangs is still the same');
$shop->control('POST', 'release', { fault => $hang });
ends($_) for $hanging, { %$meanwhile, state => 'applied', captures => 1 };
$reloaded = reload(idle_timeout => '0');
$shop->wait_until('bcpaid.idle_timeout = 0: nobody stays', sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
in_time($reloaded, 'bcpaid.idle_timeout = 0');

is($shop->sql(q{SELECT string_agg(substr(name, 8), ' ' ORDER BY name COLLATE "C") FROM pg_settings WHERE name LIKE 'bcpaid.%' AND context = 'sighup'}),
	join(' ', sort keys %tried, qw(idle_timeout max_workers retention sweep_interval)), 'these are all that a reload changes');

$shop->store_is_content;
$shop->stop;
done_testing();
