# Goal: DROP EXTENSION, a missing standby and locks that Odoo holds end no worker for good, no session, and no answer with an error.
#
# Two servers: a standby that is missing stops every commit.  What must wait for
# seconds is begun first and ends last.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('others', timeout => 25, conf => <<'CONF');
bcpaid.idle_timeout = '200ms'
bcpaid.max_workers = 8
max_worker_processes = 16
log_min_messages = debug1
CONF
my $alone = Bcpaid::Shop->new('alone', timeout => 25, no_database => 1, conf => "bcpaid.idle_timeout = '60s'");
my @unfinished;

# One that fails stops no other.
sub run_finding
{
	my ($name, $code) = @_;

	my $rest;
	eval { $rest = $code->(); 1 } or fail("$name: $@");
	return ref $rest eq 'CODE' ? $rest : undef;
}

sub finding
{
	my ($name, $code) = @_;

	my $rest = run_finding($name, $code);
	push @unfinished, [ $name, $rest ] if $rest;
	return;
}

sub at { my ($server, $database, $code) = @_; local $server->{dbname} = $database; return $code->() }
sub one { my ($server, $name, %more) = @_; my $case = { name => $name, %more }; $server->place($case); return $case }
sub session { my ($server, $user) = @_; return $server->{node}->background_psql($server->{dbname}, extra_params => [ '-U', $user || 'odoo' ], on_error_stop => 0) }
sub pid_of { my ($session) = @_; return $session->query_safe('SELECT pg_backend_pid()') }
sub posts { my ($server, $case) = @_; return $server->control('GET', "requests?method=POST&order=$case->{number}")->{count} }
sub worker { my ($server) = @_; return $server->sql("SELECT pid FROM pg_stat_activity WHERE datname = '$server->{dbname}' AND backend_type = 'bcpaid worker'", dbname => 'postgres') }
sub wait_until_worker_left { my ($server) = @_; return $server->wait_until('the worker has left', sub { worker($server) eq '' }) }

# Workers started for this database since the log was so long.
sub starts_of
{
	my ($since) = @_;
	my $oid = $shop->sql("SELECT oid FROM pg_database WHERE datname = '$shop->{dbname}'", dbname => 'postgres');
	return scalar(() = $shop->log_since($since) =~ /starting background worker process "bcpaid worker for database $oid"/g);
}

# Can be marked, and nobody has noted it.
sub markable
{
	my ($name) = @_;
	my $case = one($shop, $name);
	$shop->wait_until_quiet;
	$shop->wait_until('the first sweep is over', sub { $shop->sql('SELECT swept_at IS NOT NULL FROM bcpaid.progress') eq 't' });
	$shop->sql("SET session_replication_role = replica; SELECT fixture.pay($case->{invoice})");
	return $case;
}

# What a session is told, without the lines that it did not ask for.
sub answer
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	my $out = $session->query($sql);
	my $messages = $session->{stderr};
	$session->{stderr} = '';
	return ($out, $messages);
}

sub waits_for_lock
{
	my ($server, $pid) = @_;
	$server->wait_until('it waits for the lock', sub {
		$server->sql("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") eq '1' });
	return;
}

# ---- DROP EXTENSION, rolled back ----

finding('a DROP EXTENSION that is rolled back', sub {
	return at($shop, 'kept', sub {
		$shop->make_database('kept');
		my $case = one($shop, 'due while DROP EXTENSION was open');

		$shop->fault(match => { order => $case->{number} }, do => 'answer', status => 503, headers => { 'X-Retry-After' => '8' });
		$shop->pay_all($case);
		$shop->wait_for_state($case->{order}, 'waiting|queued');
		$shop->wait_until('the store said later', sub { $shop->sql('SELECT count(*) FROM bcpaid.stores WHERE retry_at > now()') eq '1' });
		wait_until_worker_left($shop);
		my $person = session($shop);
		my $log = $shop->log_size;
		$person->query_safe('BEGIN; SET LOCAL client_min_messages = error; DROP EXTENSION bcpaid');
		$shop->wait_until('a worker came and met the lock', sub { starts_of($log) > 0 && $shop->log_since($log) =~ /ERROR:  canceling statement due to lock timeout/ });
		wait_until_worker_left($shop);
		$person->query_safe('ROLLBACK');
		$person->quit;

		return sub {
			local $shop->{dbname} = 'kept';
			local $shop->{timeout} = 45;
			$shop->come_to_their_end($case);
		};
	});
});

# ---- a standby that does not confirm ----

finding('a missing standby', sub {
	my ($node, %case, %pid) = ($alone->{node});

	at($alone, $_, sub { $alone->make_database($alone->{dbname}) }) for qw(claim intent);
	at($alone, 'claim', sub {
		$case{claim} = one($alone, 'claimed without a confirmation');
		$alone->odoo('SELECT bcpaid.pause(1)');
		$alone->pay_all($case{claim});
		$alone->wait_for_state($case{claim}{order}, 'queued');
	});
	my $fault = at($alone, 'intent', sub {
		$case{intent} = one($alone, 'intended without a confirmation');
		my $fault = $alone->fault(match => { order => $case{intent}{number}, method => 'GET' }, do => 'hang', then => 'answer');
		$alone->pay_all($case{intent});
		$alone->control('POST', 'wait', { held => 1 });
		return $fault;
	});
	$pid{$_} = at($alone, $_, sub { worker($alone) }) for keys %case;

	$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
	$node->reload;
	my $anybody = $node->background_psql('postgres', on_error_stop => 0);
	my $anybodys_pid = pid_of($anybody);
	$anybody->query_until(qr/sent/, "\\echo sent\nSELECT pg_logical_emit_message(true, '', '');\n\\echo over\n");
	$alone->wait_until('commits wait for the standby', sub {
		$alone->sql("SELECT wait_event FROM pg_stat_activity WHERE pid = $anybodys_pid", dbname => 'postgres') eq 'SyncRep' });
	$alone->control('POST', 'release', { fault => $fault });
	$alone->odoo('SET synchronous_commit = local; SELECT bcpaid.resume(1)', dbname => 'claim');

	return sub {
		for my $database (qw(claim intent))
		{
			$alone->wait_until("the $database is cut short", sub {
				$alone->log_since(0) =~ /\[$pid{$database}\].*WARNING:  canceling( the)? wait for synchronous replication/ });
			is(posts($alone, $case{$database}), 0, "$database: nothing is sent that no standby knows of");
		}
		$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
		$node->reload;
		$anybody->query_until(qr/over/, '');
		$anybody->quit;
		for my $database (qw(claim intent))
		{
			at($alone, $database, sub { $alone->come_to_their_end($case{$database}) });
			is(posts($alone, $case{$database}), 1, "$database: one write");
			is(at($alone, $database, sub { worker($alone) }), $pid{$database}, "$database: by the same worker");
		}
	};
});

# ---- DROP EXTENSION, committed, with a wake-up under way ----

finding('DROP EXTENSION after a wake-up', sub {
	$shop->make_database($_) for qw(dropped fence);
	at($shop, 'dropped', sub { $shop->wait_until_quiet; wait_until_worker_left($shop) });
	my $log = $shop->log_size;
	$shop->odoo('BEGIN; SELECT bcpaid.resume(1); SET LOCAL client_min_messages = error; DROP EXTENSION bcpaid; COMMIT', dbname => 'dropped');

	# Whoever left longest ago goes first: each of these comes after what is due of the other.
	at($shop, 'fence', sub {
		for my $round (1 .. 3)
		{
			my $case = one($shop, "of another database, $round");
			wait_until_worker_left($shop);
			$shop->pay_all($case);
			$shop->come_to_their_end($case);
		}
	});
	at($shop, 'dropped', sub {
		wait_until_worker_left($shop);
		cmp_ok(starts_of($log), '<=', 2, 'where there is no bcpaid any more, no worker comes again and again');
	});
	return;
});

# ---- a lock on our own table ----

finding('a lock on bcpaid.attachment', sub {
	my $case = markable('while attachment is locked');
	my ($fresh, $warm, $person) = (session($shop), session($shop), session($shop, 'postgres'));
	my $can_mark = "SELECT bcpaid_can_mark($case->{order})";

	is($warm->query_safe($can_mark), 't', 'the order can be marked');
	$person->query_safe('BEGIN; LOCK TABLE bcpaid.attachment');
	my ($out, $messages) = answer($fresh, "SET lock_timeout = '200ms'; $can_mark");
	is("$out|$messages", 'f|', 'a first call that cannot find out: false, and no error');
	($out, $messages) = answer($fresh, "SELECT count(*) FROM bcpaid_can_mark(ARRAY[$case->{order}]) WHERE can_mark");
	is("$out|$messages", '0|', 'the same for many orders');
	($out, $messages) = answer($warm, "SET lock_timeout = '200ms'; $can_mark");
	is($messages, '', 'nor an error in a session that knew');
	$person->query_safe('ROLLBACK');
	is($_->query_safe($can_mark), 't', 'the same session answers when the lock is gone') for $fresh, $warm;
	$_->quit for $fresh, $warm, $person;
	return;
});

# ---- a statement timeout in can_mark, and a cancel ----

finding('a cancel in bcpaid_can_mark', sub {
	my $case = markable('while sale_order is locked');
	my ($session, $person) = (session($shop), session($shop));
	my $can_mark = "SELECT bcpaid_can_mark($case->{order})";

	for my $how ('cold', 'warm')
	{
		my $pid = pid_of($session);
		$person->query_safe('BEGIN; LOCK TABLE sale_order');
		my ($out, $messages) = answer($session, "SET statement_timeout = '100ms';\n$can_mark;\n\\echo :SQLSTATE");
		is($out, '57014', "$how: a statement timeout is passed on");
		like($messages, qr/ERROR:  canceling statement due to statement timeout/, "$how: as it is");
		$person->query_safe('ROLLBACK');
		($out, $messages) = answer($session, "RESET statement_timeout; $can_mark");
		is("$out|$messages", 't|', "$how: and the session works");
		is(pid_of($session), $pid, "$how: the same session");
	}
	my $pid = pid_of($session);
	$person->query_safe('BEGIN; LOCK TABLE sale_order');
	my ($answered, $said) = answer($session, "BEGIN; SAVEPOINT a; SET LOCAL statement_timeout = '100ms';\n$can_mark;\n\\echo :SQLSTATE\nROLLBACK TO a; SELECT 'goes on'; COMMIT");
	is($answered, "57014\ngoes on", 'so does a transaction with a savepoint');
	unlike($said, qr/WARNING/, 'without a complaint');
	$session->query_until(qr/sent/, "\\echo sent\n$can_mark;\n\\echo :SQLSTATE over\n");
	waits_for_lock($shop, $pid);
	$shop->odoo("SELECT pg_cancel_backend($pid)");
	like($session->query_until(qr/over/, ''), qr/^57014 over/m, 'and so is a cancel');
	$person->query_safe('ROLLBACK');
	$session->{stderr} = '';
	is($session->query_safe($can_mark), 't', 'which the session survives, too');
	$_->quit for $session, $person;
	return;
});

# ---- two people mark the same order ----

finding('two marks at once', sub {
	my $case = markable('marked by two at once');
	my ($one, $two) = (session($shop), session($shop));
	my $pid = pid_of($two);

	my $capture = $one->query_safe("BEGIN; SELECT bcpaid_mark($case->{order})");
	cmp_ok($capture, '>', 0, 'the first has a capture');
	$two->query_until(qr/sent/, "\\echo sent\nSELECT 'capture ' || bcpaid_mark($case->{order});\n\\echo over\n");
	waits_for_lock($shop, $pid);
	$one->query_safe('COMMIT');
	like($two->query_until(qr/over/, ''), qr/^capture $capture$/m, 'the second gets the same');
	$_->quit for $one, $two;
	$shop->come_to_their_end($case);
	return;
});

# ---- the ledger, taken in where it is already ----

finding('a ledger that is here already', sub {
	my $case = one($shop, 'in the ledger');

	$shop->pay_all($case);
	$shop->come_to_their_end($case);
	$shop->sql("INSERT INTO bcpaid.baseline (order_id, store_id) VALUES (0, 1); INSERT INTO bcpaid.link (order_id) VALUES (0)");
	my $kinds = "SELECT string_agg(DISTINCT k || ' ' || bcpaid.import_ledger(l), ', ' ORDER BY k || ' ' || bcpaid.import_ledger(l))
  FROM bcpaid.export_ledger() AS l, LATERAL (SELECT min(key) FROM jsonb_object_keys(l) AS key) AS t (k)";
	is($shop->sql($kinds), 'baseline false, capture false, link false, store false', 'a line that is here already answers false');
	my ($first) = split /\n/, $shop->sql(<<'SQL');
BEGIN;
CREATE TEMP TABLE line AS SELECT l FROM bcpaid.export_ledger() AS l WHERE l ? 'store';
DELETE FROM bcpaid.store;
SELECT bcpaid.import_ledger(l) FROM line;
ROLLBACK;
SQL
	is($first, 't', 'and true where it is not');
	($first) = split /\n/, $shop->sql(<<'SQL');
BEGIN;
CREATE TEMP TABLE line AS SELECT jsonb_set(l, '{capture}', l -> 'capture' || '{"state": "sending", "sent_at": "2000-01-01", "approved": "all"}') AS l FROM bcpaid.export_ledger() AS l WHERE l ? 'capture';
DELETE FROM bcpaid.history; DELETE FROM bcpaid.attempt; DELETE FROM bcpaid.capture;
SELECT min(x) FROM (SELECT bcpaid.import_ledger(l)::text AS x FROM line) AS i HAVING min(x) <> 'true';
SELECT string_agg(DISTINCT state || ' ' || (sent_at >= now()) || ' ' || coalesce(approved, 'not approved'), ', ') FROM bcpaid.capture;
ROLLBACK;
SQL
	is($first, 'unknown true not approved', 'what was being sent is looked for, and read for from now on: its request may have left after it was exported; what was approved was that write');
	return;
});

# ---- what people call leaves their settings as they are ----

finding('lock_timeout of the caller', sub {
	my ($timeout) = $shop->sql(<<'SQL');
SET lock_timeout = '5s';
BEGIN;
INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, origin, requested_by, marker, state, due)
VALUES ('demo', 77, 77, 1, 'button', 'test', 'm', 'waiting', 'infinity');
DO 'BEGIN PERFORM bcpaid.sweep(); PERFORM bcpaid.set_store(1); END';
SHOW lock_timeout;
ROLLBACK;
SQL
	is($timeout, '5s', 'that of judging what waits ends with the call: the rest of the transaction waits for locks as before');
	return;
});

# ---- the status view counts no ledger of years ----

finding('the status view', sub {
	is($shop->sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'bcpaid.status'::regclass AND attname = 'captured'"), '0',
		'it has no count of all captures');
	is($shop->odoo('SELECT store, due, under_way, waiting, held, unknown, refused FROM bcpaid.status'), 'demo|0|0|0|0|0|0', 'and says what is to be done');
	return;
});

run_finding(@$_) for @unfinished;

for ($shop, $alone)
{
	$_->store_is_content;
	$_->stop;
}
done_testing();
