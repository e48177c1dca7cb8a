# Goal: no write travels twice without a look in between, whatever libcurl does when a connection dies before the answer.
#
# libcurl repeats a request by itself when a connection that it re-used dies before
# the first byte of the answer.  So a write has a connection of its own; reads share
# theirs, and may be repeated.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Bcpaid::Stops;
use Test::More;

my $shop = Bcpaid::Shop->new('resend');
my $by_status = $shop->another_store('bystatus', "strategy => 'status'");

# The connection dies before the answer, after the store took the request or before, for both ways to write.
my @cases;
for my $way ([ 'POST' ], [ 'PUT', $by_status ])
{
	for my $how ('close', 'reset')
	{
		push @cases, { name => "$way->[0], nothing wrong, before $how", store => $way->[1], writes => 1 };
		push @cases, map { { name => "$way->[0], $how, " . ($_ ? 'taken' : 'not taken'), method => $way->[0], store => $way->[1],
			fault => { do => 'drop', how => $how, taken => $_ ? JSON::PP::true : JSON::PP::false }, writes => $_ ? 1 : 2 } } 0, 1;
	}
}
push @cases, { name => 'a read', method => 'GET', fault => { do => 'drop' }, writes => 1 };

# Once with all at the same time, once one after the other over connections that are there to be re-used.
$shop->place(@cases);
order_faults(@cases);
$shop->pay_all(@cases);
$shop->come_to_their_end(@cases);

my @in_turn = map { { %$_, name => "$_->{name}, in turn" } } @cases;
$shop->place(@in_turn);
order_faults(@in_turn);
for my $case (@in_turn)
{
	$shop->pay_all($case);
	$shop->wait_for_state($case->{order}, 'applied');
}
$shop->come_to_their_end(@in_turn);

my $log = $shop->control('GET', 'requests')->{requests};
my %carried;
$carried{ $_->{connection} }++ for @$log;
for my $case (@cases, @in_turn)
{
	my @mine = grep { ($_->{order} || 0) == $case->{number} } @$log;
	my $story = join ' ', map { $_->{method} } @mine;

	is(scalar(grep { is_write($_) } @mine), $case->{writes}, "$case->{name}: $case->{writes} writes");
	unlike($story, qr/(?:POST|PUT) (?:POST|PUT)/, "$case->{name}: never two without a look in between");
	is(join(' ', map { $carried{ $_->{connection} } } grep { is_write($_) } @mine), join(' ', (1) x $case->{writes}), "$case->{name}: each has a connection of its own");
}
cmp_ok((sort { $b <=> $a } values %carried)[0], '>', 1, 'while reads do re-use theirs');

# The build that people get: see src/stop.h.
ok(!Bcpaid::Stops::is_built(), 'nothing of the stop points is in the ordinary build');

$shop->store_is_content;
$shop->stop;
done_testing();

sub is_write { return $_[0]{method} =~ /^(?:POST|PUT)$/; }

sub order_faults
{
	$shop->fault(%{ $_->{fault} }, match => { order => $_->{number}, method => $_->{method} }) for grep { $_->{fault} } @_;
	return;
}
