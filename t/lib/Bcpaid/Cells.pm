# The cells of the crash matrix (t/lib/Bcpaid/Matrix.pm): what README's crash table says, and the places that belong to each of its rows.
#
#     my @cells = cells_of(crash_table(), { 'in Odoo\'s transaction' => [ { at => 'candidate.written' } ] });
#
# A place is a hash.  `at`: a stop point; `hangs`: a request, and which of that kind (`nth`), and whether the store takes
# it first (`taken`); `write`: what the store does to the first write (what it takes `late`, it takes as the fault comes);
# `settled`: so many conversations are to be settled before the place; `absent`: how many reads that count have then found
# nothing; `session`: the process that stops is the accountant's; `read_back`: while a capture is read back; `then`: where
# the next worker is to meet the same fault; `by_status`: its store is one whose captures are changes of the order's status.

package Bcpaid::Cells;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(crash_table cells_of by_status_too name_of says was_lost write_of);

# README's table, by its first column.
sub crash_table
{
	my ($table) = slurp_file('README.md') =~ /^\| it dies \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)/m;
	return { map { my @cell = /\| (.*?) (?=\|)/g; ($cell[0] => { committed => $cell[1], next => $cell[2], store => $cell[3] }) } split /\n/, $table };
}

# The places of each row of the table, in a database each.
sub cells_of
{
	my ($table, $places) = @_;
	my @cells = map { my $row = $_; map { { %$_, row => $row, said => $table->{$row} } } @{ $places->{$row} } } grep { ref $places->{$_} } sort keys %$places;

	$cells[$_]{database} = sprintf 'cell%02d', $_ for 0 .. $#cells;
	return @cells;
}

# The other way to capture, beside each.
sub by_status_too
{
	return map { $_, { %$_, by_status => 1, $_->{hangs} ? (hangs => $_->{hangs} =~ s/transaction_post/order_put/r) : () } } @_;
}

sub write_of { return $_[0]{by_status} ? 'order_put' : 'transaction_post' }

sub name_of
{
	my ($cell) = @_;
	my $write = $cell->{write} || {};
	return join ' ', grep { $_ } $cell->{by_status} && 'by status:', $cell->{write} && "write $write->{do}", $cell->{taken} || $write->{taken} ? 'taken' : '',
	  $cell->{settled} && "$cell->{settled} settled", $cell->{at}, $cell->{hangs}, $cell->{then} && "then $cell->{then}";
}

# Among the words in the table's cell: `state`, nothing, candidates?
sub says
{
	my ($text, $word) = @_;
	return scalar grep { $_ eq $word } $text =~ /`(\w+)`/g, $text =~ /\b(nothing|candidates)\b/g;
}

# What hung was never answered, and we know it.  A write is made again only if the store had not taken it.
sub was_lost
{
	my ($matrix, $name, $cell) = @_;
	my $is_read = $cell->{hangs} =~ /_get$/ ? 1 : 0;
	my @requests = @{ $matrix->{shop}->control('GET', "requests?order=$cell->{number}&call=$cell->{hangs}")->{requests} };
	my $said = $matrix->in_each([$cell], '', <<"SQL")->{ $cell->{database} };
SELECT string_agg(a.detail, '; ') FROM bcpaid.capture c JOIN bcpaid.attempt a ON a.capture_id = c.id
 WHERE c.remote_order_id = $cell->{number} AND a.outcome IN ('wait', 'unknown') AND (a.purpose <> 'send') = ($is_read = 1)
   AND (a.purpose <> 'send' OR EXISTS (SELECT FROM bcpaid.history h WHERE h.capture_id = c.id AND h.state = 'unknown' AND h.reason = a.detail))
SQL

	is(join(' ', map { $_->{answer}{what} } grep { $_->{client_left} } @requests), 'dropped', "$name: it was not answered");
	like($said, qr/^[^;]*(?:Empty reply|reset by peer|closed abruptly)[^;]*$/, "$name: and we know it");
	is(scalar @requests, $cell->{taken} ? 1 : 2, "$name: written again if it was not taken") unless $is_read;
	return;
}

1;
