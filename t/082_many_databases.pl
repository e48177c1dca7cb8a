# Goal: many databases, few workers: all are served, a big backlog stops nobody, and who has nothing to do has no connection.
#
# BCPAID_DATABASES says how many there are besides those with a backlog.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

use constant { WORKERS => 3, BACKLOG => 400, LATENCY_MS => 1000, IDLE_S => 3 };

my $many = $ENV{BCPAID_DATABASES} || 60;
my $shop = Bcpaid::Shop->new('many', timeout => 60 + $many, conf => <<"CONF");
bcpaid.max_workers = @{[ WORKERS ]}
bcpaid.request_timeout = '60s'
max_worker_processes = 8
autovacuum = off
log_min_messages = debug1
CONF
my $node = $shop->{node};
my @small = map { "small_$_" } 1 .. $many;
my @big = map { "big_$_" } 1 .. WORKERS;
my %remote;		# by database: its first remote order

sub server { return $shop->sql($_[0], dbname => 'postgres') }
sub workers { return server("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") }
sub left_in { return $shop->sql("SELECT count(*) FROM sale_order WHERE bcpaid_payment_status IS DISTINCT FROM 'Captured'", dbname => $_[0]) }

# ---- copies of two databases, each of its own orders ----

my $slow = $shop->another_store('slow', undef, latency_ms => LATENCY_MS);
$shop->odoo('SELECT fixture.invoice(fixture.order(10))');
$shop->wait_until_quiet;
server(join '', map { "CREATE DATABASE $_ TEMPLATE odoo OWNER odoo STRATEGY file_copy;\n" } @small, 'big');
$shop->odoo("SELECT count(fixture.invoice(fixture.order(10, NULL, $slow->[0]))) FROM generate_series(2, @{[ BACKLOG ]})", dbname => 'big');
server(join '', map { "CREATE DATABASE $_ TEMPLATE big OWNER odoo STRATEGY file_copy;\n" } @big);

my $next = 10_000;
for my $database (@big, @small)
{
	$remote{$database} = $next;
	$next += $database =~ /^big/ ? BACKLOG : 1;
}
my %new = (status_id => 7, payment_method => 'Bank Deposit', payment_status => '', total_inc_tax => '10.0000');
$shop->control('POST', 'stores/slow/orders', { from => $remote{big_1}, to => $remote{small_1} - 1, order => \%new });
$shop->control('POST', 'stores/demo/orders', { from => $remote{small_1}, to => $next - 1, order => \%new });

# Everything in it is paid, in one transaction.
sub pay_in
{
	my ($database) = @_;
	my $store = $database =~ /^big/ ? $slow->[0] : 1;
	return $shop->odoo(<<"SQL", dbname => $database);
SELECT bcpaid.confirm_environment();
BEGIN;
UPDATE sale_order SET bcpaid_store_id = $store, bcpaid_remote_order_id = $remote{$database} + id - (SELECT min(id) FROM sale_order);
UPDATE account_move SET payment_state = 'paid', amount_residual = 0;
COMMIT;
SQL
}

# ---- as many with a backlog as there may be workers, and then all the others ----

pay_in($_) for @big;
my $most = 0;
my $count_workers = sub { my $now = workers(); $most = $now if $now > $most; return $now };
$shop->wait_until('every worker has a backlog', sub { $count_workers->() == WORKERS });
pay_in($_) for @small;
my @left = @small;
$shop->wait_until('each small database was served', sub {
	$count_workers->();
	shift @left while @left && left_in($left[0]) eq '0';
	return !@left }, sub { "these not: @left" });
my @behind = map { left_in($_) } @big;
is(scalar(grep { $_ > 0 } @behind), WORKERS, "all $many others were served before any backlog had come to its end: @behind of " . BACKLOG . ' are left');
$shop->control('PATCH', 'stores/slow', { latency_ms => 0 });
for my $database (@big)
{
	$shop->wait_until("$database is served, too", sub { $count_workers->(); left_in($database) eq '0' }, sub { left_in($database) });
}
is($most, WORKERS, 'with as many workers as there may be, and never more');
is($shop->control('GET', 'captures')->{total}, @small + @big * BACKLOG, 'one capture for each order');

# ---- then nobody has anything to do ----

sub launcher_woke
{
	my $pid = server("SELECT pid FROM pg_stat_activity WHERE backend_type = 'bcpaid launcher'");
	return PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s*(\d+)/m ? $1 : die 'no such process';
}

sub starts
{
	my ($since) = @_;
	my %starts;
	$starts{$_}++ for $shop->log_since($since) =~ /starting background worker process "bcpaid worker for database (\d+)"/g;
	return \%starts;
}

sub is_idle
{
	my ($when) = @_;
	$shop->wait_until("$when: the workers have left", sub { workers() eq '0' });
	server("SELECT pg_sleep(0.5)");		# the last to leave woke the launcher
	my ($log, $woke) = ($shop->log_size, launcher_woke());

	server("SELECT pg_sleep(@{[ IDLE_S ]})");
	is(server("SELECT count(*) FROM pg_stat_activity WHERE datname <> 'postgres'"), '0', "$when: no database has a connection");
	is_deeply(starts($log), {}, "$when: no worker is started");
	is(launcher_woke(), $woke, "$when: and the launcher sleeps");
	return;
}

is_idle('everything served');
my $log = $shop->log_size;
$node->restart;
my $databases = server('SELECT count(*) FROM pg_database WHERE NOT datistemplate');
$shop->wait_until('each database was visited', sub { keys %{ starts($log) } == $databases }, sub { scalar keys %{ starts($log) } });
is_idle('after a restart');
is_deeply(starts($log), { map { $_ => 1 } split /\n/, server("SELECT oid FROM pg_database WHERE NOT datistemplate") }, 'a restart has each database visited once');

$shop->store_is_content;
$shop->stop;
done_testing();
