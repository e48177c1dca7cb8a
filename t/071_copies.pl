# Goal: a copy sends nothing until a person confirms it, and then captures
# nothing again; so does a ledger that was carried past a server without bcpaid.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Copies;
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('copies', conf => "bcpaid.idle_timeout = '100ms'");
my $node = $shop->{node};
my $directory = PostgreSQL::Test::Utils::tempdir;
my $all_rows = 'SELECT count(*), (SELECT count(*) FROM account_move), (SELECT count(*) FROM account_payment) FROM sale_order';
my ($rows_of_backup, @later);

# What each copy has: an order that is captured, one that is due, and open ones.
my $done = { name => 'captured in the original' };
my $due = { name => 'due in the original', store => $shop->another_store('paused', '') };
my @open = map { { name => "paid in a copy, $_" } } 1 .. 20;
$shop->place($done, $due, @open);
$shop->pay_all($done);
$shop->come_to_their_end($done);
$shop->odoo("SELECT bcpaid.pause($due->{store}[0])");
$shop->pay_all($due);
$shop->wait_for_state($due->{order}, 'queued');

backup_for_a_server_without();
changes_in_place();
physical_copy();
upgraded();
server_without();
duplicate();

$shop->store_is_content;
$shop->stop;
done_testing();

# Confirmed it sends: what was paid in it and what was due, and nothing again.
sub goes_on
{
	my ($what, $on, $database, $case) = @_;

	is(psql_as($on, $database, 'odoo', 'SELECT bcpaid.confirm_environment()'), "database $database may send from now on", "$what: a person confirms");
	psql_as($on, $database, 'odoo', "SELECT bcpaid.resume($due->{store}[0])");
	in_copy($shop, $on, $database, sub { $shop->come_to_their_end($done, $due, $case) });
	return;
}

# Odoo terminates the other sessions, then copies, as its own role.
sub duplicate
{
	my $case = shift @open;

	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'odoo'; CREATE DATABASE copy TEMPLATE odoo; CREATE DATABASE origin TEMPLATE odoo},
		extra_params => [ '-U', 'odoo' ]);
	stays_silent($shop, $node, 'copy', 'duplicate', $case, qr/copy or another server \(database, name changed\)/);
	goes_on('duplicate', $node, 'copy', $case);

	# In the place of its original it is still another database.
	rename_database('odoo', 'aside');
	rename_database('origin', 'odoo');
	stays_silent($shop, $node, 'odoo', 'under the name of its original', shift @open, qr/\(database changed\)/);
	rename_database('odoo', 'origin');
	rename_database('aside', 'odoo');
	return;
}

# Each of these in the original, and back; a payment each, sent only afterwards.
sub changes_in_place
{
	my $neutralise = "INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', '%s')";
	my $undo = "DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'";

	foreach my $case (
		[ 'neutralised', sprintf($neutralise, 'true'), qr/this database is neutralised/, $undo ],
		[ 'neutralised, as Odoo writes it', sprintf($neutralise, 'True'), qr/this database is neutralised/, $undo ],
		[ 'another database.uuid', "UPDATE ir_config_parameter SET value = 'x' || value WHERE key = 'database.uuid'", qr/\(database\.uuid changed\)/,
			"UPDATE ir_config_parameter SET value = substr(value, 2) WHERE key = 'database.uuid'" ],
		[ 'no database.uuid', "UPDATE ir_config_parameter SET key = 'x' WHERE key = 'database.uuid'", qr/\(database\.uuid changed\)/,
			"UPDATE ir_config_parameter SET key = 'database.uuid' WHERE key = 'x'" ])
	{
		my ($what, $change, $says, $back) = @$case;
		and_back($what, sub { $shop->odoo($change) }, $says, sub { $shop->odoo($back) });
	}
	and_back('renamed', sub { rename_database('odoo', 'renamed'); $shop->{dbname} = 'renamed' }, qr/\(name changed\)/,
		sub { rename_database('renamed', 'odoo'); $shop->{dbname} = 'odoo' });
	like(($shop->try_odoo(sprintf($neutralise, 'true') . '; SELECT bcpaid.confirm_environment()'))[2],
		qr/ERROR:  this database is neutralised/, 'a neutralised database cannot be confirmed');
	$shop->odoo($undo);
	return;
}

sub and_back
{
	my ($what, $begin, $says, $end) = @_;
	my $case = shift @open;

	$begin->();
	stays_silent($shop, $node, $shop->{dbname}, $what, $case, $says);
	$end->();
	$shop->try_odoo("SELECT bcpaid.retry(id) FROM bcpaid.captures WHERE order_id = $case->{order}");    # unless it is on its way
	$shop->come_to_their_end($case);
	push @later, $case;
	return;
}

sub rename_database
{
	my ($from, $to) = @_;

	$shop->wait_until("database $from is free", sub { ($node->psql('postgres', "ALTER DATABASE $from RENAME TO $to"))[0] == 0 });
	return;
}

# The same system identifier and database: only the instance file tells.
sub physical_copy
{
	my $copy = PostgreSQL::Test::Cluster->new('physical');
	my ($here, $there) = map { "$directory/$_" } qw(here there);
	my $case = shift @open;

	PostgreSQL::Test::Utils::append_to_file($here, "the server of the shop\n");
	$node->safe_psql('postgres', "ALTER SYSTEM SET bcpaid.instance_file = '$here'");
	$node->reload;
	and_back('an instance file is set', sub { }, qr/\(instance changed\)/, sub { $shop->odoo('SELECT bcpaid.confirm_environment()') });

	$node->backup('physical');
	$copy->init_from_backup($node, 'physical');
	$copy->append_conf('postgresql.auto.conf', "bcpaid.instance_file = '$there'");
	$copy->start;
	stays_silent($shop, $copy, 'odoo', 'physical copy without a file', $case, qr/\(instance changed\)/);
	PostgreSQL::Test::Utils::append_to_file($there, "the server of the test\n");
	stays_silent($shop, $copy, 'odoo', 'physical copy with another file', shift @open, qr/\(instance changed\)/);

	# What README warns of: with the same content it takes itself for the original.
	unlink $there;
	PostgreSQL::Test::Utils::append_to_file($there, "the server of the shop\n");
	is(psql_as($copy, 'odoo', 'odoo', 'SELECT bcpaid.environment_is_confirmed()'), 't', 'the same content tells nobody');
	unlink $there;
	goes_on('physical copy', $copy, 'odoo', $case);
	$copy->stop('fast');
	return;
}

# By copying and by linking, which leaves the old one without its files.
sub upgraded
{
	my $from = $node;

	foreach my $way ([ 'upgraded' ], [ 'linked', '--link' ])
	{
		my ($name, @link) = @$way;
		my $case = shift @open;
		my $to = PostgreSQL::Test::Cluster->new($name);
		my $bin = $to->config_data('--bindir');

		$from->stop('fast');
		$to->init(allows_streaming => 1, extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
		settings_of_the_shop($to);
		in_directory($to->basedir, sub {
			PostgreSQL::Test::Utils::command_ok([ 'pg_upgrade', @link, '-b', $bin, '-B', $bin, '-d', $from->data_dir, '-D', $to->data_dir,
					'-p', $from->port, '-P', $to->port, '-s', $to->host ], "$name: pg_upgrade") });
		$to->start;
		stays_silent($shop, $to, 'odoo', $name, $case, qr/copy or another server \(instance, system changed\)|\(system changed\)/);
		goes_on($name, $to, 'odoo', $case);
		$from = $to;
	}
	$from->stop('fast');
	$node->start;
	return;
}

sub in_directory
{
	my ($where, $code) = @_;
	my $before = do { require Cwd; Cwd::getcwd() };

	chdir $where or die "$where: $!";
	$code->();
	chdir $before or die "$before: $!";
	return;
}

sub settings_of_the_shop
{
	my ($to) = @_;
	$to->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'bcpaid'
bcpaid.allowed_hosts = 'localhost:$shop->{store_port}'
bcpaid.ca_file = '$shop->{store_ca}'
bcpaid.settle_time = '200ms'
bcpaid.request_timeout = '2s'
CONF
	return;
}

# Odoo's own backups: plain for a zip, or custom.
sub backup_for_a_server_without
{
	my @dump = ('pg_dump', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo');

	runs([ @dump, "--file=$directory/dump.sql", 'odoo' ], 'plain backup');
	$rows_of_backup = $shop->odoo($all_rows);
	runs([ @dump, '--format=c', "--file=$directory/dump.custom", 'odoo' ], 'custom backup');
	return;
}

# PostgreSQL with the same files, but for those of bcpaid.
sub install_without
{
	my ($bin, $share) = map { $node->config_data($_) } qw(--bindir --sharedir);
	my ($root, $version) = $bin =~ m{^(.*)/lib/postgresql/(\d+)/bin$} or die "where is $bin?";
	my $to = "$directory/pg";

	PostgreSQL::Test::Utils::system_or_bail('mkdir', '-p', "$to/lib/postgresql", "$to/share/postgresql");
	PostgreSQL::Test::Utils::system_or_bail('cp', '-al', "$root/lib/postgresql/$version", "$to/lib/postgresql/");
	PostgreSQL::Test::Utils::system_or_bail('cp', '-al', $share, "$to/share/postgresql/");
	my @files = (glob("$share/extension/bcpaid*"), $node->config_data('--pkglibdir') . '/bcpaid.so');
	my %link = map { my $copy = $_; $copy =~ s/^\Q$root\E/$to/; ($_ => $copy) } @files;
	unlink values %link;
	return ("$to/lib/postgresql/$version", %link);
}

# Odoo's tables come, the ledger does not; carried by hand, all goes on.
sub server_without
{
	my ($path, %link) = install_without();
	my $bare = PostgreSQL::Test::Cluster->new('bare', install_path => $path);
	my $case = shift @open;

	$bare->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
	$bare->start;
	$bare->safe_psql('postgres', 'CREATE ROLE odoo LOGIN CREATEDB; CREATE DATABASE plain OWNER odoo TEMPLATE template0; CREATE DATABASE custom OWNER odoo TEMPLATE template0');
	my @to = ('-h', $bare->host, '-p', $bare->port, '-U', 'odoo');
	my $said = '';
	ok(IPC::Run::run([ 'psql', '-q', '-X', @to, '-d', 'plain', '-f', "$directory/dump.sql" ], '>', '/dev/null', '2>', \$said), 'a plain restore says that all is well');
	like($said, qr/extension "bcpaid" is not available/, 'though the extension is missing');
	ok(!IPC::Run::run([ 'pg_restore', '--no-owner', @to, '-d', 'custom', "$directory/dump.custom" ], '>', '/dev/null', '2>', \$said), 'pg_restore reports it');
	is(psql_as($bare, $_, 'odoo', $all_rows), $rows_of_backup, "$_: Odoo's tables are complete") for qw(plain custom);

	link $_, $link{$_} or die "$link{$_}: $!" for keys %link;
	settings_of_the_shop($bare);
	$bare->restart;
	my $ledger = join '', map { s/\\/\\\\/gr . "\n" } split /\n/, $shop->odoo('SELECT bcpaid.export_ledger()');
	psql_as($bare, 'plain', 'odoo', "CREATE EXTENSION bcpaid;\nCREATE TEMP TABLE l (l jsonb);\nCOPY l FROM STDIN;\n$ledger\\.\nSELECT bcpaid.import_ledger(l) FROM l;");
	my $rows = q{SELECT l #- '{capture,due}' FROM bcpaid.export_ledger() l WHERE NOT l ? 'store' ORDER BY 1};
	is(psql_as($bare, 'plain', 'odoo', $rows), $shop->odoo($rows), 'captures, history, baseline and links are as in the original');
	# From here on they are judged by this Odoo, which is older, and for which some are not paid.
	psql_as($bare, 'plain', 'odoo', "SET client_min_messages = error;\nSELECT bcpaid.attach();\nCOPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n$due->{store}[0]\tpaused-token\n\\.\n");
	$rows = q{SELECT l FROM bcpaid.export_ledger() l WHERE l ?| '{baseline,link}' ORDER BY 1};
	is(psql_as($bare, 'plain', 'odoo', $rows), $shop->odoo($rows), 'and attach() takes nothing from baseline and links');

	stays_silent($shop, $bare, 'plain', 'carried by hand', $case, qr/environment is not confirmed/);
	goes_on('carried by hand', $bare, 'plain', $case);
	in_copy($shop, $bare, 'plain', sub { nothing_again($bare) });
	$bare->stop('fast');
	return;
}

# Open in this Odoo, which is older, and captured by the ledger, which is newer.
sub nothing_again
{
	my ($on) = @_;
	my ($marked, $unnoted, @noted) = @later;
	my $orders = join ',', map { $_->{order} } $done, @later;
	my $ledger = "SELECT id, store_hash, remote_order_id, order_id, state, sends, captured_at FROM bcpaid.capture WHERE order_id IN ($orders) ORDER BY id";
	my ($before, $heard) = ($shop->sql($ledger), requests($shop));
	my $shows = sub { my ($status, @cases) = @_; $shop->wait_until("Odoo shows '$status'", sub { !grep { $shop->status_of($_->{order}) ne $status } @cases }) };
	my $clear = "UPDATE sale_order SET bcpaid_payment_status = NULL WHERE id = $done->{order}";

	cmp_ok(@noted, '>', 1, 'several orders were captured after the backup');
	is(scalar(() = $before =~ /\|applied\|1\|/g), 1 + @later, 'the ledger has them');
	is($shop->sql("SELECT count(*) FROM account_move WHERE payment_state = 'not_paid' AND id IN (@{[join ',', map { $_->{invoice} } @later]})"), scalar(@later), 'in Odoo they are open');
	$shows->('', @later);

	$shop->pay_all(@noted);
	$shows->('Captured', @noted);
	$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($_->{invoice})") for $marked, $unnoted;
	is($shop->odoo("SELECT bcpaid_mark($marked->{order})"), $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $marked->{order}"), 'the button gives what is there');
	is($shop->odoo("SELECT * FROM bcpaid.backfill('2000-01-01', false) WHERE order_id IN ($orders)"), '', 'a backfill finds none of them');
	is($shop->odoo('SELECT bcpaid.sweep()'), '0', 'a sweep enqueues nothing');
	$shows->('Captured', @later);

	# It was Captured in the backup.  Once it is shown again; who clears it then has the last word.
	$shop->odoo($clear);
	$shows->('Captured', $done);
	$shop->odoo("$clear; SELECT bcpaid.sweep(); SELECT bcpaid_mark($done->{order}); SELECT bcpaid.backfill('2000-01-01', false)");
	lets_worker_go_round($shop, $on, 'plain');
	is($shop->status_of($done->{order}), '', 'its status stays cleared');
	is($shop->sql($ledger), $before, 'the same captures, in the same state, sent as often as before');
	is(requests($shop), $heard, 'and the store was asked nothing');
	return;
}
