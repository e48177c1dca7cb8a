# Goal: in a session of Odoo's role that has a hostile setting, each by itself,
# a payment is noted and a mark is recorded without a warning, and each captured once.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Settings;
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('sessions', conf => 'autovacuum = off');
my $node = $shop->{node};
$node->safe_psql('postgres', 'CREATE ROLE harmless; GRANT harmless, pg_read_all_settings TO odoo');
$shop->sql('CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler');

# With these the server may end the session or the statement.
my $may_refuse = qr/^(?:default_transaction_read_only|role|local_preload_libraries|(?:statement|lock|idle_in_transaction_session|idle_session|transaction)_timeout)$/;
my @settings = hostile_settings($node);

# What was eligible before its store was switched on is left to people, so that the mark captures it and nothing else.
my $marking = $shop->another_store('marking');
$shop->odoo("SELECT bcpaid.set_store($marking->[0], mark_order_as_paid => false)");
my @paid = map { { name => "paid with $_->[0]" } } @settings;
my @marked = map { { name => "marked with $_->[0]", store => $marking } } @settings;
$shop->place(@paid, @marked);
$shop->pay_all(@marked);
$shop->wait_until_quiet;
$shop->odoo("SET client_min_messages = error; SELECT bcpaid.set_store($marking->[0], mark_order_as_paid => true)");

my $since = $shop->log_size;
my (%origins, @done);
foreach my $at (0 .. $#settings)
{
	my ($name, $value) = @{ $settings[$at] };
	my $is_sent = $name eq 'application_name';    # by psql, which comes before what the role has
	my ($code, $out, $messages);

	$node->safe_psql('postgres', 'ALTER ROLE odoo RESET ALL; ' . alter_settings('ROLE odoo', $settings[$at]));
	($code, $out, $messages) = $shop->try_odoo(($is_sent ? "SET $name = '$value'; " : '') . "SELECT source FROM pg_settings WHERE name = '$name';
		SELECT fixture.pay($paid[$at]{invoice}) > 0; SELECT bcpaid_mark($marked[$at]{order}) > 0");
	my ($source, @did) = split /\n/, $out;
	is("$source, @did$messages", ($is_sent ? 'session' : 'user') . ', t t', "$name = $value is in force: paid and marked without a warning") unless $name =~ $may_refuse && $code != 0;
	push @done, ($paid[$at], $marked[$at])[ 0 .. $#did ];
	$origins{ $paid[$at]{order} } = $name eq 'session_replication_role' ? 'sweep' : 'payment' if @did > 0;
	$origins{ $marked[$at]{order} } = 'button' if @did > 1;
}
$node->safe_psql('postgres', 'ALTER ROLE odoo RESET ALL');
unlike($shop->log_since($since), qr/WARNING:  /, 'nor is one in the log, whatever the client is shown');
cmp_ok(scalar @done, '>=', 2 * (@settings - 8), 'few refuse');

# A replica's role fires no trigger: what it pays is a sweep's to find.
$shop->sql('SELECT bcpaid.sweep()');
$shop->come_to_their_end(@done);
my %seen = map { split /\|/ } split /\n/, $shop->sql('SELECT order_id, origin FROM bcpaid.capture');
is_deeply(\%seen, \%origins, 'noted by the triggers, recorded by the mark, and nothing else is captured');

$shop->store_is_content;
$shop->stop;
done_testing();
