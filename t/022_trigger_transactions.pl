# Goal: a transaction's notes are those of its committed parts, written once, for one transaction id and bounded memory.
#
# As in 020, the library is not preloaded at first, so that notes stay where
# they are; at the end the server gets it, and what was noted is captured.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('transactions', conf => "shared_preload_libraries = ''\nautovacuum = off");

# Any table will do to note something: a row of it is one note.
$shop->sql(<<'SQL');
CREATE TABLE fixture.noted (id int NOT NULL);
GRANT ALL ON fixture.noted TO odoo;
CREATE TRIGGER bcpaid_noted AFTER INSERT ON fixture.noted FOR EACH ROW EXECUTE FUNCTION bcpaid.note('m', 'id', '', '');
SQL

# What a script of one transaction notes, and what the client was told.
sub notes_of
{
	my ($script) = @_;
	my ($code, $out, $error) = $shop->{node}->psql('odoo', <<"SQL", on_error_stop => 0);
TRUNCATE bcpaid.candidate;
SET ROLE odoo;
$script
RESET ROLE;
SELECT 'notes=' || coalesce(string_agg(DISTINCT ref::text, ' ' ORDER BY ref::text), '') FROM bcpaid.candidate;
SQL
	return $out =~ /notes=(.*)/ ? $1 : "no answer: $error";
}

sub touch { return "INSERT INTO fixture.noted VALUES ($_[0]);" }

# ---- what is rolled back leaves nothing ----

for my $case (
	[ 'commit', '1', touch(1) . 'COMMIT;' ],
	[ 'rollback', '', touch(1) . 'ROLLBACK;' ],
	[ 'an error, then commit', '', touch(1) . 'SELECT 1/0; COMMIT;' ],
	[ 'savepoint rolled back', '1 3', touch(1) . 'SAVEPOINT a;' . touch(2) . 'ROLLBACK TO a;' . touch(3) . 'COMMIT;' ],
	[ 'savepoint released', '1 2', touch(1) . 'SAVEPOINT a;' . touch(2) . 'RELEASE a; COMMIT;' ],
	[ 'savepoint released, all rolled back', '', touch(1) . 'SAVEPOINT a;' . touch(2) . 'RELEASE a; ROLLBACK;' ],
	[ 'released into one that is rolled back', '1', touch(1) . 'SAVEPOINT a; SAVEPOINT b;' . touch(2) . 'RELEASE b; ROLLBACK TO a; COMMIT;' ],
	[ 'inner rolled back, outer released', '1 2 4', touch(1) . 'SAVEPOINT a;' . touch(2) . 'SAVEPOINT b;' . touch(3) . 'ROLLBACK TO b; RELEASE b;' . touch(4) . 'RELEASE a; COMMIT;' ],
	[ 'the same row in both', '1', touch(1) . 'SAVEPOINT a;' . touch(1) . 'ROLLBACK TO a; COMMIT;' ],
	[ 'the same row after the rollback', '1', 'SAVEPOINT a;' . touch(1) . 'ROLLBACK TO a;' . touch(1) . 'COMMIT;' ],
	[ 'the same row, released, then rolled back', '', 'SAVEPOINT a; SAVEPOINT b;' . touch(1) . 'RELEASE b;' . touch(1) . 'ROLLBACK TO a; COMMIT;' ],
	[ 'a savepoint used again', '2', 'SAVEPOINT a;' . touch(1) . 'ROLLBACK TO a;' . touch(2) . 'SAVEPOINT a;' . touch(3) . 'ROLLBACK TO a; COMMIT;' ],
	[ 'an error in a savepoint', '1 3', touch(1) . 'SAVEPOINT a;' . touch(2) . 'SELECT 1/0; ROLLBACK TO a;' . touch(3) . 'COMMIT;' ],
	[ 'exception blocks', '1 4', "DO \$\$ BEGIN " . touch(1) . "BEGIN " . touch(2) . "BEGIN " . touch(3) . "END; RAISE 'x'; EXCEPTION WHEN OTHERS THEN END; BEGIN " . touch(4) . "EXCEPTION WHEN OTHERS THEN END; END \$\$; COMMIT;" ],
	[ 'transactions of a procedure', '1 3', "COMMIT; DO \$\$ BEGIN " . touch(1) . "COMMIT; " . touch(2) . "ROLLBACK; " . touch(3) . "END \$\$;" ],
	[ 'COMMIT AND CHAIN', '1 2', touch(1) . 'COMMIT AND CHAIN;' . touch(2) . 'COMMIT AND CHAIN;' . touch(3) . 'ROLLBACK;' ],
	[ 'statements without a transaction', '1 2', 'COMMIT;' . touch(1) . touch(2) ],
	[ 'DISCARD ALL between', '1 2', touch(1) . 'COMMIT; DISCARD ALL;' . touch(2) ],
	[ 'prepared and rolled back', '', touch(1) . "PREPARE TRANSACTION 'a'; ROLLBACK PREPARED 'a';" ],
	[ 'prepared and committed', '1 2', touch(1) . "PREPARE TRANSACTION 'a';" . touch(2) . "COMMIT PREPARED 'a';" ])
{
	my ($name, $expected, $script) = @$case;
	is(notes_of("BEGIN ISOLATION LEVEL REPEATABLE READ;\n$script"), $expected, $name);
}

# The same by chance: 300 transactions of savepoints, against a model of them.
sub random_transaction
{
	my ($number) = @_;
	my (@levels, $sql);
	my $id = 0;

	@levels = ([]);				# the notes of each open savepoint, outermost first
	for (1 .. 12 + int(rand(20)))
	{
		my $what = int(rand(7));

		if ($what < 3)
		{
			$id++ if rand() < 0.7;
			push @{ $levels[-1] }, "$number$id";
			$sql .= touch("$number$id");
		}
		elsif ($what < 5)
		{
			push @levels, [];
			$sql .= 'SAVEPOINT s' . $#levels . ';';
		}
		elsif (@levels > 1)
		{
			my $to = 1 + int(rand($#levels));
			my @lost = splice @levels, $to;

			$sql .= ($what == 5 ? 'RELEASE' : 'ROLLBACK TO') . " s$to;";
			push @{ $levels[-1] }, map { @$_ } @lost if $what == 5;
			push @levels, [] if $what == 6;
		}
	}
	return ("BEGIN;$sql" . 'COMMIT;', map { @$_ } @levels);
}

my $seed = srand();
my ($script, %expected) = ('');
for my $number (1001 .. 1300)
{
	my ($sql, @committed) = random_transaction($number);

	$script .= "$sql\n";
	$expected{$_} = 1 for @committed;
}
is(notes_of($script), join(' ', sort keys %expected), "savepoints by chance (seed $seed)");

# ---- written once ----

my $orders = 10_000;
$shop->odoo(<<"SQL");
INSERT INTO account_move (state, move_type, payment_state, currency_id, amount_total, amount_residual)
SELECT 'posted', 'out_invoice', 'not_paid', 1, 1, 1 FROM generate_series(1, $orders);
SQL
my $numbers = $shop->sql(<<'SQL');
TRUNCATE bcpaid.candidate;
SELECT pg_current_xact_id() AS before \gset
BEGIN;
SAVEPOINT of_odoo;
UPDATE account_move SET payment_state = 'paid', amount_residual = 0;
RELEASE of_odoo;
COMMIT;
SELECT pg_current_xact_id()::text::bigint - :before - 1, count(*), count(DISTINCT xmin::text), count(DISTINCT cmin::text) FROM bcpaid.candidate;
SQL
is($numbers, "3|$orders|1|1", 'for 10,000 rows: Odoo\'s transaction, its savepoint and one of ours');
is($shop->sql('SELECT pg_current_xact_id() AS before \gset
BEGIN; UPDATE account_move SET ref = \'x\' WHERE id = 1; COMMIT;
SELECT pg_current_xact_id()::text::bigint - :before - 1'), '1', 'where nothing is noted: none of ours');

# A row that changes again and again is one note, as long as nothing comes between.
$shop->sql('TRUNCATE bcpaid.candidate; BEGIN; ' . touch(7) x 100 . ' COMMIT;');
is($shop->sql('SELECT count(*) FROM bcpaid.candidate'), '1', 'a hundred changes of one row are one note');

# What is no int4 cannot be noted (a sweep is asked for), and is no other row.
$shop->sql("CREATE TABLE fixture.wide (id bigint); CREATE TRIGGER bcpaid_wide AFTER INSERT ON fixture.wide FOR EACH ROW EXECUTE FUNCTION bcpaid.note('m', 'id', '', '')");
is(notes_of('INSERT INTO fixture.wide VALUES (5000000000);'), '', 'a bigint is not cut off');

# ---- bounded ----

my $memory = <<'SQL';
SELECT 'memory=' || sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
SQL
my $million = $shop->sql("TRUNCATE bcpaid.candidate; BEGIN; INSERT INTO fixture.noted SELECT generate_series(1, 1200000); $memory COMMIT;");
my ($bytes) = $million =~ /memory=(\d+)/;
cmp_ok($bytes, '<', 20_000_000, 'more than a million notes take a bounded amount of memory');
is($shop->sql('SELECT count(*) FROM bcpaid.candidate'), '0', 'and are left to a sweep');

$shop->sql('BEGIN; ' . (join ' ', map { "SAVEPOINT a; INSERT INTO fixture.noted VALUES ($_); ROLLBACK TO a; RELEASE a;" } 1 .. 2000)
	  . touch(9) . ' COMMIT;');
is($shop->sql('SELECT string_agg(ref::text, \' \') FROM bcpaid.candidate'), '9', 'two thousand savepoints, all rolled back but the last note');

# Nobody reads: the table stops growing, and no payment is any the worse for it.
my $noted = $shop->paid_order(10, 301);
is($shop->sql("SELECT count(*) > 0 FROM bcpaid.candidate WHERE kind = 'p'"), 't', 'a payment is noted');
$shop->sql('INSERT INTO bcpaid.candidate SELECT \'m\', 2000000000 + n FROM generate_series(1, 1900000) n');
my $full = $shop->sql('SELECT count(*) FROM bcpaid.candidate');
my ($unnoted, $invoice) = $shop->open_order(20, 302);
my ($code, $out, $messages) = $shop->try_odoo("BEGIN; SELECT fixture.pay($invoice); COMMIT;");
is("$code $messages", '0 ', 'with a full table of candidates, a payment commits silently');
is($shop->sql('SELECT count(*) FROM bcpaid.candidate'), $full, 'and nothing is added');
cmp_ok($shop->sql('SELECT pg_relation_size(\'bcpaid.candidate\')'), '<', 100_000_000, 'a full table is of bounded size');

# ---- and when the library comes ----

my ($marked, $other) = $shop->open_order(30, 303);
$shop->odoo('ALTER TABLE account_move DISABLE TRIGGER USER');
$shop->pay($other);
$shop->odoo('ALTER TABLE account_move ENABLE TRIGGER USER');
($code, $out, $messages) = $shop->try_odoo("SELECT bcpaid_mark($marked)");
is($code, 0, 'without the library preloaded, marking records');
like($messages, qr/WARNING:  the capture is recorded, but nobody will send it\n.*\nHINT:  Add bcpaid to shared_preload_libraries/, 'and says that nobody will send');
is($shop->state_of($marked), 'queued', 'the capture waits');

$shop->sql('DELETE FROM bcpaid.candidate WHERE ref > 2000000000');
$shop->{node}->append_conf('postgresql.conf', "shared_preload_libraries = 'bcpaid'");
$shop->{node}->restart;
$shop->wait_for_state($_, 'applied') for $noted, $marked, $unnoted;
is(join(' ', map { $shop->captures($_) } 301 .. 303), '1 1 1', 'with the library, all three are captured, each once');

# Full, and nobody can empty it: not noted, but a sweep is asked for.  When it can be, the worker gives the room back.
my $size = "SELECT pg_relation_size('bcpaid.candidate')";
my $filler = $shop->{node}->background_psql('odoo');
$filler->query_safe("BEGIN; INSERT INTO bcpaid.candidate SELECT 'm', 2000000000 FROM generate_series(1, 1900000)");
my $missed = $shop->paid_order(40, 304);
$shop->wait_for_state($missed, 'applied');
$filler->query_safe('ROLLBACK');
$filler->quit;
$shop->wait_until('the table is small again', sub { $shop->sql('SELECT bcpaid.wake()'); $shop->sql($size) eq '0' }, sub { $shop->sql($size) });
my $again = $shop->paid_order(50, 305);
$shop->wait_for_state($again, 'applied');
is($shop->sql("SELECT string_agg(origin, ' ' ORDER BY order_id) FROM bcpaid.capture WHERE order_id IN ($missed, $again)"),
	'sweep payment', 'what is not noted is swept, and later ones are noted again');

$shop->store_is_content;
$shop->stop;
done_testing();
