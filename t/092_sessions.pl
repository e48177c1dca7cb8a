# Goal: where Odoo's role or its database has a hostile setting, each by itself, a payment is noted and a mark is recorded
# without a warning, and each is captured once by a worker that has the setting, too.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Settings;
use Bcpaid::Shop;
use Test::More;

# A worker for each: it leaves when it is done.
my $shop = Bcpaid::Shop->new('sessions', conf => "autovacuum = off\nbcpaid.idle_timeout = 0\n");
my $node = $shop->{node};
$node->safe_psql('postgres', 'CREATE ROLE harmless; GRANT harmless, pg_read_all_settings TO odoo');
$shop->sql(<<'SQL');
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE tried (number int, name text, usual text); CREATE TABLE watched (number int) USING heap;
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.watched SELECT t.number FROM public.tried t JOIN pg_catalog.pg_settings s USING (name) WHERE s.reset_val IS DISTINCT FROM t.usual;
    RETURN NEW;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON bcpaid.capture FOR EACH ROW WHEN (NEW.state = 'sending') EXECUTE FUNCTION watch();
SQL

# With these the server may end the session, also when it has done all, or the statement.
my $may_refuse = qr/^(?:default_transaction_read_only|role|local_preload_libraries|(?:statement|lock|idle_in_transaction_session|idle_session|transaction)_timeout)$/;
my $as_usual = qr/^(?:default_toast_compression|log_statement)$/;    # set to what they are here anyway
my @settings = map { my $setting = $_; map { { whom => $_->[0], source => $_->[1], setting => $setting, name => "$_->[0]: $setting->[0] = $setting->[1]" } } [ 'ROLE odoo', 'user' ], [ 'DATABASE odoo', 'database' ] } hostile_settings($node);

# What was eligible before its store was switched on is left to people, so that the mark captures it and nothing else.
my $marking = $shop->another_store('marking');
$shop->odoo("SELECT bcpaid.set_store($marking->[0], mark_order_as_paid => false)");
my @paid = map { { name => "$_->{name}: paid" } } @settings;
my @marked = map { { name => "$_->{name}: marked", store => $marking } } @settings;
$shop->place(@paid, @marked);
$shop->pay_all(@marked);
$shop->wait_until_quiet;
$shop->odoo("SET client_min_messages = error; SELECT bcpaid.set_store($marking->[0], mark_order_as_paid => true)");

# Of before: no setting is in force here.
my $sane = $node->background_psql('odoo');
my $since = $shop->log_size;
my (%origins, @done);
for my $at (0 .. $#settings)
{
	my ($name, $value) = @{ $settings[$at]{setting} };
	my ($paid, $marked) = ($paid[$at], $marked[$at]);
	my $is_sent = $name eq 'application_name';    # by psql, which comes before what the role has
	my ($code, $out, $messages);

	$sane->query_safe("ALTER ROLE odoo RESET ALL; ALTER DATABASE odoo RESET ALL; DELETE FROM tried; INSERT INTO tried SELECT $at, name, reset_val FROM pg_settings WHERE name = '$name'; "
		  . alter_settings($settings[$at]{whom}, $settings[$at]{setting}));
	($code, $out, $messages) = $shop->try_odoo(($is_sent ? "SET $name = '$value'; " : '') . "SELECT source FROM pg_settings WHERE name = '$name';
		SELECT fixture.pay($paid->{invoice}) > 0; SELECT bcpaid_mark($marked->{order}) > 0");
	my ($source, @did) = split /\n/, $out;
	is("$source, @did$messages", ($is_sent ? 'session' : $settings[$at]{source}) . ', t t', "$settings[$at]{name} is in force: paid and marked without a warning") unless $name =~ $may_refuse && ($code != 0 || $messages =~ /FATAL/);
	$sane->query_safe("SELECT fixture.pay($paid->{invoice})") unless @did;
	push @done, $paid, ($marked) x (@did > 1);
	$origins{ $paid->{order} } = $name eq 'session_replication_role' && @did ? 'sweep' : 'payment';
	$origins{ $marked->{order} } = 'button' if @did > 1;
	worker_was_here(grep { ($origins{ $_->{order} } || 'sweep') ne 'sweep' } $paid, $marked);
}
$sane->query_safe('ALTER ROLE odoo RESET ALL; ALTER DATABASE odoo RESET ALL');
unlike($shop->log_since($since), qr/WARNING:  /, 'nor is one in the log, whatever the client is shown');
cmp_ok(scalar @done, '>=', 2 * @settings - 16, 'few refuse');
my %watched = map { $_ => 1 } split /\n/, $sane->query_safe('SELECT DISTINCT number FROM watched');
is_deeply([ map { $settings[$_]{name} } grep { !$watched{$_} && $settings[$_]{setting}[0] !~ $as_usual } 0 .. $#settings ], [], 'whose worker had each setting, too');

# A replica's role fires no trigger: what it pays is a sweep's to find.
$shop->sql('SELECT bcpaid.sweep()');
$shop->come_to_their_end(@done);
my %seen = map { split /\|/ } split /\n/, $shop->sql('SELECT order_id, origin FROM bcpaid.capture');
is_deeply(\%seen, \%origins, 'noted by the triggers, recorded by the mark, and nothing else is captured');

$sane->quit;
$shop->store_is_content;
$shop->stop;
done_testing();

# It has left again, and the next one has what is in force then.
sub worker_was_here
{
	my $orders = join ',', map { $_->{order} } @_;

	$shop->wait_until("a worker captures $_[0]{name}", sub { $sane->query_safe(<<"SQL") eq '0' });
SELECT (SELECT count(*) FROM unnest(ARRAY[$orders]) o WHERE NOT EXISTS (SELECT FROM bcpaid.capture c WHERE c.order_id = o AND c.state = 'applied'))
     + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker')
SQL
	return;
}
