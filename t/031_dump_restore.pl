# Goal: a backup carries the ledger, row for row, and no token; what is restored
# sends nothing until a person says so, and then nobody forges it.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Copies;
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('dump', conf => "bcpaid.idle_timeout = '100ms'");
my $node = $shop->{node};
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $directory = PostgreSQL::Test::Utils::tempdir;

# --- A database in which something has happened ---

my $captured = $shop->paid_order(69.84, 1);
$shop->wait_for_state($captured, 'applied');
$shop->odoo('SELECT bcpaid.pause(1)');
my ($open, $open_invoice) = $shop->open_order(20, 2);
my $waiting = $shop->paid_order(30, 3);
$shop->wait_for_state($waiting, 'queued');
$shop->odoo('SELECT bcpaid.resume(1)') ;
$shop->wait_for_state($waiting, 'applied');
$shop->odoo('SELECT bcpaid.pause(1)');
my $due = $shop->paid_order(40, 4);
$shop->wait_for_state($due, 'queued');
$shop->sql("INSERT INTO bcpaid.profile (name, description) VALUES ('mine', 'added by hand')");
# The worker takes a candidate whenever it looks; nobody calls it for this one.
my $no_worker = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker' AND datname = current_database()};
$shop->wait_until('the worker has left', sub { $shop->sql($no_worker) eq '0' });
$shop->sql("INSERT INTO bcpaid.candidate VALUES ('o', $open)");
$shop->sql('INSERT INTO bcpaid.baseline (order_id, store_id) VALUES (999, 1)');
$shop->sql("INSERT INTO bcpaid.link (order_id, payment_status) VALUES (998, 'Captured')");
my $ledger = ledger($node, 'odoo');
my %last = map { $_ => $node->safe_psql('odoo', "SELECT max(id) FROM $_") } qw(sale_order sale_order_line account_move account_move_line account_payment
	bcpaid.capture bcpaid.history bcpaid.attempt);
like($ledger, qr/profile\|3 .*attachment\|1 .*capture\|3 .*history\|1\d .*link\|1 /s, 'there is something to lose');

# --- Odoo's backup: pg_dump as Odoo's role, without owners ---

my @dump = ('pg_dump', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo');
runs([ @dump, '-f', "$directory/plain.sql", 'odoo' ], 'plain dump');
runs([ @dump, '-Fc', '-f', "$directory/custom.dump", 'odoo' ], 'custom dump');
my $dumped = PostgreSQL::Test::Utils::slurp_file("$directory/plain.sql");
like($dumped, qr/COPY bcpaid\.capture /, 'the ledger is in it');
unlike($dumped, qr/COPY bcpaid\.(?:token|environment|progress)/, 'nor is any table that stays here');
unlike($dumped, qr/GRANT .* bcpaid/, 'nor a right that the extension gives by itself');

# Nobody's backup has the token: not a superuser's, nor of one who may read all.
my @server = ('-h', $node->host, '-p', $node->port);
$node->safe_psql('postgres', 'CREATE ROLE reader LOGIN IN ROLE pg_read_all_data');
runs([ 'pg_dump', @server, '-U', $superuser, '-Fc', '-f', "$directory/owned.dump", 'odoo' ], "a superuser's dump, with owners");
runs([ 'pg_dump', @server, '-U', 'reader', '-Fc', '-f', "$directory/reader.dump", 'odoo' ], 'the dump of one who may read all');
runs([ 'pg_dumpall', @server, '-U', $superuser, '-f', "$directory/all.sql" ], 'a dump of the server');
runs([ 'pg_restore', '-f', "$directory/$_.sql", "$directory/$_.dump" ], "$_ dump as text") for qw(custom owned reader);
foreach my $file (qw(plain custom owned reader all))
{
	my $backup = PostgreSQL::Test::Utils::slurp_file("$directory/$file.sql");
	unlike($backup, qr/demo-token/, "$file dump: no token");
	is(() = $backup =~ /^(\d+\tdemo\t\d+\t.*)$/mg, 3, "$file dump: the captures");
}
is($node->safe_psql('odoo', 'SELECT token FROM bcpaid.token'), 'demo-token', 'the token that was looked for');

# A server of its own, which reaches the same store.
my $other = PostgreSQL::Test::Cluster->new('dump_other');
$other->init(allows_streaming => 1, extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$other->append_conf('postgresql.conf', $node->safe_psql('postgres', <<'SQL'));
SELECT string_agg(name || ' = ''' || setting || coalesce(unit, '') || '''', E'\n')
FROM pg_settings WHERE (name LIKE 'bcpaid.%' OR name = 'shared_preload_libraries') AND setting <> ''
SQL
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE odoo LOGIN CREATEDB');

my %restored;    # name of the database, and where it is
foreach my $case (
	[ 'plain, by Odoo', $node, 'odoo', 'plain' ], [ 'custom, by Odoo', $node, 'odoo', 'custom' ],
	[ 'custom, by a superuser', $node, $superuser, 'custom' ], [ 'plain, by a superuser', $other, $superuser, 'plain' ],
	[ 'custom, by Odoo, elsewhere', $other, 'odoo', 'custom' ], [ 'with owners, by a superuser, elsewhere', $other, $superuser, 'owned' ])
{
	my ($what, $to, $user, $format) = @$case;
	my $name = 'r' . (1 + keys %restored);
	my @to = ('-h', $to->host, '-p', $to->port, '-U', $user, '-d', $name);

	$restored{$name} = $to;
	$to->safe_psql('postgres', "CREATE DATABASE $name OWNER odoo TEMPLATE template0");
	runs($format eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/plain.sql", @to ]
		: [ 'pg_restore', $format eq 'custom' ? '--no-owner' : (), @to, "$directory/$format.dump" ], "$what: restored");
	is(ledger($to, $name), $ledger, "$what: ledger, settings, triggers and sequences are as they were");
	give_to_odoo($to, $name) if $user ne 'odoo' && $format ne 'owned';    # Odoo's tables are a superuser's then

	is(psql_as($to, $name, 'odoo', "SELECT count(*) FROM bcpaid.store WHERE bcpaid.set_store(1, name => 'again') = 1"),
		'1', "$what: its functions work");
	is(psql_as($to, $name, 'odoo', "SELECT bcpaid.set_store(name => 'next', hash => 'next')"),
		'2', "$what: the next number is the next one");
}

# --- None of them sends: not by itself, not after a payment, not with a token ---

my $silent_since = requests($shop);
foreach my $name (sort keys %restored)
{
	my $to = $restored{$name};

	psql_as($to, $name, 'odoo', "SELECT bcpaid.resume(1);\nSELECT bcpaid.retry(id) FROM bcpaid.capture WHERE state = 'queued';");
	is(psql_as($to, $name, 'odoo', q{SELECT ok, detail, hint FROM bcpaid.doctor() WHERE "check" = 'store 1'}),
		'f|no access token (a restored backup has none)|Set a token: COPY bcpaid.token_inbox FROM STDIN; then SELECT bcpaid.resume(1).', "$name: doctor misses the token");
	psql_as($to, $name, 'odoo', "COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n");
	psql_as($to, $name, 'odoo', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT fixture.pay($open_invoice); COMMIT");

	# The payment is judged, so the worker was there; then it stops for want of a confirmation.
	waits($shop, $to, $name, "SELECT count(*) = 2 FROM bcpaid.capture WHERE order_id IN ($due, $open)", "$name: the payment is enqueued");
	lets_worker_go_round($shop, $to, $name);
	like(psql_as($to, $name, 'odoo', 'SELECT DISTINCT environment_confirmed FROM bcpaid.status'), qr/^f$/, "$name: status says that it is not confirmed");
	like(psql_as($to, $name, 'odoo', q{SELECT ok, detail FROM bcpaid.doctor() WHERE "check" = 'environment'}),
		qr/^f\|this environment is not confirmed: run SELECT bcpaid.confirm_environment/, "$name: doctor says so, and what to do");
}
is(requests($shop), $silent_since, 'the store heard nothing from any of them');
is($node->safe_psql('r1', "SELECT sum(sends) FROM bcpaid.capture WHERE order_id IN ($due, $open)"), '0', 'no intent was written');

# A second attach is what one does after an upgrade; it confirms nothing.
psql_as($node, 'r1', 'odoo', 'SET client_min_messages = error; SELECT bcpaid.attach()');
is(psql_as($node, 'r1', 'odoo', 'SELECT count(*) FROM bcpaid.environment'), '0', 'attach after a restore confirms nothing');
psql_as($node, 'r2', $superuser, 'DELETE FROM bcpaid.capture; DELETE FROM bcpaid.history;');
psql_as($node, 'r2', 'odoo', 'SET client_min_messages = error; SELECT bcpaid.attach()');
is(psql_as($node, 'r2', 'odoo', 'SELECT count(*) FROM bcpaid.environment'), '0', 'nor where nothing was captured yet');

# --- Confirmed, each goes on where the first stopped, whoever restored it ---

my $new = 100;
foreach my $name (qw(r1 r3 r4 r6))
{
	my $to = $restored{$name};

	is(psql_as($to, $name, 'odoo', 'SELECT bcpaid.confirm_environment()'), "database $name may send from now on", "$name: a person confirms");
	waits($shop, $to, $name, "SELECT count(*) = 4 FROM bcpaid.capture WHERE state = 'applied'", "$name: all that was paid is captured");
	is($shop->captures($_), 1, "$name: remote order $_ has one capture") for 1 .. 4;
	is(psql_as($to, $name, 'odoo', 'SELECT DISTINCT environment_confirmed FROM bcpaid.status'), 't', "$name: status says so");
	next_order_works($to, $name, ++$new);
	nobody_forges($to, $name);
	next_backup_works($to, $name);
}

# --- The owner of sale_order is not the owner of the database ---

$node->safe_psql('postgres', 'CREATE ROLE landlord LOGIN CREATEDB; CREATE DATABASE rented OWNER landlord');
$node->safe_psql('rented', 'GRANT ALL ON SCHEMA public TO odoo; GRANT CREATE ON DATABASE rented TO odoo');
$node->safe_psql('rented', 'CREATE EXTENSION bcpaid', extra_params => [ '-U', 'landlord' ]);
{
	local $shop->{attach} = 0;
	my $make = $shop->can('odoo_file');
	foreach my $file (qw(odoo19 fixtures fixtures-payments))
	{
		$make->($shop, "t/shape/$file.sql", 'rented');
	}
}
like(($shop->try_odoo('SELECT bcpaid.attach()', dbname => 'rented'))[2], qr/permission denied for (?:schema|function)/, 'not before somebody grants it');
like(($shop->try_odoo('SELECT bcpaid.attach()', dbname => 'rented', user => 'landlord'))[2], qr/must be owner of (?:public\.)?sale_order/, 'nor by the landlord');
$node->safe_psql('rented', 'SET client_min_messages = error; SELECT bcpaid.attach()');
$shop->odoo("SET client_min_messages = error; SELECT bcpaid.attach(); SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n", dbname => 'rented');
my $rented = $shop->paid_order(60, 60, dbname => 'rented');
$shop->wait_for_state($rented, 'applied', dbname => 'rented');
is($shop->captures(60), 1, 'attached once by a superuser, all works for the owner of sale_order');
$shop->wait_until('it is read back', sub { $shop->sql('SELECT read_back FROM bcpaid.store', dbname => 'rented') eq 't' });
runs([ @dump, '-Fc', '-f', "$directory/rented.dump", 'rented' ], 'his backup');
$node->safe_psql('postgres', 'CREATE DATABASE rented2 OWNER odoo TEMPLATE template0');
runs([ 'pg_restore', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo', '-d', 'rented2', "$directory/rented.dump" ], 'restored by him, into a database of his own');
is(ledger($node, 'rented2'), ledger($node, 'rented'), 'and complete');

$other->stop('fast');
$shop->store_is_content;
$shop->stop;
done_testing();

# Odoo's role, and what is restored with --no-owner by somebody else.
sub give_to_odoo
{
	my ($to, $name) = @_;
	$to->safe_psql($name, <<'SQL');
SELECT format('ALTER TABLE %s OWNER TO odoo', c.oid::regclass) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \gexec
ALTER SCHEMA fixture OWNER TO odoo;
SELECT format('ALTER SEQUENCE %s OWNER TO odoo', c.oid::regclass) FROM pg_class c
WHERE c.relnamespace = 'fixture'::regnamespace AND c.relkind = 'S' \gexec
SQL
	return;
}

# An order from its first row to its capture: each table that it leaves a row in numbers on from what was restored.
sub next_order_works
{
	my ($to, $name, $remote) = @_;
	my $order = in_copy($shop, $to, $name, sub { $shop->paid_order(10, $remote) });

	waits($shop, $to, $name, "SELECT state = 'applied' FROM bcpaid.capture WHERE order_id = $order", "$name: an order of now is captured");
	is($shop->captures($remote), 1, "$name: once");
	$shop->wait_until("$name: the worker has left", sub { $to->safe_psql($name, $no_worker) eq '0' });    # the ledger is compared from now on
	is($to->safe_psql($name, 'SELECT ' . join ', ', map { "(SELECT count(*) > 0 FROM $_ WHERE id > $last{$_})" } sort keys %last),
		join('|', ('t') x keys %last), "$name: and all its rows come after those that were restored");
	return;
}

# What Odoo's role tries once the environment is confirmed.
sub nobody_forges
{
	my ($to, $name) = @_;
	my %column = map { split /\|/ } split /\n/, $to->safe_psql($name, <<'SQL');
SELECT DISTINCT ON (c.relname) c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'bcpaid'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum
SQL
	my @forgeries = map { forgeries_of($_, $column{$_}) } sort keys %column;
	push @forgeries, (
		"MERGE INTO bcpaid.capture c USING (VALUES (1)) v ON c.id = 1 WHEN MATCHED THEN UPDATE SET state = 'queued'",
		"INSERT INTO bcpaid.capture (id, store_hash, remote_order_id, order_id, store_id, origin, requested_by, marker) VALUES (1, 'demo', 1, 1, 1, 'button', 'me', 'x') ON CONFLICT (id) DO UPDATE SET state = 'queued'",
		"INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker) VALUES ('demo', 77, 1, 1, 'applied', 'button', 'me', 'x')",
		"WITH forged AS (INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker) VALUES ('demo', 77, 1, 1, 'applied', 'button', 'me', 'x') RETURNING id) SELECT count(*) FROM forged",
		'SET session_replication_role = replica', "SET ROLE $superuser", "SELECT bcpaid.import_ledger('{\"link\": {\"order_id\": 1}}')",
		"SELECT bcpaid.queue_move('{1}', 'queued', NULL, NULL, 'me')", 'ALTER EXTENSION bcpaid DROP FUNCTION bcpaid.guard()',
		'CREATE OR REPLACE FUNCTION bcpaid.guard() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$',
		'ALTER FUNCTION bcpaid.guard() OWNER TO odoo', 'ALTER FUNCTION bcpaid.guard() SET search_path = public', 'DROP FUNCTION bcpaid.guard() CASCADE',
		'CREATE TABLE bcpaid.environment2 ()', 'ALTER SCHEMA bcpaid OWNER TO odoo', 'DROP SCHEMA bcpaid CASCADE', "REASSIGN OWNED BY $superuser TO odoo");
	my $before = ledger($to, $name);
	my (undef, undef, $refusals) = $to->psql($name, join("\n", '\set VERBOSITY sqlstate', map { "\\warn '" . plainly($_) . "'\n$_" . (/^\\/ ? '' : ';') } @forgeries),
		extra_params => [ '-U', 'odoo' ], on_error_stop => 0);
	my @refused = $refusals =~ /^(?!psql)(.*)\n(?=psql\S* ERROR:  42501$)/mg;
	my %was_refused = map { $_ => 1 } @refused;
	cmp_ok(scalar @refused, '>', 130, "$name: so many ways were tried");
	is(join("\n", grep { !$was_refused{$_} } map { plainly($_) } @forgeries), '', "$name: Odoo's role may do none of it");
	is(ledger($to, $name), $before, "$name: nothing was changed");
	return;
}

sub next_backup_works
{
	my ($from, $name) = @_;
	my @at = ('-h', $from->host, '-p', $from->port, '-U', 'odoo');

	runs([ 'pg_dump', '--no-owner', @at, '-Fc', '-f', "$directory/$name.dump", $name ], "$name: Odoo's next backup");
	$from->safe_psql('postgres', "CREATE DATABASE ${name}_next OWNER odoo TEMPLATE template0");
	runs([ 'pg_restore', '--no-owner', @at, '-d', "${name}_next", "$directory/$name.dump" ], "$name: restored in its turn");
	is(ledger($from, "${name}_next"), ledger($from, $name), "$name: nothing is lost on the way");
	return;
}

sub plainly { my ($statement) = @_; return $statement =~ tr/'\n\\/"  /r }

# Each table of ours, by each way that changes it.  The inbox takes tokens.
sub forgeries_of
{
	my ($table, $column) = @_;
	my $name = "bcpaid.$table";

	return (($table eq 'token_inbox' ? () : ("INSERT INTO $name SELECT", "INSERT INTO $name SELECT * FROM $name WHERE false", "\\copy $name FROM /dev/null")),
		"UPDATE $name SET $column = NULL", "DELETE FROM $name", "TRUNCATE $name",
		"ALTER TABLE $name DISABLE TRIGGER ALL", "ALTER TABLE $name OWNER TO odoo", "ALTER TABLE $name ADD forged int", "DROP TABLE $name",
		"ALTER EXTENSION bcpaid DROP TABLE $name", "CREATE RULE forged AS ON UPDATE TO $name DO INSTEAD NOTHING",
		"CREATE TRIGGER forged BEFORE INSERT ON $name FOR EACH ROW EXECUTE FUNCTION bcpaid.note()");
}
