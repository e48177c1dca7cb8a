# Goal: whatever dies, wherever: afterwards exactly one capture at the store, and the order Captured.  README's crash table is held to it.
# build: stops

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Cells;
use Bcpaid::Matrix;
use Bcpaid::Stops;
use PostgreSQL::Test::Utils;
use Test::More;

Bcpaid::Stops::need_build();

# By README's row: the places, see t/lib/Bcpaid/Cells.pm.
my %row = (
	"in Odoo's transaction" => [ { at => 'candidate.written', session => 1 } ],
	"after Odoo's commit, before the wake-up or the judging" =>
	  [ { at => 'candidate.committed', session => 1 }, { at => 'judge.begin' } ],
	'while judging, or before the claim commits' =>
	  [ { at => 'judge.done' }, { at => 'judge.committed' }, { at => 'claim.done' } ],
	'after the claim, during the look, or while the intent commits' => [
		{ at => 'claim.committed' }, { at => 'read.begun' }, { hangs => 'order_get' }, { hangs => 'transactions_get' },
		{ at => 'read.answered' }, { at => 'intent.done' } ],
	'after the intent, before the write' => [
		{ at => 'intent.committed' }, { at => 'write.begun' }, { at => 'intent.committed', then => 'recover.done' } ],
	'during the write, or before its answer is read' =>
	  [ { hangs => 'transaction_post' }, { hangs => 'transaction_post', taken => JSON::PP::true } ],
	'after the answer, before it is settled' => [ { at => 'write.answered' }, { at => 'settle.done' } ],
	'after a yes that did not show our marker' => [ { at => 'settle.committed', write => { do => 'answer', status => 201, body => '', taken => JSON::PP::true } } ],
	"after settling, or while Odoo's row is written" => [ { at => 'settle.committed' }, { at => 'apply.done' } ],
	'after the end, or during the read-back that may follow' =>
	  [ { at => 'apply.committed' }, { hangs => 'order_get', nth => 1, read_back => 1 } ],
	# No process dies, or more than one: shown elsewhere.
	'while a capture of unknown outcome is read again' => 't/054_crash_reread.pl: while a capture of unknown outcome is read again',
	'when a standby does not confirm the intent in time (no death)' => 't/025_findings.pl: is sent that no standby knows of',
	'with its server, and recovery brings back no intent (a standby that lost it takes over)' => 't/052_silence.pl: the intent is lost');

# The other way to capture differs around the write alone.
for my $where ('after the intent, before the write', 'during the write, or before its answer is read', 'after the answer, before it is settled',
	'after a yes that did not show our marker', "after settling, or while Odoo's row is written")
{
	$row{$where} = [ by_status_too(@{ $row{$where} }) ];
}

# ---- README's table ----

my %said = %{ crash_table() };
is_deeply([ sort keys %said ], [ sort keys %row ], "README's crash table has the rows that have places, and no other");
for my $where (grep { !ref $row{$_} } sort keys %row)
{
	my ($file, $words) = split /: /, $row{$where}, 2;
	like(slurp_file($file), qr/\Q$words\E/, "$where: shown by $file");
}

my @cells = cells_of(\%said, \%row);
my %points = map { $_ => 1 } map { /"([a-z]+\.[a-z]+)"/g } map { slurp_file($_) =~ /stop_point\((.*)\);/g } glob 'src/*.c';
my %used = map { $_ => 1 } 'recover.begin', grep { defined } map { @$_{qw(at then)} } @cells;
is_deeply([ sort keys %points ], [ sort keys %used ], 'every stop point is a place');

# ---- the rounds ----

my $matrix = Bcpaid::Matrix->new('crash', '', @cells);
my $shop = $matrix->{shop};
for my $fault ($matrix->faults)
{
	$matrix->round(@$fault);
	is_changed_once("$fault->[0], " . name_of($_), $_) for grep { $_->{by_status} } @cells;
}
$matrix->end;
done_testing();

# By us, to what comes next for an order that is paid; written again only where the first write never came to the store.
sub is_changed_once
{
	my ($name, $cell) = @_;
	my $fulfilment = 11;    # the order awaits it
	my $seen = $shop->control('GET', "stores/demo/orders/$cell->{number}");
	my ($marker, $captor) = split /\|/, $matrix->in_each([$cell], '', "SELECT marker, captured_by FROM bcpaid.capture WHERE remote_order_id = $cell->{number}")->{ $cell->{database} };
	my ($writes, $captures) = map { $shop->control('GET', "requests?order=$cell->{number}&call=$_")->{count} } 'order_put', 'transaction_post';

	is(join(' ', map { "$_->{kind} $_->{marker}" } @{ $seen->{captures} }), "status $marker", "$name: one change, with our marker");
	is("$seen->{order}{status_id} $seen->{order}{payment_provider_id}", "$fulfilment $marker", "$name: the order shows it");
	cmp_ok($writes, '<=', $cell->{hangs} && !$cell->{taken} ? 2 : 1, "$name: no write that is not needed");
	is($captor, 'bcpaid', "$name: which is known to be ours");
	is($captures, 0, "$name: and no transaction beside it");
	return;
}
