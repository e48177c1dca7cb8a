# What the tests of backups and copies share: the ledger as text, and whether a
# copy is silent.
#
# A copy is a server and the name of a database there; the shop is asked for
# what it has in common with the original, the store.

package Bcpaid::Copies;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use IPC::Run;
use Test::More;

our @EXPORT = qw(runs psql_as ledger requests waits lets_worker_go_round in_copy stays_silent);

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

# The shop's methods, applied to a copy.
sub in_copy
{
	my ($shop, $on, $database, $code) = @_;
	local $shop->{node} = $on;
	local $shop->{dbname} = $database;
	return $code->();
}

sub requests
{
	my ($shop) = @_;
	return $shop->control('GET', 'requests?limit=1')->{last};
}

sub waits
{
	my ($shop, $on, $database, $condition, $what) = @_;
	$shop->wait_until($what, sub { $on->safe_psql($database, $condition) eq 't' },
		sub { $on->safe_psql($database, 'SELECT id, order_id, state, reason FROM bcpaid.capture') });
	return;
}

# What was due is claimed, or not, in the round in which it was judged; so is
# the next round over, it had its chance.
sub lets_worker_go_round
{
	my ($shop, $on, $database) = @_;

	foreach my $round (1 .. 3)
	{
		$on->safe_psql($database, "INSERT INTO bcpaid.candidate VALUES ('o', 0); SELECT bcpaid.wake()");
		waits($shop, $on, $database, 'SELECT count(*) = 0 FROM bcpaid.candidate', 'the worker goes round');
	}
	return;
}

# An open order of the copy is paid there: whatever is due, the store is not
# asked, and both views say why.
sub stays_silent
{
	my ($shop, $on, $database, $what, $case, $says) = @_;
	my $heard = requests($shop);

	in_copy($shop, $on, $database, sub { $shop->pay_all($case) });
	waits($shop, $on, $database, "SELECT count(*) = 1 FROM bcpaid.capture WHERE order_id = $case->{order} AND state IN ('queued', 'waiting')", "$what: the payment is enqueued");
	lets_worker_go_round($shop, $on, $database);
	is(requests($shop), $heard, "$what: the store heard nothing");
	is(psql_as($on, $database, 'odoo', 'SELECT DISTINCT environment_confirmed FROM bcpaid.status'), 'f', "$what: status says that it is not confirmed");
	like(psql_as($on, $database, 'odoo', q{SELECT detail, hint FROM bcpaid.doctor() WHERE "check" = 'environment' AND NOT ok}),
		qr/$says.*confirm_environment/, "$what: doctor says why, and what to do");
	return;
}

# All that a backup must carry, as text.
sub ledger
{
	my ($on, $database) = @_;
	return $on->safe_psql($database, <<'SQL');
CREATE FUNCTION pg_temp.rows(t regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text;
BEGIN
    EXECUTE format('SELECT count(*) || '' '' || coalesce(string_agg(x::text, E''\n'' ORDER BY x::text), '''') FROM %s x', t) INTO r;
    RETURN r;
END $$;
SELECT t, pg_temp.rows('bcpaid.' || t) FROM unnest('{profile,attachment,store,candidate,capture,history,attempt,baseline,link}'::text[]) t;
SELECT s, last_value, is_called FROM (SELECT 'store' AS s, * FROM bcpaid.store_id_seq UNION ALL SELECT 'capture', * FROM bcpaid.capture_id_seq
    UNION ALL SELECT 'history', * FROM bcpaid.history_id_seq UNION ALL SELECT 'attempt', * FROM bcpaid.attempt_id_seq) q;
SELECT pg_get_triggerdef(t.oid), t.tgenabled, (SELECT count(*) FROM pg_depend d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'x')
FROM pg_trigger t WHERE t.tgfoid = 'bcpaid.note()'::regprocedure ORDER BY 1;
SELECT pg_get_indexdef(i.oid), (SELECT count(*) FROM pg_depend d WHERE d.objid = i.oid AND d.deptype = 'x') FROM pg_class i
WHERE i.relkind = 'i' AND i.relname LIKE 'bcpaid%' ORDER BY 1;
SELECT string_agg(bcpaid_remote_order_id || coalesce(bcpaid_payment_status, ''), ' ' ORDER BY id) FROM sale_order;
SQL
}

1;
