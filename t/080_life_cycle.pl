# Goal: while transfers to two stores hang, whatever ends or changes a database, the extension or the server is done in
# under 2 s; afterwards nothing is lost and nothing is captured twice.
#
# Each case has a database of its own with six captures under way, and another
# database's worker waits beside it for all the time.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use constant IN_TIME => 2 * ($ENV{BCPAID_SLOWER} || 1);	# s

# The other extension's hook is before ours: it must go on being called.
my $shop = Bcpaid::Shop->new('life_cycle', conf => <<'CONF');
shared_preload_libraries = 'pg_stat_statements, bcpaid'
bcpaid.request_timeout = '5min'
bcpaid.max_workers = 16
max_worker_processes = 24
allow_in_place_tablespaces = on
autovacuum = off
log_min_messages = debug1
CONF
my $node = $shop->{node};
my $version = $shop->sql('SELECT extversion FROM pg_extension WHERE extname = \'bcpaid\'');
my $update = $node->config_data('--sharedir') . "/extension/bcpaid--$version--next.sql";

$shop->sql('CREATE EXTENSION pg_stat_statements', dbname => 'postgres');
$shop->sql("CREATE ROLE stranger LOGIN CREATEDB; CREATE TABLESPACE elsewhere LOCATION '';", dbname => 'postgres');
$shop->sql('GRANT CREATE ON TABLESPACE elsewhere TO odoo', dbname => 'postgres');
$shop->another_store('second');
$shop->wait_until_quiet;
$shop->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'odoo'", dbname => 'postgres');

# What hangs, and what the store did of it: a look, a write that the store never took, one that it took.
my @hanging = (
	[ 'a look', 'transactions_get', JSON::PP::false ],
	[ 'a write that was not taken', 'transaction_post', JSON::PP::false ],
	[ 'a write that was taken', 'transaction_post', JSON::PP::true ]);

my %cases;		# by database: the cases under way
my %held;		# how many hang in it

sub at { my ($database, $code) = @_; local $shop->{dbname} = $database; return $code->() }
sub worker { my ($database) = @_; return $shop->sql("SELECT pid FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'bcpaid worker'", dbname => 'postgres') }
sub hanging { return scalar @{ $shop->control('GET', 'report')->{held} } }

# A database whose worker waits for two stores.
sub in_flight
{
	my ($database) = @_;
	my @first = map { { store => $_ } } [ 1, 'demo' ], [ 2, 'second' ];		# of a store not met yet nothing is known: one goes ahead
	my @cases = map { my $hash = $_; map { { name => "$database: $_->[0]", what => $_, store => $hash } } @hanging } [ 1, 'demo' ], [ 2, 'second' ];

	$shop->sql("CREATE DATABASE $database TEMPLATE odoo OWNER odoo STRATEGY file_copy", dbname => 'postgres')
	  if $shop->sql("SELECT count(*) FROM pg_database WHERE datname = '$database'", dbname => 'postgres') eq '0';
	at($database, sub {
		$shop->odoo('SELECT bcpaid.confirm_environment()');
		$shop->place(@first, @cases);
		$shop->pay_all(@first);
		$shop->wait_for_state($_->{order}, 'applied') for @first;
		for my $case (@cases)
		{
			my (undef, $call, $taken) = @{ $case->{what} };
			$case->{fault} = $shop->fault(do => 'hang', then => 'answer', taken => $taken,
				match => { call => $call, store => $case->{store}[1], order => $case->{number} });
		}
		$shop->pay_all(@cases);
	});
	$cases{$database} = \@cases;
	$held{$database} = @cases;
	await_hanging();
	return;
}

sub await_hanging
{
	my $expected = 0;
	$expected += $_ for values %held;
	$shop->wait_until("$expected transfers hang", sub { hanging() == $expected }, sub { hanging() . ' of ' . join ' ', map { "$_ $held{$_}" } sort keys %held });
	return;
}

# Done in time, though transfers hang; `left`: the worker is gone, and its
# transfers with it; `quiet`: it said nothing; `away`: nor came another one.
sub in_time
{
	my ($name, $database, $code, %expected) = @_;
	my $pid = worker($database);
	my $oid = $shop->sql("SELECT oid FROM pg_database WHERE datname = '$database'", dbname => 'postgres');
	my $log = $shop->log_size;
	my $begun = time;
	$code->();
	my $took = time - $begun;

	cmp_ok($took, '<', IN_TIME, sprintf '%s: done in %.1f s', $name, $took);
	if ($expected{left})
	{
		isnt($pid, '', "$name: a worker was there");
		$shop->wait_until("$name: the worker is gone", sub { !kill 0, $pid });
		delete $held{$database};
	}
	await_hanging();
	is(complaints($pid, $log), '', "$name: the worker left without a complaint") if $expected{quiet};
	unlike($shop->log_since($log), qr/starting background worker process "bcpaid worker for database $oid"/, "$name: and none comes at once") if $expected{away};
	return;
}

# That it waited in vain for what a DROP or an ALTER holds is fair: it comes again, or is asked to leave.
sub complaints
{
	my ($pid, $from) = @_;
	return join "\n", grep { /\[$pid\].*(?:WARNING|ERROR|FATAL|PANIC):/ && !/canceling statement due to lock timeout/ } split /\n/, $shop->log_since($from);
}

sub server { my ($sql, %options) = @_; return sub { $options{superuser} ? $shop->sql($sql, dbname => 'postgres') : $shop->odoo($sql, dbname => 'postgres') } }

# ---- another database, and people who may not ----

in_flight('beside');
in_flight('dropped');
my $beside = worker('beside');
$shop->sql('CREATE DATABASE bystander OWNER odoo', dbname => 'postgres');
in_time('DROP DATABASE of another one', 'beside', server('DROP DATABASE bystander'));

for my $statement ('DROP DATABASE beside', 'ALTER DATABASE beside RENAME TO besides', 'CREATE DATABASE copy TEMPLATE beside')
{
	my ($code, $out, $messages) = $shop->try_odoo($statement, dbname => 'postgres', user => 'stranger');
	like($messages, qr/ERROR:  (?:must be owner of database beside|permission denied to copy database "beside")/, "$statement by a stranger fails");
}
is(worker('beside'), $beside, 'and does not keep the worker from its work');
await_hanging();

# ---- its own database ----

in_time('DROP DATABASE', 'dropped', server('DROP DATABASE dropped'), left => 1, quiet => 1, away => 1);
delete $cases{dropped};
in_flight('forced');
in_time('DROP DATABASE WITH (FORCE)', 'forced', server('DROP DATABASE forced WITH (FORCE)'), left => 1, away => 1);
delete $cases{forced};

in_flight('original');
in_time('CREATE DATABASE TEMPLATE', 'original', server('CREATE DATABASE copy TEMPLATE original'), left => 1, quiet => 1, away => 1);
in_flight('duplicated');
in_time('CREATE DATABASE TEMPLATE, after a termination', 'duplicated', server(<<'SQL'), left => 1, away => 1);
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'duplicated' AND pid <> pg_backend_pid();
CREATE DATABASE duplicate ENCODING 'unicode' TEMPLATE duplicated;
SQL
in_flight('named');
in_time('ALTER DATABASE RENAME', 'named', server('ALTER DATABASE named RENAME TO renamed'), left => 1, quiet => 1, away => 1);
$shop->odoo('ALTER DATABASE renamed RENAME TO named', dbname => 'postgres');
in_flight('moved');
in_time('ALTER DATABASE SET TABLESPACE', 'moved', server('ALTER DATABASE moved SET TABLESPACE elsewhere'), left => 1, quiet => 1, away => 1);
is($shop->sql(q{SELECT count(*) FROM pg_stat_statements WHERE query ~ '^DROP DATABASE dropped$|DATABASE (copy TEMPLATE orig|named RENAME|moved SET)'}, dbname => 'postgres'), '4',
	'and another extension saw the statements, too');

# ---- the extension ----
in_flight('uninstalled');
in_time('DROP EXTENSION', 'uninstalled', sub { $shop->odoo('SET client_min_messages = error; DROP EXTENSION bcpaid', dbname => 'uninstalled') }, left => 1, quiet => 1);
in_flight('cleared');
in_time('DROP SCHEMA CASCADE, with the extension in it', 'cleared', sub {
	$shop->sql('SET client_min_messages = error; DROP SCHEMA public CASCADE', dbname => 'cleared') }, left => 1, quiet => 1);
delete $cases{cleared};

# Not waiting, but in the middle of transactions.
$shop->sql('CREATE DATABASE busy TEMPLATE odoo OWNER odoo STRATEGY file_copy', dbname => 'postgres');
at('busy', sub {
	my @many = map { {} } 1 .. 60;
	$shop->odoo('SELECT bcpaid.confirm_environment()');
	$shop->place(@many);
	$shop->pay_all(@many);
	$shop->wait_until('some are captured', sub { $shop->sql("SELECT count(*) FROM bcpaid.captures WHERE state = 'applied'") >= 10 });
});
in_time('DROP EXTENSION under a busy worker', 'busy', sub { $shop->odoo('SET client_min_messages = error; DROP EXTENSION bcpaid', dbname => 'busy') }, left => 1, quiet => 1);

# The next version adds to the ledger and replaces what the worker has plans of.
# It stays in this run's installation: another test, which copies that, must not see it vanish.
open my $script, '>', $update or die "$update: $!";
print {$script} <<'SQL';
ALTER TABLE bcpaid.capture ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE bcpaid.store ADD COLUMN note text;
DO $$ BEGIN
    EXECUTE replace(pg_get_functiondef('bcpaid.queue_applied(bigint[],text[],text[],bigint[])'::regprocedure),
                    ' due = ', ' note = ''by the next version'', due = ');
END $$;
SQL
close $script or die "$update: $!";
in_flight('updated');
my $updated = worker('updated');
my $log = $shop->log_size;
in_time('ALTER EXTENSION UPDATE', 'updated', sub { $shop->odoo("ALTER EXTENSION bcpaid UPDATE TO 'next'", dbname => 'updated') });
delete $held{updated};
at('updated', sub {
	my @under_way = @{ delete $cases{updated} };
	my $after = { name => 'paid after the update' };

	$shop->control('POST', 'release', { fault => $_->{fault} }) for @under_way;
	$shop->place($after);
	$shop->pay_all($after);
	$shop->come_to_their_end(@under_way, $after);
	is($shop->sql("SELECT string_agg(DISTINCT note, ', ') FROM bcpaid.capture WHERE order_id >= $under_way[0]{order}"), 'by the next version',
		'by a function of the next version');
	is(worker('updated'), $updated, 'which the same worker called');
});
is(complaints($updated, $log), '', 'without a complaint');

# ---- the server ----

in_flight('stopped');
%held = ();
in_time('fast shutdown', 'stopped', sub { $node->stop('fast') });
$node->start;
in_flight('killed');
%held = ();
in_time('immediate shutdown', 'killed', sub { $node->stop('immediate') });

# ---- what comes of it all ----

$node->append_conf('postgresql.conf', "bcpaid.request_timeout = '1s'");
$node->start;
$shop->odoo(<<"SQL", dbname => 'uninstalled');
SET client_min_messages = error;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
@{[ map { "SELECT bcpaid.set_store(name => '$_', hash => '$_', mark_order_as_paid => true);" } qw(demo second) ]}
COPY bcpaid.token_inbox FROM STDIN;
1	demo-token
2	second-token
\\.
@{[ map { "SELECT bcpaid_mark($_->{order});" } @{ $cases{uninstalled} } ]}
SQL
for my $database (sort keys %cases)
{
	at($database, sub {
		$shop->sql("UPDATE bcpaid.capture SET due = now() WHERE state = 'unknown'; SELECT bcpaid.wake()");
		$shop->come_to_their_end(@{ $cases{$database} }) });
}
is($shop->sql('SELECT environment_confirmed FROM bcpaid.status LIMIT 1', dbname => $_), 'f', "$_ sent nothing") for qw(copy duplicate);
$shop->store_is_content;
$shop->stop;
done_testing();
