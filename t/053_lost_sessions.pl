# Goal: the accountant's session is lost in the middle of a payment: either it is not paid and nothing is sent, or it is
# paid and captured once.
# build: stops
#
# The client dies, of which the server learns late or never, or the session's
# process, and the server with it.  All moments at the same time, an order each.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Matrix qw(server_is_back);
use Bcpaid::Shop;
use Bcpaid::Stops;
use IPC::Run ();
use Test::More;

Bcpaid::Stops::need_build();

my $shop = Bcpaid::Shop->new('sessions', conf => "restart_after_crash = on\nmax_connections = 40");
my $stops = Bcpaid::Stops->new($shop);
my $lock = 4711;

# `now`: what the session does in pg_stat_activity, or `at`: its stop point.  `paid`: is it, without its client and
# without its process?
my $watched = "SET client_connection_check_interval = '10ms';";
my @moments = (
	{ name => 'during the commit', at => 'candidate.written', last => 'COMMIT', paid => [ 1, 0 ] },
	{ name => 'during the commit, its client is watched', first => $watched, at => 'candidate.written', last => 'COMMIT', paid => [ 0, 0 ] },
	{ name => 'after the commit, before the answer', at => 'candidate.committed', last => 'COMMIT', paid => [ 1, 1 ] },
	{ name => 'after the commit, before the answer, its client is watched', first => $watched, at => 'candidate.committed', last => 'COMMIT', paid => [ 1, 1 ] },
	{ name => 'during a statement', now => 'active Lock', last => "SELECT pg_advisory_xact_lock($lock)", paid => [ 0, 0 ] },
	{ name => 'between statement and commit', now => 'idle in transaction Client', last => 'SELECT 1', paid => [ 0, 0 ] },
	{ name => 'after the commit', now => 'idle Client', last => 'COMMIT', paid => [ 1, 1 ] });

round('client killed', 0, sub { $_->{client}->signal('KILL') for @_ });
round('process killed', 1, sub { my $log = $shop->log_size; kill 'KILL', map { $_->{pid} } @_; server_is_back($shop, $log) });
$shop->store_is_content;
$shop->stop;
done_testing();

sub round
{
	my ($fault, $which, $strike) = @_;
	my @cases = map { { %$_, name => "$fault $_->{name}", paid => $_->{paid}[$which] } } @moments;
	my $holder = $shop->{node}->background_psql('odoo', on_error_stop => 0);

	$holder->query_safe("SELECT pg_advisory_lock($lock)");
	$shop->place(@cases);
	bring($_) for @cases;
	$strike->(@cases);
	$shop->wait_until("$fault: who is watched is found out", sub { !grep { $_->{first} && !$_->{paid} && kill 0, $_->{pid} } @cases });
	$stops->let_go('odoo');
	eval { $holder->quit };
	$shop->wait_until("$fault: all sessions are gone", sub { !grep { kill 0, $_->{pid} } @cases });
	$_->{client}->finish for @cases;

	my %state = split /[\n|]/, $shop->sql('SELECT id, payment_state FROM account_move');
	my ($paid, $open) = ([ grep { $_->{paid} } @cases ], [ grep { !$_->{paid} } @cases ]);
	is($state{ $_->{invoice} }, $_->{paid} ? 'paid' : 'not_paid', "$_->{name}: " . ($_->{paid} ? 'it is paid' : 'it is open')) for @cases;
	$shop->come_to_their_end(@$paid);
	$shop->wait_until('all is judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });
	for my $case (@$open)
	{
		is($shop->state_of($case->{order}), '', "$case->{name}: nothing is to be sent");
		is($shop->control('GET', "requests?order=$case->{number}")->{count}, 0, "$case->{name}: the store heard nothing");
	}
	$shop->pay_all(@$open);
	$shop->come_to_their_end(@cases);
	return;
}

# A client pays and comes to its moment; its standard input stays open.
sub bring
{
	my ($case) = @_;
	my $input = join "\n", $case->{first} || (), 'BEGIN ISOLATION LEVEL REPEATABLE READ;', "SELECT fixture.pay($case->{invoice});", "$case->{last};\n";
	my $session = sub { $shop->sql("SELECT $_[0] FROM pg_stat_activity WHERE application_name = 'pays $case->{order}'") };

	$stops->stop_at('odoo', $case->{at}) if $case->{at};
	$case->{client} = IPC::Run::start([ 'psql', '-Xqd', $shop->{node}->connstr('odoo') . " application_name='pays $case->{order}'", '-U', 'odoo' ],
		'<', \$input, '>', '/dev/null', '2>', '/dev/null');
	$case->{client}->pump while length $input;
	$shop->wait_until("$case->{name}: it is there", sub {
		$case->{pid} = $session->('pid') or return 0;
		return scalar grep { $_ eq $case->{pid} } $stops->all_stopped('odoo') if $case->{at};
		return $session->("state || ' ' || wait_event_type") eq $case->{now} && $session->('query') =~ /^\Q$case->{last}\E/ });
	return;
}
