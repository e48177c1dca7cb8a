# Goal: whatever dies while a capture of unknown outcome is read again: exactly one capture, and no second write before two reads that count agree.
# build: stops
#
# The store drops the first write, taken or not, or takes it later, as the fault
# comes.  For our ledger and for the store's log the same must then be true.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Cells;
use Bcpaid::Matrix;
use Bcpaid::Stops;
use Test::More;

Bcpaid::Stops::need_build();

# Settled before each place: the write, then a read that found nothing, and the second one.
my %lost = (write => { do => 'drop' });
my %taken = (write => { do => 'drop', taken => JSON::PP::true });
my %late = (write => { do => 'late' });
my %read = (hangs => 'transactions_get');
my %row = (
	'while a capture of unknown outcome is read again' => [
		# The first read.
		{ %lost, settled => 1, %read },
		{ %lost, settled => 1, at => 'read.answered' },
		{ %lost, settled => 1, at => 'settle.done' },
		{ %late, settled => 1, %read },
		{ %taken, settled => 1, %read },
		{ %taken, settled => 1, at => 'read.answered' },
		{ %taken, settled => 1, at => 'settle.done' },
		# It found nothing; the second one.
		{ %lost, settled => 1, at => 'settle.committed', absent => 1 },
		{ %late, settled => 1, at => 'settle.committed', absent => 1 },
		{ %lost, settled => 2, %read, absent => 1 },
		{ %late, settled => 2, %read, absent => 1 },
		{ %lost, settled => 2, at => 'read.answered', absent => 1 },
		{ %late, settled => 2, at => 'settle.committed', absent => 1 },
		# The look and the intent that they lead to.
		{ %lost, settled => 3, hangs => 'order_get', absent => 1 },
		{ %lost, settled => 3, at => 'intent.done', absent => 1 } ],
	'after the intent, before the write' => [ { %lost, settled => 3, at => 'intent.committed' } ],
	"after settling, or while Odoo's row is written" => [ { %taken, settled => 1, at => 'settle.committed' } ]);

my @cells = cells_of(crash_table(), { map { $_ => [ by_status_too(@{ $row{$_} }) ] } keys %row });
my $matrix = Bcpaid::Matrix->new('reread', "bcpaid.idle_timeout = '10s'", @cells);
my $shop = $matrix->{shop};
for my $fault ($matrix->faults)
{
	$matrix->round(@$fault);
	my $committed = $matrix->in_each([@cells], '', <<'SQL');
SELECT extract(epoch FROM min(h.at) FILTER (WHERE h.state = 'sending')) || '|' || coalesce(extract(epoch FROM min(h.at) FILTER (
           WHERE h.state = 'unknown' AND h.reason = 'sent, outcome not known; one read did not find it')), 0)
  FROM bcpaid.history h JOIN (SELECT max(id) AS id FROM bcpaid.capture) c ON c.id = h.capture_id
SQL
	is_written_once_or_rightly_again("$fault->[0], " . name_of($_), $_, split /\|/, $committed->{ $_->{database} }) for @cells;
}
$matrix->end;
done_testing();

# `sent_at`: the first intent, a moment after what is counted from; `absent_at`: when it was committed that a read found nothing.
sub is_written_once_or_rightly_again
{
	my ($name, $cell, $sent_at, $absent_at) = @_;
	my $moment = 0.1;
	my @requests = @{ $shop->control('GET', "requests?order=$cell->{number}")->{requests} };
	my (undef, $second, @more) = map { $_->{at} } grep { $_->{method} ne 'GET' } @requests;
	my @answered = grep { $_->{call} eq 'transactions_get' && ($_->{answer}{what} || '') eq 'answered' } @requests;

	is(scalar @more, 0, "$name: not written a third time");
	if (!defined $second || $cell->{write} != $lost{write})
	{
		is($second, undef, "$name: what was taken is not written again");
		is($cell->{write}{do} eq 'drop' && !$cell->{write}{taken}, '', "$name: what was lost is");
		return;
	}
	cmp_ok($absent_at && $second - $absent_at, '>=', $Bcpaid::Matrix::SETTLE_S, "$name: the second write is settle_time after a read that found nothing");
	is(scalar(grep { $_->{at} >= $sent_at + $matrix->{silence} - $moment && $_->{answered_at} <= $absent_at } @answered) > 0, 1, "$name: which began request_timeout and settle_time after the first intent");
	is(scalar(grep { $_->{at} >= $absent_at + $Bcpaid::Matrix::SETTLE_S - $moment && $_->{at} < $second } @answered) > 0, 1, "$name: another one, settle_time later, agreed");
	return;
}
