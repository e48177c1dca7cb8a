# Goal: a role to which a superuser granted the operator's calls can do its work
# with each of them; a token comes from a file where the owner of sale_order may
# read files of the server, and nowhere else.  What else a deputy may do, which
# is nothing: t/090_roles.pl.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Calls;
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('deputy');
my $node = $shop->{node};
my @calls = operators_calls();
my @views = map { "bcpaid.$_" } qw(captures attempts stores news status);
$shop->sql(join ';', 'CREATE ROLE deputy LOGIN', 'GRANT USAGE ON SCHEMA bcpaid TO deputy',
	(map { "GRANT EXECUTE ON ROUTINE $_ TO deputy" } @calls), map { "GRANT SELECT ON $_ TO deputy" } @views);

# ---- each call, one by one, where it has something to do ----

my $held = $shop->paid_order(10, 1, remote => { total_inc_tax => '99.0000' });
$shop->wait_for_state($held, 'held');
my ($past, $past_invoice) = $shop->open_order(20, 2);
my %capture = (held => capture_of($held));
my %called;

does('sender_is_ready', 'SELECT bcpaid.sender_is_ready()', qr/^t$/);
does('environment_is_confirmed', 'SELECT bcpaid.environment_is_confirmed()', qr/^t$/);
does('doctor', 'SELECT count(*) > 10 FROM bcpaid.doctor()', qr/^t$/);
does('test_store', 'CALL bcpaid.test_store(1)', qr/^t\|/);
does('want_test', 'SELECT bcpaid.want_test(1)', qr/^$/);
does('orders_query', 'SELECT bcpaid.orders_query()', qr/sale_order/);
does('profile_in_use', 'SELECT profile FROM bcpaid.profile_in_use()', qr/^native$/);
does('export_ledger', "SELECT count(*) FROM bcpaid.export_ledger() l WHERE l ? 'capture'", qr/^1$/);
does('pause', 'SELECT bcpaid.pause(1)', qr/^$/);
my %order = (cancelled => 30, by_hand => 40);
$order{$_} = $shop->paid_order($order{$_}, $order{$_}) for sort keys %order;
$shop->wait_for_state($order{$_}, 'queued', because => 'the store is paused') for sort keys %order;
$capture{$_} = capture_of($order{$_}) for keys %order;
does('capture_state', "SELECT state FROM bcpaid.capture_state($capture{cancelled})", qr/^queued$/);
does('cancel', "SELECT bcpaid.cancel($capture{cancelled})", qr/^$/);
is($shop->state_of($order{cancelled}), 'cancelled', 'it is cancelled');
does('retry', "SELECT bcpaid.retry($capture{cancelled})", qr/^$/);
does('approve', "SELECT bcpaid.approve($capture{held})", qr/^$/);
does('settle_by_hand', "SELECT bcpaid.settle_by_hand($capture{by_hand}, 'in the control panel')", qr/^$/);
does('resume', 'SELECT bcpaid.resume(1)', qr/^$/);
does('wait', "CALL bcpaid.wait($_)", qr/^applied$/) for map { $capture{$_} } sort keys %capture;
is(join(' ', map { $shop->captures($_) } 1, 30, 40), '1 1 0', 'what was approved and retried is captured, what was settled by hand is not');
$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($past_invoice)");
does('backfill', "SELECT order_id FROM bcpaid.backfill('2020-01-01')", qr/^$past$/);
does('sweep', 'SELECT bcpaid.sweep()', qr/^1$/);
$shop->wait_for_state($past, 'applied', because => 'it was swept');
does('retry_store', 'SELECT bcpaid.retry_store(1)', qr/^0$/);
does('note', "CREATE TEMP TABLE t (id int); CREATE TRIGGER n AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION bcpaid.note('o', 'id', '', ''); INSERT INTO t VALUES ($past)", qr/^$/);
does('views', join('; ', map { "SELECT count(*) > 0 FROM $_" } @views), qr/^t(?:\nt){4}$/);
delete $called{'bcpaid.views'};
is_deeply([ sort keys %called ], [ sort @calls ], 'each of the operator\'s calls was made');
is($shop->sql("SELECT string_agg(DISTINCT c.state || ' ' || h.state, ',' ORDER BY c.state || ' ' || h.state) FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id WHERE h.by = 'deputy'"),
	'applied cancelled,applied captured,applied queued', 'the history says who did it');

# ---- a token from a file ----

my $file = PostgreSQL::Test::Utils::tempdir . '/token';
append_to_file($file, "demo-token\n");
$shop->sql('CREATE ROLE filer LOGIN IN ROLE odoo, pg_read_server_files; CREATE ROLE reader LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON SCHEMA bcpaid TO reader; GRANT EXECUTE ON FUNCTION bcpaid.set_token_from_file(integer, text) TO reader, deputy; DELETE FROM bcpaid.token');
foreach my $case ([ 'odoo', qr/must be a superuser or a member of pg_read_server_files\n.*COPY bcpaid\.token_inbox/s ], map { [ $_, qr/must be owner of public\.sale_order/ ] } qw(reader deputy))
{
	my ($user, $error) = @$case;
	like(($shop->try_odoo("SELECT bcpaid.set_token_from_file(1, '$file')", user => $user))[2], $error, "not by $user");
}
is($shop->sql('SELECT count(*) FROM bcpaid.token'), '0', 'no token was set');
is(join('', $shop->try_odoo("SELECT bcpaid.set_token_from_file(1, '$file')", user => 'filer')), '0', 'an owner who may read server files sets one');
is($shop->sql('SELECT token FROM bcpaid.token'), 'demo-token', 'which is kept');
like(($shop->try_odoo('CALL bcpaid.test_store(1)', user => 'filer'))[1], qr/^t\|/, 'and is the store\'s');

$shop->store_is_content;
$shop->stop;
done_testing();

sub does
{
	my ($call, $sql, $expected) = @_;
	my ($code, $out, $messages) = $shop->try_odoo("SET client_min_messages = warning; $sql", user => 'deputy');
	like("$out$messages", $expected, "a deputy's $call");
	$called{"bcpaid.$call"} = 1;
	return;
}

sub capture_of { return $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $_[0]") }
