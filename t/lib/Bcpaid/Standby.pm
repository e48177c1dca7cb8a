# What the tests of a failover share: a standby, its promotion, and clients that
# pay meanwhile.
#
# A standby is a server beside the shop's; once it took over, it is the shop's.

package Bcpaid::Standby;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(on set standby posts launched_at take_over comes_after cut_off make_gate open_gate payer committed);

sub on { my ($node, $sql) = @_; return $node->safe_psql('odoo', $sql) }

# For this server alone: standby() leaves it behind.
sub set
{
	my ($node, $setting, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$value'");
	$node->reload;
	return;
}

sub standby
{
	my ($name, $upstream, $backup) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init_from_backup($upstream, $backup, has_streaming => 1);
	$node->append_conf('postgresql.conf', "bcpaid.enabled = on");
	unlink $node->data_dir . '/postgresql.auto.conf';
	$node->append_conf('postgresql.auto.conf', '');
	$node->start;
	return $node;
}

# Writes to the store after a request.
sub posts
{
	my ($shop, $since) = @_;
	return @{ $shop->control('GET', "requests?method=POST&after=$since")->{requests} };
}

sub launched_at
{
	my ($shop, $node) = @_;
	my $sql = "SELECT extract(epoch FROM backend_start) FROM pg_stat_activity WHERE backend_type = 'bcpaid launcher'";

	$shop->wait_until('the launcher runs', sub { on($node, $sql) });
	return on($node, $sql);
}

# It gets nothing more from the server that it follows.
sub cut_off
{
	my ($shop, $old, $new) = @_;

	$new->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
	$new->reload;
	$shop->wait_until($new->name . ' is cut off', sub { $old->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication') eq '0' });
	return;
}

# The old server dies; from now on Odoo talks to the new one.  Returns its last
# request and when the silence began.
sub take_over
{
	my ($shop, $old, $new) = @_;

	$old->stop('immediate');
	my $since = $shop->control('GET', 'requests')->{last};
	$new->promote;
	$shop->{node} = $new;
	is(on($new, 'SELECT bool_and(environment_confirmed) FROM bcpaid.status'), 't', $new->name . ': needs no confirmation');
	return ($since, launched_at($shop, $new));
}

sub comes_after
{
	my ($shop, $since, $begun, $silence) = @_;
	my ($soonest) = sort { $a <=> $b } map { $_->{at} - $begun } posts($shop, $since);

	cmp_ok($soonest, '>=', $silence, 'the first write came after the silence');
	return;
}

# A client that pays one after the other and says which are committed.  `gate_at`: before the n-th it waits until
# somebody opens the gate.  `to_the_end` => 0: the last one it never commits.
sub payer
{
	my ($shop, $cases, %how) = @_;
	my @sql = map { "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT fixture.pay($_->{invoice}); COMMIT;\n\\echo committed $_->{order}\nSELECT pg_sleep(0.05);\n" } @$cases;
	$sql[ $how{gate_at} ] = "DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.02); END LOOP; END \$\$;\n$sql[ $how{gate_at} ]" if $how{gate_at};
	$sql[-1] =~ s/COMMIT/SELECT pg_sleep(600); COMMIT/ unless $how{to_the_end} // 1;
	my $client = { out => '', err => '', file => PostgreSQL::Test::Utils::tempdir . '/payments.sql' };

	PostgreSQL::Test::Utils::append_to_file($client->{file}, join '', @sql);
	$client->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'odoo', '-d', $shop->{node}->connstr('odoo'),
			'-f', $client->{file} ], '>', \$client->{out}, '2>', \$client->{err});
	return $client;
}

sub make_gate { my ($shop) = @_; return $shop->odoo('CREATE TABLE gate (is_open boolean)') }
sub open_gate { my ($shop) = @_; return $shop->odoo('INSERT INTO gate VALUES (true)') }

# The orders that a client saw paid, before its server died or without an error.
sub committed
{
	my ($client, %how) = @_;

	$client->{run}->finish;
	like($client->{err}, qr/terminating connection|server closed the connection/, 'its connection was lost') unless $how{without_error};
	is($client->{err}, '', 'it paid all') if $how{without_error};
	return $client->{out} =~ /^committed (\d+)$/mg;
}

1;
