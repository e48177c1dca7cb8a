# Goal: a crash may lose an intent whose request still travels: nothing is written to a store until it has landed, and then the look finds it.
# build: stops
#
# The server dies with a request at the store that is not taken yet.  The intent
# is lost by putting the capture back to what it was before, while the next worker
# waits at its first step.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Bcpaid::Stops;
use Test::More;
use Time::HiRes qw(time);

Bcpaid::Stops::need_build();

my $silence = 4 * ($ENV{BCPAID_SLOWER} || 1) + 11;
my $shop = Bcpaid::Shop->new('silence', conf => "bcpaid.request_timeout = '4s'\nbcpaid.settle_time = '11s'");
my $stops = Bcpaid::Stops->new($shop);

# The request lands after the crash, or never; another store's work goes on.
my %case = (
	odoo => { number => 11, fault => { do => 'late' }, writes => 1 },
	lost => { number => 12, fault => { do => 'drop' }, writes => 2 });

$shop->make_database('lost');
for my $database (sort keys %case)
{
	my $case = $case{$database};
	$case->{id} = $shop->fault(%{ $case->{fault} }, match => { order => $case->{number}, method => 'POST' });
	$stops->stop_at($database, 'write.answered');
	$case->{order} = $shop->paid_order(10, $case->{number}, dbname => $database);
}
for my $database (sort keys %case)
{
	$case{$database}{pid} = $stops->wait_for_stop($database, 'write.answered');
	is($shop->state_of($case{$database}{order}, dbname => $database), 'sending', "$database: the request is on its way");
	$stops->stop_at($database, 'recover.begin');
}

my $died = time;
$shop->{node}->stop('immediate');
$stops->let_go($_, $case{$_}{pid}) for keys %case;
$shop->{node}->start;
for my $database (sort keys %case)
{
	$stops->wait_for_stop($database, 'recover.begin');
	$shop->sql(<<'SQL', dbname => $database);
DELETE FROM bcpaid.history WHERE state = 'sending';
UPDATE bcpaid.capture SET state = 'claimed', sends = 0, sent_at = NULL;
SQL
	is($shop->state_of($case{$database}{order}, dbname => $database), 'claimed', "$database: the intent is lost");
	$stops->let_go($database);
}
for my $database (sort keys %case)
{
	$shop->wait_for_state($case{$database}{order}, 'waiting', dbname => $database);
	like($shop->reason_of($case{$database}{order}, dbname => $database), qr/not shut down cleanly: a request may still be on its way/, "$database: waits, and says why");
	is($shop->captures($case{$database}{number}), 0, "$database: looked at, and not there yet");
}
my $new = $shop->paid_order(10, 13);
$shop->wait_for_state($new, 'waiting');
like($shop->reason_of($new), qr/not shut down cleanly/, 'a new payment waits, too');
is($shop->control('GET', 'requests?method=POST')->{count}, 2, 'nothing was written by then');
cmp_ok(time - $died, '<', $silence, 'which is within the time of silence');

$shop->control('POST', 'release', { fault => $case{odoo}{id} });
$shop->control('POST', 'wait', { captures => { store => 'demo', order => 11 } });
for my $database (sort keys %case)
{
	my $case = $case{$database};
	$shop->wait_for_state($case->{order}, 'applied', dbname => $database);
	my $writes = $shop->control('GET', "requests?method=POST&order=$case->{number}");
	is($writes->{count}, $case->{writes}, "$database: as many writes as are needed");
	is($shop->captures($case->{number}), 1, "$database: captured once");
	cmp_ok($writes->{requests}[-1]{at} - $died, '>=', $silence, "$database: the second one not before the silence was over") if $case->{writes} > 1;
}
$shop->wait_for_state($new, 'applied');
cmp_ok($shop->control('GET', 'requests?method=POST&order=13')->{requests}[0]{at} - $died, '>=', $silence, 'the new payment waited as long');

$shop->store_is_content;
$shop->stop;
done_testing();
