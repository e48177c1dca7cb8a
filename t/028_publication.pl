# Goal: a publication of all tables, as logical replication wants, stops neither payments nor tokens.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('publication', timeout => 20, conf => "wal_level = logical\nbcpaid.sweep_interval = '1d'");

$shop->come_to_their_end(paid('the first of all'));
$shop->sql('CREATE PUBLICATION everything FOR ALL TABLES');
$shop->come_to_their_end(paid('published'));
my ($code, undef, $messages) = $shop->try_odoo("COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n");
is($code, 0, 'a token goes in') or diag $messages;
$shop->come_to_their_end(paid('published, with a new token'));
is($shop->sql("SELECT count(*) FROM pg_publication_tables WHERE schemaname = 'bcpaid' AND tablename = 'token_inbox'"), '0',
	'the inbox is not published');

sub paid
{
	my $case = { name => shift };
	$shop->place($case);
	$shop->pay_all($case);
	return $case;
}

$shop->store_is_content;
$shop->stop;
done_testing();
