# Goal: Odoo's backup carries the ledger and no token; what is restored or
# copied sends nothing until a person says so.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('dump');
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
$shop->sql("INSERT INTO bcpaid.candidate VALUES ('o', $open)");
$shop->sql('INSERT INTO bcpaid.baseline (order_id, store_id) VALUES (999, 1)');
$shop->sql("INSERT INTO bcpaid.link (order_id, payment_status) VALUES (998, 'Captured')");
my $ledger = ledger('odoo');
like($ledger, qr/profile\|3 .*attachment\|1 .*capture\|3 .*history\|1\d .*link\|1 /s, 'there is something to lose');

# --- Odoo's backup: pg_dump as Odoo's role, without owners ---

my @dump = ('pg_dump', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo');
runs([ @dump, '-f', "$directory/plain.sql", 'odoo' ], 'plain dump');
runs([ @dump, '-Fc', '-f', "$directory/custom.dump", 'odoo' ], 'custom dump');
my $dumped = PostgreSQL::Test::Utils::slurp_file("$directory/plain.sql");
like($dumped, qr/COPY bcpaid\.capture /, 'the ledger is in it');
unlike($dumped, qr/demo-token/, 'the token is not');
unlike($dumped, qr/COPY bcpaid\.(?:token|environment|progress)/, 'nor is any table that stays here');
unlike($dumped, qr/GRANT .* bcpaid/, 'nor a right that the extension gives by itself');

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
	[ 'custom, by Odoo, elsewhere', $other, 'odoo', 'custom' ])
{
	my ($what, $to, $user, $format) = @$case;
	my $name = 'r' . (1 + keys %restored);
	my @to = ('-h', $to->host, '-p', $to->port, '-U', $user, '-d', $name);

	$restored{$name} = $to;
	$to->safe_psql('postgres', "CREATE DATABASE $name OWNER odoo TEMPLATE template0");
	runs($format eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/plain.sql", @to ]
		: [ 'pg_restore', '--no-owner', @to, "$directory/custom.dump" ], "$what: restored");
	is(ledger($name), $ledger, "$what: ledger, settings, triggers and sequences are as they were");
	next if $user ne 'odoo';    # Odoo's tables are a superuser's then

	is(psql_as($to, $name, 'odoo', "SELECT count(*) FROM bcpaid.store WHERE bcpaid.set_store(1, name => 'again') = 1"),
		'1', "$what: its functions work");
	is(psql_as($to, $name, 'odoo', "SELECT bcpaid.set_store(name => 'next', hash => 'next')"),
		'2', "$what: the next number is the next one");
}

# A superuser restored it, and Odoo's tables with it: given back, all works.
$node->safe_psql('r3', <<'SQL');
SELECT format('ALTER TABLE %s OWNER TO odoo', c.oid::regclass) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \gexec
SELECT format('ALTER SCHEMA %I OWNER TO odoo', n) FROM unnest('{fixture}'::text[]) n \gexec
SELECT format('ALTER SEQUENCE %s OWNER TO odoo', c.oid::regclass) FROM pg_class c
WHERE c.relnamespace = 'fixture'::regnamespace AND c.relkind = 'S' \gexec
SQL

# --- None of them sends: not by itself, not after a payment, not with a token ---

my $silent_since = requests();
foreach my $name (sort keys %restored)
{
	my $to = $restored{$name};

	next if $to == $other && $name eq 'r4';
	psql_as($to, $name, 'odoo', "SELECT bcpaid.resume(1);\nSELECT bcpaid.retry(id) FROM bcpaid.capture WHERE state = 'queued';");
	psql_as($to, $name, 'odoo', "COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n");
	psql_as($to, $name, 'odoo', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT fixture.pay($open_invoice); COMMIT");

	# The payment is judged, so the worker was there; then it stops for want of a confirmation.
	waits($to, $name, "SELECT count(*) = 2 FROM bcpaid.capture WHERE order_id IN ($due, $open)", "$name: the payment is enqueued");
	lets_worker_go_round($to, $name);
	like(psql_as($to, $name, 'odoo', 'SELECT DISTINCT environment_confirmed FROM bcpaid.status'), qr/^f$/, "$name: status says that it is not confirmed");
	like(psql_as($to, $name, 'odoo', q{SELECT ok, detail FROM bcpaid.doctor() WHERE "check" = 'environment'}),
		qr/^f\|this environment is not confirmed: run SELECT bcpaid.confirm_environment/, "$name: doctor says so, and what to do");
}
is(requests(), $silent_since, 'the store heard nothing from any of them');
is($node->safe_psql('r1', "SELECT sum(sends) FROM bcpaid.capture WHERE order_id IN ($due, $open)"), '0', 'no intent was written');

# A second attach is what one does after an upgrade; it confirms nothing.
psql_as($node, 'r1', 'odoo', 'SET client_min_messages = error; SELECT bcpaid.attach()');
is(psql_as($node, 'r1', 'odoo', 'SELECT count(*) FROM bcpaid.environment'), '0', 'attach after a restore confirms nothing');
psql_as($node, 'r2', $superuser, 'DELETE FROM bcpaid.capture; DELETE FROM bcpaid.history;');
psql_as($node, 'r2', 'odoo', 'SET client_min_messages = error; SELECT bcpaid.attach()');
is(psql_as($node, 'r2', 'odoo', 'SELECT count(*) FROM bcpaid.environment'), '0', 'nor where nothing was captured yet');

# --- Confirmed, it goes on where the other stopped ---

is(psql_as($node, 'r1', 'odoo', 'SELECT bcpaid.confirm_environment()'), 'database r1 may send from now on', 'a person confirms');
waits($node, 'r1', "SELECT count(*) = 4 FROM bcpaid.capture WHERE state = 'applied'", 'all that was paid is captured');
is($shop->captures($_), 1, "remote order $_ has one capture") for 1 .. 4;
is(psql_as($node, 'r1', 'odoo', 'SELECT DISTINCT environment_confirmed FROM bcpaid.status'), 't', 'status says so');

# --- From now on nobody forges a row ---

my %forgery = (
	INSERT => "INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker) VALUES ('demo', 77, 1, 1, 'applied', 'button', 'me', 'x')",
	'INSERT of nothing' => 'INSERT INTO bcpaid.capture SELECT * FROM bcpaid.capture WHERE false',
	UPDATE => "UPDATE bcpaid.capture SET state = 'applied'", DELETE => 'DELETE FROM bcpaid.capture', TRUNCATE => 'TRUNCATE bcpaid.capture',
	COPY => "COPY bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker) FROM STDIN;\ndemo\t77\t1\t1\tapplied\tbutton\tme\tx\n\\.",
	MERGE => "MERGE INTO bcpaid.capture c USING (VALUES (1)) v ON c.id = 1 WHEN MATCHED THEN UPDATE SET state = 'queued'",
	'ON CONFLICT' => "INSERT INTO bcpaid.capture (id, store_hash, remote_order_id, order_id, store_id, origin, requested_by, marker) VALUES (1, 'demo', 1, 1, 1, 'button', 'me', 'x') ON CONFLICT (id) DO UPDATE SET state = 'queued'",
	'another state' => "SET session_replication_role = replica; INSERT INTO bcpaid.capture DEFAULT VALUES",
	'without its guard' => 'ALTER TABLE bcpaid.capture DISABLE TRIGGER ALL',
	'a rule' => 'CREATE RULE r AS ON UPDATE TO bcpaid.capture DO INSTEAD NOTHING',
	'a trigger' => 'CREATE TRIGGER t BEFORE INSERT ON bcpaid.capture FOR EACH ROW EXECUTE FUNCTION bcpaid.note()',
	attachment => "INSERT INTO bcpaid.attachment SELECT * FROM bcpaid.attachment",
	environment => 'DELETE FROM bcpaid.environment', history => "INSERT INTO bcpaid.history (capture_id, state, by) VALUES (1, 'x', 'x')",
	store => "INSERT INTO bcpaid.store (id) VALUES (77)", profile => "INSERT INTO bcpaid.profile (name) VALUES ('x')",
	candidate => "INSERT INTO bcpaid.candidate VALUES ('o', 1)", baseline => 'INSERT INTO bcpaid.baseline VALUES (1, 1)',
	link => 'INSERT INTO bcpaid.link VALUES (1)', attempt => "INSERT INTO bcpaid.attempt (capture_id, purpose, requests, outcome) VALUES (1, 'x', 1, 'x')");
foreach my $how (sort keys %forgery)
{
	my ($code, $out, $messages) = $node->psql('r1', "\\set VERBOSITY verbose\n$forgery{$how}", extra_params => [ '-U', 'odoo' ], on_error_stop => 1);
	like($messages, qr/ERROR:  42501: /, "Odoo's role may not: $how");
}

# --- The next backup, of what was restored ---

runs([ @dump, '-Fc', '-f', "$directory/second.dump", 'r1' ], 'a backup of the restored database');
$node->safe_psql('postgres', 'CREATE DATABASE r9 OWNER odoo TEMPLATE template0');
runs([ 'pg_restore', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo', '-d', 'r9', "$directory/second.dump" ], 'restored in its turn');
$restored{r9} = $node;
$restored{r1} = $node;
is(ledger('r9'), ledger('r1'), 'nothing is lost on the way');

# --- Copies: Odoo's "duplicate", neutralised, another identity, renamed ---

$shop->odoo('SELECT bcpaid.resume(1)');
$shop->wait_for_state($due, 'applied', because => 'the original goes on, and finds what r1 captured');
$shop->wait_until_quiet;
my $heard;

# Odoo terminates the other sessions, then copies, as its own role.
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'odoo'}, extra_params => [ '-U', 'odoo' ]);
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE odoo', extra_params => [ '-U', 'odoo' ]);
my ($order, $invoice) = $shop->open_order(50, 5, dbname => 'copy');
$heard = requests();
$shop->pay($invoice, dbname => 'copy');
waits($node, 'copy', "SELECT state IN ('queued', 'waiting') FROM bcpaid.capture WHERE order_id = $order", 'copy: the payment is enqueued');
stays_silent('copy', qr/copy or another server \(database, name changed\)/);

# Each of these in the original, and back; a payment each, sent only afterwards.
foreach my $case (
	[ 'neutralised', "INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'true')", qr/this database is neutralised/,
		"DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'" ],
	[ 'neutralised, as Odoo writes it', "INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'True')", qr/this database is neutralised/,
		"DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'" ],
	[ 'another database.uuid', "UPDATE ir_config_parameter SET value = 'x' || value WHERE key = 'database.uuid'", qr/\(database\.uuid changed\)/,
		"UPDATE ir_config_parameter SET value = substr(value, 2) WHERE key = 'database.uuid'" ],
	[ 'no database.uuid', "UPDATE ir_config_parameter SET key = 'x' WHERE key = 'database.uuid'", qr/\(database\.uuid changed\)/,
		"UPDATE ir_config_parameter SET key = 'database.uuid' WHERE key = 'x'" ])
{
	my ($what, $change, $says, $back) = @$case;
	state_of_silence($what, sub { $shop->odoo($change) }, $says, sub { $shop->odoo($back) });
}
state_of_silence('renamed', sub { rename_database('odoo', 'renamed') }, qr/\(name changed\)/, sub { rename_database($shop->{dbname}, 'odoo') });
like(($shop->try_odoo("INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'true'); SELECT bcpaid.confirm_environment()"))[2],
	qr/ERROR:  this database is neutralised/, 'a neutralised database cannot be confirmed');
$shop->odoo("DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'");

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
runs([ @dump, '-Fc', '-f', "$directory/rented.dump", 'rented' ], 'his backup');
$node->safe_psql('postgres', 'CREATE DATABASE rented2 OWNER odoo TEMPLATE template0');
runs([ 'pg_restore', '--no-owner', '-h', $node->host, '-p', $node->port, '-U', 'odoo', '-d', 'rented2', "$directory/rented.dump" ], 'restored by him, into a database of his own');
$restored{rented} = $restored{rented2} = $node;
is(ledger('rented2'), ledger('rented'), 'and complete');

$other->stop('fast');
$shop->store_is_content;
$shop->stop;
done_testing();

# A command that must succeed without a word.
sub runs
{
	my ($command, $name) = @_;
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run($command, '>', \$out, '2>', \$err);

	ok($ok, "$name: exits 0");
	is($err, '', "$name: says nothing");
	return;
}

sub psql_as
{
	my ($on, $database, $user, $sql) = @_;
	return $on->safe_psql($database, $sql, extra_params => [ '-U', $user ]);
}

sub waits
{
	my ($on, $database, $condition, $what) = @_;
	$shop->wait_until($what, sub { $on->safe_psql($database, $condition) eq 't' },
		sub { $on->safe_psql($database, 'SELECT id, order_id, state, reason FROM bcpaid.capture') });
	return;
}

# What was due is claimed, or not, in the round in which it was judged; so is
# the next round over, it had its chance.
sub lets_worker_go_round
{
	my ($on, $database) = @_;

	foreach my $round (1 .. 3)
	{
		$on->safe_psql($database, "INSERT INTO bcpaid.candidate VALUES ('o', 0); SELECT bcpaid.wake()");
		waits($on, $database, 'SELECT count(*) = 0 FROM bcpaid.candidate', 'the worker goes round');
	}
	return;
}

sub requests
{
	return scalar @{ $shop->control('GET', 'requests')->{requests} };
}

# All that a backup must carry, as text.
sub ledger
{
	my ($name) = @_;
	my $on = $restored{$name} || $node;
	return $on->safe_psql($name, <<'SQL');
CREATE FUNCTION pg_temp.rows(t regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text;
BEGIN
    EXECUTE format('SELECT count(*) || '' '' || coalesce(string_agg(x::text, E''\n'' ORDER BY x::text), '''') FROM %s x', t) INTO r;
    RETURN r;
END $$;
SELECT t, pg_temp.rows('bcpaid.' || t) FROM unnest('{profile,attachment,store,candidate,capture,history,attempt,baseline,link}'::text[]) t;
SELECT s, last_value, is_called FROM (SELECT 'store' AS s, * FROM bcpaid.store_id_seq UNION ALL SELECT 'capture', * FROM bcpaid.capture_id_seq
    UNION ALL SELECT 'attempt', * FROM bcpaid.attempt_id_seq) q;
SELECT pg_get_triggerdef(t.oid), t.tgenabled, (SELECT count(*) FROM pg_depend d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'x')
FROM pg_trigger t WHERE t.tgfoid = 'bcpaid.note()'::regprocedure ORDER BY 1;
SELECT pg_get_indexdef(i.oid), (SELECT count(*) FROM pg_depend d WHERE d.objid = i.oid AND d.deptype = 'x') FROM pg_class i
WHERE i.relkind = 'i' AND i.relname LIKE 'bcpaid%' ORDER BY 1;
SELECT string_agg(bcpaid_remote_order_id || coalesce(bcpaid_payment_status, ''), ' ' ORDER BY id) FROM sale_order;
SQL
}

# Whatever is due, the store is not asked, and both views say why.
sub stays_silent
{
	my ($database, $says) = @_;
	lets_worker_go_round($node, $database);
	is(requests(), $heard, "$database: the store heard nothing");
	is($shop->sql('SELECT environment_confirmed FROM bcpaid.status', dbname => $database), 'f', "$database: status says so");
	like($shop->sql(q{SELECT detail FROM bcpaid.doctor() WHERE "check" = 'environment' AND NOT ok}, dbname => $database), $says, "$database: doctor says why");
	return;
}

sub state_of_silence
{
	my ($what, $begin, $says, $end) = @_;
	my $remote = 100 + int $heard + requests();
	my ($this_order, $this_invoice) = $shop->open_order(10, $remote);

	$begin->();
	$heard = requests();
	$shop->pay($this_invoice);
	waits($node, $shop->{dbname}, "SELECT count(*) = 1 FROM bcpaid.capture WHERE order_id = $this_order", "$what: the payment is enqueued");
	note($what);
	stays_silent($shop->{dbname}, $says);
	$end->();
	$shop->odoo("SELECT bcpaid.retry(id) FROM bcpaid.capture WHERE order_id = $this_order");
	$shop->wait_for_state($this_order, 'applied', because => "$what is over");
	is($shop->captures($remote), 1, "$what: sent once it is over");
	return;
}

sub rename_database
{
	my ($from, $to) = @_;

	$shop->{dbname} = $to;
	$shop->wait_until("database $from is free", sub {
		($node->psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$from'; ALTER DATABASE $from RENAME TO $to"))[0] == 0 });
	return;
}
