# Goal: whatever dies while a capture of unknown outcome is read again: exactly one capture, and no second write before two reads that count agree.
# build: stops
#
# The store drops the first write, taken or not, or takes it later, as the fault
# comes.  For our ledger and for the store's log the same must then be true.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use List::Util qw(max);
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
WITH h AS (SELECT h.*, h.reason = 'sent, outcome not known; one read did not find it' AS absent FROM bcpaid.history h
            WHERE capture_id = (SELECT max(id) FROM bcpaid.capture)),
     a AS (SELECT coalesce(max(at), 'infinity') AS at, count(*) AS times FROM h WHERE absent)
SELECT extract(epoch FROM max(h.at)) || '|' || extract(epoch FROM a.at) || '|' || a.times
  FROM h, a WHERE h.state = 'sending' AND h.at < a.at GROUP BY a.at, a.times
SQL
	is_written_once_or_rightly_again($fault->[0], $_, split /\|/, $committed->{ $_->{database} }) for @cells;
}
$matrix->end;
done_testing();

# `absent_at`: when it was committed last that a read found nothing, so many `times`; `sent_at`: the intent before, a moment after what is counted from.
sub is_written_once_or_rightly_again
{
	my ($fault, $cell, $sent_at, $absent_at, $times) = @_;
	my $name = "$fault, " . name_of($cell);
	my $moment = 0.1;    # a process that is ready may wait so long for the processor
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
	# Twice after an intent that nobody sent, or where a read came in between that was too early (the server began anew) or failed.
	# On a slow machine the first read after the server began anew may come late enough to agree with the one before.
	my $is_intent = ($cell->{at} || '') eq 'intent.committed' && $fault ne 'lost connection';
	my $has_failed = $fault eq 'lost connection' && $cell->{hangs};
	my $began_anew = $matrix->{began_anew};
	my $was_early = $began_anew && grep { $_->{at} > $began_anew && $_->{at} < $began_anew + $matrix->{silence} - $moment } @answered;
	my $anew = $is_intent || $cell->{absent} && ($was_early || $has_failed || $began_anew && $times == 2);
	my $counts_from = max($sent_at, !$cell->{absent} || $anew ? $began_anew : 0) + $matrix->{silence} - $moment;
	is($times, $anew ? 2 : 1, "$name: that a read found nothing is committed, and stays so");
	cmp_ok($second - $absent_at, '>=', $Bcpaid::Matrix::SETTLE_S - $moment, "$name: the second write is settle_time after it");
	is(scalar(grep { $_->{at} >= $counts_from && $_->{answered_at} <= $absent_at } @answered) > 0, 1, "$name: it began when a read counts");
	is(scalar(grep { $_->{at} >= $absent_at + $Bcpaid::Matrix::SETTLE_S - $moment && $_->{at} < $second } @answered) > 0, 1,
		"$name: another one, settle_time later, agreed");
	# That one, and the look after it: none of them is from before the server began anew.
	cmp_ok(scalar(grep { $_->{at} >= $began_anew + $matrix->{silence} - $moment && $_->{at} < $second } @answered), '>=', 2,
		"$name: the store was read and looked at when that counts") if $began_anew;
	return;
}
