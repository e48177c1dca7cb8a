# Goal: in a database that is not in UTF-8, stores' and Odoo's words are converted, and never an error that comes again and again.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use utf8;
use Bcpaid::Shop;
use Encode qw(decode_utf8 encode_utf8);
use Test::More;

$ENV{PGCLIENTENCODING} = 'UTF8';
my $shop = Bcpaid::Shop->new('encodings', no_database => 1);
my $says = 'Überschuß 注文 € 😀';
my $number = 700;

# A method of the list, a customer's or an order's name in that encoding, and what becomes of what a store says.
my @encodings = (
	{ encoding => 'UTF8', words => 'Überweisung 注文', kept => $says },
	{ encoding => 'LATIN1', words => 'Überweisung', kept => 'Überschuß ?? ? ?' },
	{ encoding => 'LATIN9', words => 'Überweisung in €', kept => 'Überschuß ?? € ?' },
	{ encoding => 'WIN1251', words => 'Банк', kept => '?berschu? ?? € ?' },
	{ encoding => 'EUC_JP', words => '銀行振込', kept => qr/^.{1,2}berschu.{1,2} 注文 \? \?$/ },
	{ encoding => 'SQL_ASCII', words => 'Überweisung 注文', kept => $says });

for my $case (@encodings)
{
	my $name = lc $case->{encoding};
	$shop->make_database($name, "ENCODING '$case->{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$case->{in} = [ dbname => $name ];
	$case->{number} = $number += 10;
	$shop->odoo(encode_utf8("SELECT bcpaid.set_store(store_id => 1, offline_methods => ARRAY['$case->{words}', 'Cash'])"), @{ $case->{in} });
}

# The reason as a reader in UTF-8 sees it; an error here is text that is not of the database's encoding.
sub reason
{
	my ($case, $order) = @_;
	return decode_utf8($shop->sql("SELECT convert_from(convert_to(reason, 'UTF8'), 'UTF8') FROM bcpaid.capture WHERE order_id = $order", @{ $case->{in} }));
}

for my $case (@encodings)
{
	my $n = $case->{number};
	my $in = $case->{in};

	$case->{listed} = $shop->paid_order(10, $n, remote => { payment_method => $case->{words} }, @$in);
	$shop->odoo(encode_utf8("UPDATE sale_order SET name = 'Nr. $case->{words}' WHERE id = $case->{listed}"), @$in);
	$case->{unlisted} = $shop->paid_order(10, $n + 1, remote => { payment_method => $says }, @$in);
	$shop->fault(do => 'answer', status => 422, match => { order => $n + 2, method => 'POST' }, body => { status => 422, title => $says });
	$case->{refused} = $shop->paid_order(10, $n + 2, remote => { payment_method => 'Cash' }, @$in);

	# Odoo's own words, when it refuses the status.
	$shop->odoo(encode_utf8(<<"SQL"), @$in);
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'nicht: $case->{words}'; END \$\$;
CREATE TRIGGER refuse BEFORE UPDATE ON sale_order FOR EACH ROW
WHEN (NEW.bcpaid_payment_status = 'Captured' AND NEW.bcpaid_remote_order_id = '@{[$n + 3]}') EXECUTE FUNCTION public.refuse();
SQL
	$case->{refusing} = $shop->paid_order(10, $n + 3, remote => { payment_method => 'Cash' }, @$in);
}

for my $case (@encodings)
{
	my ($name, $in, $n) = @$case{qw(encoding in number)};

	$shop->wait_for_state($case->{listed}, 'applied', because => $name, @$in);
	is($shop->captures($n), 1, "$name: a method whose name is not ASCII is found in the store's list");
	$shop->wait_for_state($case->{unlisted}, 'held', because => $name, @$in);
	like(reason($case, $case->{unlisted}), qr/is none of the store's offline payment methods/, "$name: another is not");
	$shop->wait_for_state($case->{refused}, 'refused', because => $name, @$in);
	my ($kept) = reason($case, $case->{refused}) =~ /HTTP 422: (.*)/;
	ref $case->{kept} ? like($kept, $case->{kept}, "$name: what the store said") : is($kept, $case->{kept}, "$name: what the store said");
	$shop->wait_until("$name: Odoo refused", sub { reason($case, $case->{refusing}) =~ /Odoo refused/ });
	is(reason($case, $case->{refusing}), "Odoo refused the status: nicht: $case->{words}", "$name: what Odoo said");
	like(decode_utf8($shop->odoo("SELECT string_agg(detail, ' ') FROM bcpaid_why_not(" . $shop->odoo("SELECT fixture.paid_order(10, '$n')", @$in) . ')', @$in)),
		qr/\QNr. $case->{words}\E/, "$name: an order's name is shown");
}

# Approved of in words that the encoding may lack.
$shop->odoo("SELECT bcpaid.approve(id) FROM bcpaid.capture WHERE order_id = $_->{unlisted}", @{ $_->{in} }) for @encodings;
$shop->wait_for_state($_->{unlisted}, 'applied', because => "$_->{encoding}: approved", @{ $_->{in} }) for @encodings;

# Nothing failed again and again, and a backup of each can be restored: pg_dump's client checks nothing, its reader does.
unlike($shop->log_since(0) =~ s/^.*nicht: .*$//mgr, qr/ (?:ERROR|WARNING): .*(?:encoding|byte sequence)/, 'no error about an encoding');
for my $case (@encodings)
{
	my ($name) = map { lc } $case->{encoding};
	is($shop->sql("COPY bcpaid.capture TO PROGRAM 'cat > $shop->{node}{_basedir}/$name.copy'; CREATE TABLE copied (LIKE bcpaid.capture); COPY copied FROM '$shop->{node}{_basedir}/$name.copy'; SELECT count(*) FROM copied", @{ $case->{in} }),
		4, "$case->{encoding}: the ledger is read back");
}

$shop->store_is_content;
$shop->stop;
done_testing();
