# Goal: more databases than bcpaid.max_databases are all served: who has nothing to do makes room for who has, and is visited again.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('more', timeout => 240, conf => <<'CONF');
bcpaid.max_databases = 2
bcpaid.idle_timeout = '100ms'
CONF
my @more = qw(one two three);
my $next = 100;

# What is in the template comes along: an order each.
for my $name (@more)
{
	$shop->wait_until_quiet;
	$shop->sql("CREATE DATABASE $name TEMPLATE odoo OWNER odoo", dbname => 'postgres');
	$shop->odoo('SELECT bcpaid.confirm_environment()', dbname => $name);
}

sub paid_in
{
	my ($name) = @_;
	my $remote = $next++;

	$shop->remote_order($remote, 10);
	$shop->odoo("SELECT fixture.pay(fixture.invoice(fixture.order(10, '$remote')))", dbname => $name);
	return $remote;
}

sub captured_in
{
	my ($name, $remote) = @_;
	$shop->wait_until("$remote of $name is applied", sub {
		$shop->sql("SELECT state FROM bcpaid.captures WHERE remote_order_id = $remote", dbname => $name) eq 'applied' });
	return $shop->captures($remote);
}

for my $round (1, 2)
{
	is(captured_in($_, paid_in($_)), 1, "round $round: captured in $_") for 'odoo', @more;
}
my %all = map { $_ => paid_in($_) } 'odoo', @more;
is(captured_in($_, $all{$_}), 1, "all at once: captured in $_") for sort keys %all;
like($shop->log_since(0), qr/bcpaid keeps track of 2 databases, and there are more/, 'the log says so');

$shop->store_is_content;
$shop->stop;
done_testing();
