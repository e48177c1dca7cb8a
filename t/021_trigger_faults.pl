# Goal: whatever breaks inside, the payment commits at once with at most a warning, and is captured once it is mended.
#
# No sweep is due by the clock here: what was not noted is found because the
# flush asked for a sweep, or, where `sweep` is given, because a person did.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;
use Time::HiRes qw(time);

my $shop = Bcpaid::Shop->new('faults', conf => "autovacuum = off\nbcpaid.idle_timeout = '300ms'");
my $node = $shop->{node};
my $remote = 400;
my $missed = qr/\A(?:psql:\S+ )?WARNING:  bcpaid could not note this payment: (.*)\n.*DETAIL:  The transaction is not affected; a sweep will find the payment\.\z/s;

# A payment while something is broken: `break` and `mend` are SQL or code.
# `warning` is what the one warning says, '' for no message at all.
sub payment_survives
{
	my ($name, %fault) = @_;
	my $number = ++$remote;
	my ($order, $invoice) = $shop->open_order(10, $number);

	$shop->wait_until_quiet;
	run($fault{break});
	my $begin = time;
	my ($code, $out, $messages) = $shop->try_odoo(<<"SQL", %{ $fault{as} || {} });
BEGIN ISOLATION LEVEL REPEATABLE READ;
@{[$fault{settings} || '']}
SELECT fixture.pay($invoice);
COMMIT;
SQL
	my $took = time - $begin;
	my $paid = $shop->sql("SELECT payment_state FROM account_move WHERE id = $invoice");
	run($fault{mend});
	$shop->sql('SELECT bcpaid.sweep()') if $fault{sweep};

	is("$code $paid", '0 paid', "$name: the payment commits");
	cmp_ok($took, '<', 10, "$name: at once");
	like($messages, $fault{warning} ? $missed : qr/\A\z/, "$name: " . ($fault{warning} ? 'one warning' : 'without a message'));
	like($messages, $fault{warning}, "$name: which says why") if $fault{warning};
	$shop->wait_for_state($order, 'applied', because => $name);
	is($shop->captures($number), 1, "$name: captured once");
	return;
}

sub run
{
	my ($what) = @_;
	return ref $what ? $what->() : $what ? $shop->sql($what) : undef;
}

sub wait_until_worker_left
{
	$shop->wait_until('the worker has left', sub {
		$shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' });
	return;
}

# ---- the table of candidates ----

payment_survives('nothing broken', warning => '');
payment_survives('table dropped', warning => qr/table bcpaid\.candidate does not exist/,
	break => 'ALTER EXTENSION bcpaid DROP TABLE bcpaid.candidate; DROP TABLE bcpaid.candidate',
	mend => 'CREATE TABLE bcpaid.candidate (kind "char" NOT NULL, ref integer NOT NULL); ALTER EXTENSION bcpaid ADD TABLE bcpaid.candidate');
payment_survives('table renamed', warning => qr/table bcpaid\.candidate does not exist/,
	break => 'ALTER TABLE bcpaid.candidate RENAME TO away',
	mend => 'ALTER TABLE bcpaid.away RENAME TO candidate');
payment_survives('table moved', warning => qr/table bcpaid\.candidate does not exist/,
	break => 'ALTER EXTENSION bcpaid DROP TABLE bcpaid.candidate; CREATE SCHEMA away; ALTER TABLE bcpaid.candidate SET SCHEMA away',
	mend => 'ALTER TABLE away.candidate SET SCHEMA bcpaid; ALTER EXTENSION bcpaid ADD TABLE bcpaid.candidate');
payment_survives('schema renamed', warning => qr/schema "bcpaid" does not exist/, sweep => 1,
	break => 'ALTER SCHEMA bcpaid RENAME TO elsewhere', mend => 'ALTER SCHEMA elsewhere RENAME TO bcpaid');
payment_survives('a column more', warning => qr/bcpaid\.candidate is not the table that it should be/,
	break => 'ALTER TABLE bcpaid.candidate ADD more int', mend => <<'SQL');
ALTER EXTENSION bcpaid DROP TABLE bcpaid.candidate; DROP TABLE bcpaid.candidate;
CREATE TABLE bcpaid.candidate (kind "char" NOT NULL, ref integer NOT NULL); ALTER EXTENSION bcpaid ADD TABLE bcpaid.candidate
SQL
payment_survives('a column of another type', warning => qr/bcpaid\.candidate is not the table that it should be/,
	break => 'ALTER TABLE bcpaid.candidate ALTER ref TYPE bigint', mend => 'ALTER TABLE bcpaid.candidate ALTER ref TYPE int');
payment_survives('a view in its place', warning => qr/bcpaid\.candidate is not the table that it should be/,
	break => 'ALTER TABLE bcpaid.candidate RENAME TO away; CREATE VIEW bcpaid.candidate AS SELECT * FROM bcpaid.away',
	mend => 'DROP VIEW bcpaid.candidate; ALTER TABLE bcpaid.away RENAME TO candidate');
payment_survives('a partitioned table in its place', warning => qr/bcpaid\.candidate is not the table that it should be/,
	break => 'ALTER TABLE bcpaid.candidate RENAME TO away; CREATE TABLE bcpaid.candidate (kind "char", ref int) PARTITION BY LIST (kind)',
	mend => 'DROP TABLE bcpaid.candidate; ALTER TABLE bcpaid.away RENAME TO candidate');

# What would stop an INSERT does not stop an append.
payment_survives('a check that fails', warning => '',
	break => 'ALTER TABLE bcpaid.candidate ADD CONSTRAINT never CHECK (ref < 0) NOT VALID',
	mend => 'ALTER TABLE bcpaid.candidate DROP CONSTRAINT never');
payment_survives('triggers and rules that refuse', warning => '', break => <<'SQL', mend => <<'SQL');
CREATE FUNCTION fixture.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON bcpaid.candidate FOR EACH ROW EXECUTE FUNCTION fixture.refuse();
CREATE RULE refuse AS ON INSERT TO bcpaid.candidate DO INSTEAD NOTHING;
ALTER TABLE bcpaid.candidate ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SQL
DROP TRIGGER refuse ON bcpaid.candidate; DROP RULE refuse ON bcpaid.candidate;
ALTER TABLE bcpaid.candidate DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SQL
payment_survives('a unique index', warning => '',
	break => 'TRUNCATE bcpaid.candidate; CREATE UNIQUE INDEX one ON bcpaid.candidate ((true))', mend => 'DROP INDEX bcpaid.one');
payment_survives('no rights left', warning => '', break => <<'SQL', mend => <<'SQL');
REVOKE ALL ON bcpaid.candidate FROM pg_database_owner, postgres; REVOKE ALL ON SCHEMA bcpaid FROM pg_database_owner, PUBLIC;
REVOKE ALL ON FUNCTION bcpaid.note() FROM pg_database_owner, PUBLIC;
SQL
GRANT ALL ON bcpaid.candidate TO postgres; GRANT SELECT, INSERT ON bcpaid.candidate TO pg_database_owner;
GRANT USAGE ON SCHEMA bcpaid TO pg_database_owner; GRANT EXECUTE ON FUNCTION bcpaid.note() TO pg_database_owner;
SQL

# ---- the disk ----

my ($file, $aside);

# The table's file, empty and new, is put aside, and something else in its place.
sub replace_file
{
	my ($put) = @_;

	$shop->sql('TRUNCATE bcpaid.candidate');
	$shop->sql('CHECKPOINT');
	$file = $node->data_dir . '/' . $shop->sql("SELECT pg_relation_filepath('bcpaid.candidate')");
	rename $file, "$file.aside" or die "$file: $!";
	$put->();
	return;
}

sub put_file_back
{
	unlink $file;
	rename "$file.aside", $file or die "$file: $!";
	return;
}

payment_survives('disk full', warning => qr/could not extend file .*: No space left on device/,
	break => sub { replace_file(sub { symlink '/dev/full', $file or die $! }) }, mend => \&put_file_back);
wait_until_worker_left();
payment_survives('file lost', warning => qr/could not open file .*: No such file/,
	break => sub { replace_file(sub { }) }, mend => \&put_file_back);

# A worker keeps the file open that it saw; let the next one see the right one.
wait_until_worker_left();

# ---- locks ----

my $person = $node->background_psql('odoo');

for my $mode ('ACCESS EXCLUSIVE', 'SHARE')
{
	payment_survives("table locked in $mode mode", warning => qr/table bcpaid\.candidate is locked/,
		break => sub { $person->query_safe("BEGIN; LOCK TABLE bcpaid.candidate IN $mode MODE") },
		mend => sub { $person->query_safe('ROLLBACK') });
}
payment_survives('table locked, and lock_timeout of 1 ms', warning => qr/table bcpaid\.candidate is locked/,
	settings => "SET lock_timeout = '1ms';",
	break => sub { $person->query_safe('BEGIN; LOCK TABLE bcpaid.candidate') },
	mend => sub { $person->query_safe('ROLLBACK') });
payment_survives('table renamed, not yet committed', warning => qr/table bcpaid\.candidate is locked/,
	break => sub { $person->query_safe('BEGIN; ALTER TABLE bcpaid.candidate RENAME TO away') },
	mend => sub { $person->query_safe('ROLLBACK') });
payment_survives('all our other tables locked', warning => '',
	break => sub { $person->query_safe('BEGIN; LOCK TABLE bcpaid.attachment, bcpaid.capture, bcpaid.store, bcpaid.profile, bcpaid.history') },
	mend => sub { $person->query_safe('ROLLBACK') });

# Longer than a worker stays that can do nothing: what was missed is not forgotten.
my $log;
payment_survives('all our tables locked for a long time', warning => qr/table bcpaid\.candidate is locked/,
	break => sub { $person->query_safe('BEGIN; LOCK TABLE bcpaid.candidate, bcpaid.capture, bcpaid.progress'); $log = $shop->log_size },
	mend => sub {
		$shop->wait_until('the worker has met the lock', sub { $shop->log_since($log) =~ /ERROR:  canceling statement due to lock timeout/ });
		wait_until_worker_left();
		$person->query_safe('ROLLBACK');
	});

# Another sweep has already passed this order, and was cut short.
payment_survives('missed behind the back of a sweep', warning => qr/does not exist/,
	break => sub { wait_until_worker_left(); $shop->sql('UPDATE bcpaid.progress SET swept_to = 1000000; ALTER TABLE bcpaid.candidate RENAME TO away') },
	mend => 'ALTER TABLE bcpaid.away RENAME TO candidate');

# ---- settings ----

payment_survives('hostile search_path', warning => '', settings => <<'SQL');
CREATE TEMP TABLE candidate (kind "char", ref int) ON COMMIT DROP; CREATE TEMP TABLE note (x int) ON COMMIT DROP;
SET LOCAL search_path = pg_temp, public;
SQL
payment_survives('triggers off: session_replication_role', warning => '', sweep => 1, as => { user => 'postgres' },
	settings => 'SET LOCAL session_replication_role = replica;');
payment_survives('triggers off: DISABLE TRIGGER', warning => '', sweep => 1,
	settings => 'ALTER TABLE account_move DISABLE TRIGGER ALL; ALTER TABLE account_payment DISABLE TRIGGER ALL; ALTER TABLE account_move__account_payment DISABLE TRIGGER ALL;',
	as => { user => 'postgres' },
	mend => 'ALTER TABLE account_move ENABLE TRIGGER ALL; ALTER TABLE account_payment ENABLE TRIGGER ALL; ALTER TABLE account_move__account_payment ENABLE TRIGGER ALL');

# ---- Odoo's own upgrades: UPDATE and ALTER TABLE in one transaction ----

for my $ddl (
	'ALTER TABLE account_move ADD COLUMN x int; ALTER TABLE sale_order ADD COLUMN x int; ALTER TABLE account_payment ADD COLUMN x int',
	'ALTER TABLE account_move ALTER payment_state TYPE text, ALTER state TYPE text, ALTER move_type TYPE text',
	'ALTER TABLE account_move ALTER amount_residual TYPE numeric(16, 2)',
	'ALTER TABLE account_payment ALTER state TYPE text, ALTER payment_type TYPE text, ALTER amount TYPE numeric(16, 2), ALTER id TYPE bigint',
	'ALTER TABLE account_payment DROP COLUMN is_matched; ALTER TABLE account_move DROP COLUMN partner_id; ALTER TABLE sale_order DROP COLUMN partner_id',
	'ALTER TABLE sale_order ALTER bcpaid_payment_status TYPE text, ALTER invoice_status TYPE text, ALTER state TYPE text',
	'ALTER TABLE account_payment RENAME partner_type TO was_partner_type')
{
	my $number = ++$remote;
	my ($order, $invoice) = $shop->open_order(10, $number);
	my ($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay($invoice); UPDATE sale_order SET invoice_status = 'no' WHERE id = $order;
UPDATE sale_order SET invoice_status = 'invoiced' WHERE id = $order; $ddl; COMMIT;");

	is("$code $messages", '0 ', "UPDATE, then $ddl");
	$shop->wait_for_state($order, 'applied', because => $ddl);
	is($shop->captures($number), 1, '- and captured once');
}
$shop->odoo('ALTER TABLE account_payment RENAME was_partner_type TO partner_type');
my ($order, $invoice) = $shop->open_order(10, ++$remote);
my ($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay($invoice); ALTER TABLE sale_order DROP COLUMN bcpaid_payment_status; COMMIT;");
is("$code $messages", '0 ', 'UPDATE, then a column of ours is dropped');
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.attach(); SELECT bcpaid.sweep()');
$shop->wait_for_state($order, 'applied', because => 'attached again');

# ---- nobody listens any more ----

$shop->wait_until_quiet;
($order, $invoice) = $shop->open_order(10, ++$remote);
($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay($invoice); SELECT bcpaid.detach(); COMMIT;");
is($code, 0, 'a payment and detach in one transaction');
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.attach()');
($order, $invoice) = $shop->open_order(10, ++$remote);
($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay($invoice); DROP EXTENSION bcpaid; COMMIT;");
is($code, 0, 'a payment and DROP EXTENSION in one transaction');
is($shop->sql("SELECT payment_state FROM account_move WHERE id = $invoice"), 'paid', '- and it is paid');
unlike($messages, qr/ERROR/, '- with a warning at most');

$person->quit;
$shop->store_is_content;
$shop->stop;
done_testing();
